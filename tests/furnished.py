"""A bureau with one of everything that the console shows, for whoever walks through all its pages."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from starlette.testclient import TestClient

from api.app import create_app
from jobs import acts
from jobs.reports import Asked
from jobs.reports.issue import issue
from jobs.reports.orders import order_report
from jobs.webhooks import hooks
from sandbox.plan.ask import Ask
from tests import lane, products, visits
from tests.bureau import LICENCE, Bureau
from tests.programs import packed
from tests.unit.jobs.test_release import ended
from tests.watching import raised_by_hand

NASTY = "'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
KINDS = "L-kinds"  # of models, synthetic tables and programs
GONE = "bygone"  # a dataset that was withdrawn


@dataclass(frozen=True)
class Furnished:
    """`pack`, `rules`: entries that proposed another; `policy`: the document of one proposed; `proposal`: to destroy a version of GONE."""

    bureau: Bureau
    job: str
    release: str
    review: str
    held: str
    alert: str
    report: str
    program: str
    hook: str
    pack: int
    rules: int
    policy: str
    proposal: int
    product: str = products.ID
    licence: str = LICENCE

    def visit(self, principal: str, language: str = "en") -> TestClient:
        """A browser in which the principal is signed in."""
        browser = TestClient(create_app(self.bureau.services), headers={"Accept-Language": language}, raise_server_exceptions=False)
        answer = browser.post("/console/sign-in", data={"key": self.bureau.keys[principal]}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return browser


def furnish(bureau: Bureau) -> Furnished:
    """Once per home, after `lane.prepare` and with a licence KINDS."""
    register = bureau.services.register
    ask = Ask.model_validate({"privacy": {"rho": "0.01"}})
    release = products.released(bureau, "SELECT city, COUNT(*) AS n FROM visits GROUP BY city", ask=ask)
    job = next(each.event.job for each in register.events(before=2**53, limit=50, kinds=("release_published",)))  # type: ignore[attr-defined]
    products.on_the_shelf(bureau, release)
    held = ended(bureau, lane.exact_order())
    review = lane.requested(bureau, held.id)
    hook = hooks.open_hook(register, "https://builder.example/hook", ["product.recalled"], products.ID, by="builder")
    program = acts.submit_program(register, packed(), by="operator-1")
    report = issue(register, Asked.of("filing", None, LICENCE), by="supervisor")
    order_report(register, "usage", "month", by="supervisor")
    return Furnished(
        bureau,
        job,
        release,
        review,
        held.id,
        raised_by_hand(register),
        report.id,
        program,
        hook.id,
        *_proposed(bureau),
        _gone(bureau),
    )


def _proposed(bureau: Bureau) -> tuple[int, int, str]:
    """Another rule pack, other alert rules, another policy: each by the first of two people."""
    register = bureau.services.register
    with TestClient(create_app(bureau.services), headers=bureau.headers("supervisor")) as api:
        pack, rules, policy = (api.get(path).json() for path in ("/v1/rule-packs", "/v1/alert-rules", "/v1/policy"))
    text = pack["in_force"]["text"].replace("version = 1", "version = 2", 1)
    watched = rules["in_force"]["text"].replace("version = 1", "version = 2", 1)
    acts.propose_policy(register, policy["rules"] + "\n// another\n", policy["cases"], reason="tighter", by="supervisor")
    with TestClient(create_app(bureau.services), headers=bureau.headers("supervisor")) as api:
        document = api.get("/v1/policy/versions").json()["versions"][0]["document"]
    return (
        acts.propose_pack(register, text, reason="tighter", by="supervisor"),
        acts.propose_alert_rules(register, watched, reason="tighter", by="supervisor"),
        document,
    )


def _gone(bureau: Bureau) -> int:
    """Two versions of a dataset that was withdrawn, one of them proposed to be destroyed."""
    register = bureau.services.register
    with tempfile.TemporaryDirectory() as folder:
        for version in (1, 2):
            made = visits.ingested(bureau.services.vault, Path(folder), declared=visits.dataset(name=GONE, rows=200), version=version)
            acts.register_dataset(register, made.snapshot)
    acts.withdraw_dataset(register, GONE, reason="授权期满", by="steward")
    return acts.propose_destruction(register, GONE, version=1, reason="来源部门要求销毁", by="steward")
