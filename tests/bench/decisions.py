"""What one decision costs: the whole plan of a job, on facts from the register, while there are many rules and many licences."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from infra.database import reading
from infra.settings import Settings
from jobs import acts, directory, freezes, rulebook
from jobs.register import Register
from policies.authority import Authority, shipped
from policies.catalogue import Catalogue, Dataset, Snapshot, dataset_from_toml
from policies.decide import PlanFacts, RequestFacts, decide_plan
from policies.loss import Loss
from tests.bureau import LICENCE, licence
from tests.unit.policies.worlds import CITIES, NOW, VISITS, Person, Reading, Using, World

WORDS = "".join(f'@{name}("x")\n' for name in ("title_zh", "title_en", "detail_zh", "detail_en", "remedy_zh", "remedy_en", "basis"))
RULE = '@id("licence_own_{at}")\n{words}forbid (principal, action == Action::"submit", {resource}) unless {{ context.scenario != "s{at}" }};\n'


def bench(folder: Path, many: int = 1_000, licences: int = 50) -> dict[str, float | int]:
    """Medians in ms. `rules` are each about one licence, `unscoped` all about every licence; `register` reads the facts too."""
    world = World()
    two = world.plan()  # over two tables: three questions to the policy and one to the floor
    plain = _median(lambda: decide_plan(two, NOW))
    scoped = _authority(many, 'resource == Licence::"L-{at}"')
    wide = _authority(many, "resource")
    same = World().plan()
    with _filled(folder, licences) as register:
        catalogue = register.catalogue()

        def decided() -> None:
            with reading(register.engine) as connection:
                held = directory.licence(connection, LICENCE)
                assert held is not None
                rulebook.document_in_force(connection)
                who = directory.principal(connection, "operator-1") or Person("operator-1")
                request = RequestFacts(who, held.licence, "active", "health-planning", frozen=freezes.frozen(connection), licence_id=LICENCE)
                snapshot = catalogue["visits"]
                reads = (Reading("visits", snapshot.version, snapshot.digest, ("person", "fee")),)
                plan = PlanFacts(request, catalogue, reads, (Using("visits", "fee", "aggregate"),), Loss(10**9))
                assert decide_plan(plan, NOW, scoped).allowed

        stored = _median(decided)
    return {
        "rules": many,
        "licences": licences,
        "shipped_ms": round(plain, 2),
        "scoped_ms": round(_median(lambda: decide_plan(same, NOW, scoped)), 2),
        "unscoped_ms": round(_median(lambda: decide_plan(same, NOW, wide)), 2),
        "register_ms": round(stored, 2),
    }


def _authority(many: int, resource: str) -> Authority:
    text = "".join(RULE.format(at=at, words=WORDS, resource=resource.format(at=at)) for at in range(many))
    return Authority(shipped("authority.cedar") + text, shipped("schema.cedarschema"), shipped("floor.cedar"))


class _filled:
    """A register with a dataset, an operator and `many` licences."""

    def __init__(self, folder: Path, many: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._register = Register.open(Settings.model_validate({"home": folder}))
        self._many = many

    def __enter__(self) -> Register:
        register = self._register
        for text in (VISITS, CITIES):
            dataset: Dataset = dataset_from_toml(text)
            acts.register_dataset(register, Snapshot(dataset=dataset, version=1, digest="a" * 64))
        acts.issue_key(register, "operator-1", "operator")
        for at in range(self._many):
            acts.grant_licence(register, licence(LICENCE if at == 1 else f"L-{at}"))
        assert isinstance(register.catalogue(), Catalogue)
        return register

    def __exit__(self, *_: object) -> None:
        self._register.close()


def _median(act: Callable[[], object], times: int = 300) -> float:
    for _ in range(20):
        act()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000
