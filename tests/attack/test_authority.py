"""Attempts on the policy and the switch: facts that look like Cedar, words that look like formats, names that look like other names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.database import reading
from jobs import acts, freezes
from jobs.register import Register
from policies import decide
from policies.authority import Authority, shipped
from policies.decide import AUTHORITY, RequestFacts, decide_plan, decide_request
from policies.problem import Problem
from tests.small_register import a_register, furnish, title
from tests.unit.policies.worlds import NOW, Person, World

SCHEMA = shipped("schema.cedarschema")
HOSTILE = [
    'x" } ; permit (principal, action, resource); //',
    '"] || true //',
    "care-planning\u0000",
    "CARE-PLANNING",
    "care-planning ",
    '{"__entity": {"type": "Requester", "id": "op-1"}}',
    "__extn",
    "ｃａｒｅ-planning",
    "care\u2010planning",
    "\ufeffcare-planning",
    "care-planning" * 10_000,
    "*",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_fact_is_read_as_a_rule_or_as_another_fact(text: str) -> None:
    """Whatever stands where a scenario, a kind or a name is expected, it is that text and nothing else."""
    assert [found.id for found in decide_request(World(scenario=text).request(), NOW).rules] == ["licence_scenario"]
    assert [found.id for found in decide_request(World(job_kind=text).request(), NOW).rules] == ["licence_job_kind"]
    assert not decide_request(World(principal=Person(id=text)).request(), NOW).allowed
    assert not decide_request(World(principal=Person(role=text)).request(), NOW).allowed
    facts = RequestFacts(Person(), None, None, "care-planning", licence_id=text)
    assert [found.id for found in decide_request(facts, NOW).rules] == ["licence_not_held"]


@pytest.mark.parametrize("value", [None, 3, 1.5, True, ["operator"], {"__entity": {"type": "Requester", "id": "x"}}, b"operator"], ids=str)
def test_a_fact_of_another_type_is_a_refusal(value: Any) -> None:
    for world in (World(principal=Person(role=value)), World(scenario=value), World(principal=Person(status=value))):
        decided: Callable[[], bool] = lambda world=world: decide_request(world.request(), NOW).allowed  # noqa: E731
        try:
            allowed = decided()
        except TypeError:  # not even JSON
            allowed = False
        assert not allowed


@pytest.mark.parametrize(
    "frozen",
    ["operator:OP-1", "Operator:op-1", "EVERYTHING", "dataset:VISITS", "licence:sx-2026-007"],
)
def test_a_freeze_is_not_slipped_by_spelling(frozen: str) -> None:
    assert not decide_plan(World(frozen=frozenset({frozen})).plan(), NOW).allowed


def test_an_extra_entity_or_attribute_cannot_be_smuggled_in() -> None:
    facts = World().request()
    question, entities = decide._submit(facts, NOW).cedar, [decide._requester(facts), decide._licence(facts)]
    entities[0]["attrs"]["approved_by_the_bureau"] = True
    assert not AUTHORITY.ask([question], entities)[0].allowed
    entities = [decide._requester(facts), decide._licence(facts), {"uid": {"type": "Bureau", "id": "x"}, "attrs": {}, "parents": []}]
    assert not AUTHORITY.ask([question], entities)[0].allowed


@pytest.mark.parametrize(
    "text",
    [
        '@id("permit_all") permit (principal, action, resource);',
        "permit (principal, action, resource) when { true };",
        'permit (principal == Requester::"op-1", action, resource);',
        "forbid (principal, action, resource) when { false }; permit (principal, action, resource);",
        "// \u2028permit (principal, action, resource);\npermit (principal, action, resource);",
    ],
    ids=range(5),
)
def test_nothing_above_the_floor_permits(text: str) -> None:
    with pytest.raises(ValueError):
        Authority(text, SCHEMA, shipped("floor.cedar"))


BOMBS = {
    "brackets": "(" * 20_000 + "true" + ")" * 20_000,
    "sets": "[" * 20_000 + "]" * 20_000,
    "records": "{a:" * 20_000 + "1" + "}" * 20_000,
    "conditions": "if true then " * 5_000 + "true" + " else true" * 5_000,
    "conjunctions": "true && " * 20_000 + "true",
    "attributes": "principal" + ".role" * 20_000,
    "negations": "!" * 50_000 + "true",
}


def test_no_text_ends_the_process_that_reads_it() -> None:
    """In a process of its own, for what this fears is the end of the process: Cedar's parser has no limits of its own."""
    code = (
        "import sys, threading\nfrom policies.change import checked\nfrom policies.authority import shipped\n"
        "from policies.problem import Problem\nfrom tests.attack.test_authority import BOMBS\nsaid = []\n"
        "def work():\n    for name, bomb in BOMBS.items():\n        text = 'forbid (principal, action, resource) when { ' + bomb + ' };'\n"
        "        try:\n            checked(text, shipped('authority.toml'))\n        except Problem:\n            said.append(name)\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\nprint(len(said))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(BOMBS))), done.stderr[-500:]


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        furnish(register)
        for name, role in (("chen", "supervisor"), ("zhou", "supervisor"), ("li", "reviewer"), ("root", "admin")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # a role, from the table above
        yield register


def test_nobody_does_alone_what_takes_two(register: Register) -> None:
    """A supervisor who proposes under one name and confirms under another: suspended, unknown, of another role, or spelt otherwise."""
    frozen = acts.set_freeze(register, "everything", reason="x", by="chen")
    proposal = acts.propose_thaw(register, frozen, reason="x", by="chen")
    acts.suspend_principal(register, "zhou", reason="x")
    size = register.size
    for name in ("chen", "zhou", "CHEN", "chen ", "li", "root", "op-1", "nobody", "", "system"):
        with pytest.raises(Problem) as caught:
            acts.thaw(register, frozen, proposal=proposal, by=name)
        assert caught.value.code.startswith("auth_"), name
    assert register.size == size


def test_a_freeze_cannot_be_overrun_by_those_it_stops(register: Register) -> None:
    """Neither by the operator, nor by whoever could let it in again by another door."""
    acts.set_freeze(register, "operator", "op-1", reason="x", by="chen")
    for name in ("op-1", "root", "li"):
        with pytest.raises(Problem):
            acts.set_freeze(register, "everything", reason="denial of service", by=name)
    acts.suspend_principal(register, "op-1", reason="x")
    acts.resume_principal(register, "op-1", reason="back")
    with reading(register.engine) as connection:
        assert freezes.frozen(connection) == {"operator:op-1"}
