"""The policy files, and what Cedar would do if it were trusted alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import cedarpy
import pytest

from policies import decide
from policies.authority import ANNOTATIONS, Authority, Json, shipped
from policies.decide import AUTHORITY
from tests.unit.policies.worlds import NOW, World

ROOT = Path(__file__).resolve().parents[3]


def question_and_entities() -> tuple[Json, list[Json]]:
    """What decide_request asks about a world in which all is well."""
    facts = World().request()
    return decide._submit(facts, NOW).cedar, [decide._requester(facts), decide._licence(facts)]


def test_the_policies_validate_against_the_schema(policy_text: str, schema_text: str) -> None:
    assert cedarpy.validate_policies(policy_text, cedarpy.Schema.from_str(schema_text)).errors == []


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ('permit (principal, action == Action::"submit", resource) when { resource.scenarioz.contains(context.scenario) };', "scenarioz"),
        ('permit (principal, action == Action::"submit", resource) when { context.pico_rho < 3 };', "pico_rho"),
        ('permit (principal, action == Action::"sumbit", resource);', "sumbit"),
        ("permit (principal, action, resource) when {", "parse"),
    ],
    ids=["misspelt attribute", "a fact of another action", "misspelt action", "not Cedar"],
)
def test_a_policy_that_does_not_validate_is_not_taken(policy: str, said: str, schema_text: str) -> None:
    with pytest.raises(ValueError, match=said):
        Authority(policy, schema_text)


@pytest.mark.parametrize("name", ["floor.cedar", "authority.cedar"])
def test_the_files_are_laid_out_as_cedar_formats_them(name: str) -> None:
    assert cedarpy.format_policies(shipped(name)) == shipped(name)


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_a_rule_without_its_words_or_basis_is_not_taken(annotation: str, policy_text: str, schema_text: str) -> None:
    head, tail = policy_text.split('@id("licence_role")', 1)
    rest = f'@id("licence_role"){tail}'
    start = rest.index(f"@{annotation}(")
    with pytest.raises(ValueError, match=f"lacks @{annotation}"):
        Authority(head + rest[:start] + rest[rest.index("\n", start) :], schema_text)


def test_two_rules_with_one_id_are_not_taken(policy_text: str, schema_text: str) -> None:
    with pytest.raises(ValueError, match="licence_role is there twice"):
        Authority(policy_text.replace('@id("licence_scenario")', '@id("licence_role")'), schema_text)


def test_cedar_alone_would_allow_when_the_licence_is_missing_and_we_do_not(policy_text: str, schema_text: str) -> None:
    question, (requester, _) = question_and_entities()
    alone = cedarpy.is_authorized(question, policy_text, [requester], schema_text)
    assert alone.decision is cedarpy.Decision.Allow  # every rule about the licence was skipped
    assert alone.diagnostics.errors
    (answer,) = AUTHORITY.ask([question], [requester])
    assert (answer.allowed, answer.sound) == (False, False)


def test_cedar_alone_would_allow_when_the_requester_is_missing_and_we_do_not(policy_text: str, schema_text: str) -> None:
    question, (_, licence) = question_and_entities()
    assert cedarpy.is_authorized(question, policy_text, [licence], schema_text).decision is cedarpy.Decision.Allow
    (answer,) = AUTHORITY.ask([question], [licence])
    assert not answer.allowed


def test_a_question_that_lacks_a_fact_is_refused() -> None:
    question, entities = question_and_entities()
    assert AUTHORITY.ask([question], entities)[0].allowed
    del question["context"]["scenario"]
    (answer,) = AUTHORITY.ask([question], entities)
    assert (answer.allowed, answer.sound, answer.forbidding) == (False, False, ())


def test_a_question_with_a_fact_the_schema_does_not_know_is_refused() -> None:
    question, entities = question_and_entities()
    question["context"]["hurry"] = True
    (answer,) = AUTHORITY.ask([question], entities)
    assert (answer.allowed, answer.sound, answer.forbidding) == (False, False, ())


def test_one_bad_question_does_not_carry_the_others() -> None:
    question, entities = question_and_entities()
    bad = question | {"context": {}}
    assert [answer.allowed for answer in AUTHORITY.ask([question, bad], entities)] == [True, False]


def test_the_digest_names_floor_policies_and_schema() -> None:
    above, schema, floor = shipped("authority.cedar"), shipped("schema.cedarschema"), shipped("floor.cedar")
    assert Authority(above, schema, floor).digest == AUTHORITY.digest
    changed = (above + "\n// c", schema, floor), (above, schema + "\n// c", floor), (above, schema, floor + "\n// c")
    assert len({AUTHORITY.digest, *(Authority(*texts).digest for texts in changed)}) == 4


def test_the_policies_are_found_from_anywhere(tmp_path: Path) -> None:
    code = "from policies.decide import AUTHORITY; print(AUTHORITY.digest)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == AUTHORITY.digest


def test_the_policies_travel_in_the_wheel(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("yunei-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in ("authority.cedar", "authority.toml", "floor.cedar", "floor.toml", "schema.cedarschema"):
            name = f"policies/{name}"
            assert archive.read(name) == (ROOT / name).read_bytes()
