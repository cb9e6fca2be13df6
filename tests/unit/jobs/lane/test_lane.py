"""The human lane in one process: held under seal, voted on blind, let out by two or not at all, and the log says so to whoever replays it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import pytest

from infra.database import reading
from jobs import acts, hops, lookup, reviews
from jobs import events as ev
from jobs.acts import duty
from jobs.acts.reviews import cancel_held, cast_vote, withdraw_review
from jobs.audit import audit
from jobs.lane import hold, index, publish, sealed
from jobs.lane.workbench import workbench
from jobs.queue import Stopping
from jobs.release import resume
from policies.disclosure.pack import shipped_pack, shipped_pack_text
from policies.loss import Loss
from policies.problem import Problem
from sandbox.finish.formats import encode
from tests import lane
from tests.bureau import Bureau, Home, opened
from tests.unit.jobs.test_release import wait
from yunei.replay import Book


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    """A bureau per test: what one lets out is what the next would be compared with."""
    home = tmp_path / "home"
    keys = dict(bureau_home.copy_to(home))
    services = opened(home, review_sweep_s=3600, slots_ms=(50, 250, 1_000))  # tests look themselves, and wait for no long slot
    made = Bureau(services, keys)
    lane.prepare(made)
    yield made
    report = audit(services.settings.log_dir, [services.register.vkey], services.register.engine)
    assert report.findings == []
    book = Book()
    for position in range(services.register.size):
        book.apply(position, services.register.entry(position))
    book.finish()
    services.close()


def held(bureau: Bureau, sql: str = lane.SQL, **more: object) -> str:
    job = bureau.services.submit(lane.exact_order(sql, **more)).result(60)  # type: ignore[arg-type]  # of exact_order
    assert wait(bureau, job).state == "held"
    return job


def refusal(code: str) -> AbstractContextManager[object]:
    return pytest.raises(Problem, match=f"^{code}")


def test_an_exact_table_is_held_under_seal_and_charged_nothing(bureau: Bureau) -> None:
    job = held(bureau, "SELECT urgent, COUNT(*) AS n FROM visits GROUP BY urgent")
    seen = lane.seen(bureau, job)
    assert (seen.price, seen.release) == (Loss(0), None)
    staged = sealed.find(bureau.services.office, job)
    assert staged is not None
    data = staged.read(sealed.FILE)
    assert len(data) in range(sealed.LEAST, sealed.LEAST + 100)
    assert b"cells" not in data
    counted = sealed.opened(bureau.services.office, job)
    assert sum(int(cell.amounts[0].total) for cell in counted.table.cells) == 2000


def test_a_pack_changed_by_two_judges_what_is_held_already(bureau: Bureau) -> None:
    """Each table keeps the digest it was held under; what the rules of now refuse goes back, whatever was voted."""
    register = bureau.services.register
    acts.issue_key(register, "supervisor-8", "supervisor")
    general = shipped_pack_text("general")
    strict = general.replace('name = "general"', 'name = "strict"').replace("threshold = 10", "threshold = 5000")

    def change(text: str) -> None:
        proposal = acts.propose_pack(register, text, reason="x", by="supervisor")
        acts.change_pack(register, proposal=proposal, by="supervisor-8")

    job = held(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE days < 6 GROUP BY city")
    review = lane.requested(bureau, job)
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    change(strict)
    try:
        assert bureau.services.keeper.once() == [job]
        assert lane.seen(bureau, job).state == "returned"
        (back,) = (each.event for each in register.events(kinds=("release_returned",)) if getattr(each.event, "job", "") == job)
        assert isinstance(back, ev.ReleaseReturned)
        assert "minimum_units" in back.codes
        other = held(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE days < 5 GROUP BY city")
        with reading(register.engine) as connection:
            packs = {name: reviews.held(connection, name).pack for name in (job, other)}  # type: ignore[union-attr]  # both are held
        assert packs == {job: shipped_pack("general").digest, other: acts.check_pack(strict).digest}
    finally:
        change(general)  # as the other tests here know it


def test_two_who_agree_let_it_out_and_the_table_is_what_was_counted(bureau: Bureau) -> None:
    job = held(bureau)
    review = lane.requested(bureau, job)
    assert lane.vote(bureau, review, "reviewer") == "open"
    assert lane.seen(bureau, job).state == "held"
    assert lane.vote(bureau, review, "reviewer-2") == "release"
    assert bureau.services.keeper.once() == [job]
    seen = lane.seen(bureau, job)
    assert seen.state == "published"
    release = lookup.release(bureau.services.register, seen.release or "", bureau.services.clock())
    assert release is not None
    staged = bureau.services.staging.load(job)
    assert staged is not None
    rows = json.loads(staged.read("table.json"))["rows"]
    counted = sealed.opened(bureau.services.office, job).table
    assert [row["n"] for row in rows] == [cell.amounts[0].total for cell in counted.cells]
    assert release.record["review"] == review
    assert release.record["pico_rho"] == "0"
    (total,) = [one for one in reviews.exact_counts(bureau.services.register) if one.account == "population:person"]
    assert total.releases >= 1


def test_what_left_is_read_before_a_reviewer_looks(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    office = bureau.services.office
    assert index.keep_up(office) == []  # nothing waits for anybody
    first = held(bureau)
    review = lane.requested(bureau, first)
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    assert bureau.services.keeper.once() == [first]
    waiting = held(bureau, "SELECT city, COUNT(*) AS n FROM visits GROUP BY city")
    bureau.services.keeper.once()
    monkeypatch.setattr(index, "_catch_up", None)  # so that a look which had to read would fail
    seen = workbench(office, waiting, by="reviewer")
    assert seen is not None
    assert [each["release"] for each in seen["earlier"]] == [lane.seen(bureau, first).release]
    assert index.keep_up(office) == ["person"]


def test_a_vote_is_a_commitment_until_both_are_in(bureau: Bureau) -> None:
    job = held(bureau, "SELECT city, SUM(days) AS days FROM visits GROUP BY city")
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer", "reject", ("differencing",), "第三行可由去年的表相减得到")
    register = bureau.services.register
    votes = [event.event for event in register.events(limit=10_000, kinds=("vote_cast",)) if isinstance(event.event, ev.VoteCast)]
    (vote,) = [vote for vote in votes if vote.review == review]
    body = ev.canonical(vote, "2026-11-22T08:00:00.000000Z").decode()
    assert "reject" not in body
    assert "differencing" not in body
    found = reviews.review(register, review)
    assert found is not None
    assert [(one.verdict, one.codes) for one in found.votes] == [(None, ())]
    assert lane.vote(bureau, review, "reviewer-2", "reject", ("dominance",)) == "reject"
    found = reviews.review(register, review)
    assert found is not None
    assert [one.verdict for one in found.votes] == ["reject", "reject"]
    assert found.codes == ("differencing", "dominance")
    assert lane.seen(bureau, job).state == "rejected"
    assert lane.seen(bureau, job).problem == ("job_rejected",)


def test_who_disagree_are_followed_by_a_third_who_sees_neither(bureau: Bureau) -> None:
    job = held(bureau, "SELECT city, AVG(days) AS days, COUNT(*) AS n FROM visits GROUP BY city")
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer", "return", ("context_missing",))
    assert lane.vote(bureau, review, "reviewer-2") == "referred"
    found = reviews.review(bureau.services.register, review)
    assert found is not None
    assert {vote.verdict for vote in found.votes} == {None}
    with refusal("review_voted"):
        lane.vote(bureau, review, "reviewer")
    assert lane.vote(bureau, review, "reviewer-3", "return", ("context_missing",)) == "return"
    assert lane.seen(bureau, job).state == "returned"
    again = lane.requested(bureau, job)
    assert lane.seen(bureau, job).state == "held"
    for reviewer in ("reviewer-3", "reviewer-2"):
        lane.vote(bureau, again, reviewer)
    assert bureau.services.keeper.once() == [job]


def test_nobody_votes_twice_off_duty_in_conflict_or_on_their_own(bureau: Bureau) -> None:
    register = bureau.services.register
    job = held(bureau, "SELECT city, SUM(fee) AS fee FROM visits GROUP BY city")
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer")
    with refusal("review_voted"):
        lane.vote(bureau, review, "reviewer")
    with refusal("auth_principal_role"):
        lane.vote(bureau, review, "operator-1")
    with refusal("auth_principal_role"):
        lane.vote(bureau, review, "supervisor")
    bureau.keys["reviewer-off"] = acts.issue_key(register, "reviewer-off", "reviewer")
    with refusal("review_not_on_duty"):
        lane.vote(bureau, review, "reviewer-off")
    ended = duty.set_duty(register, "reviewer-off", lane.day(bureau, 0), lane.day(bureau, 0), by="system")
    duty.end_duty(register, ended, reason="请假", by="supervisor")
    with refusal("review_not_on_duty"):
        lane.vote(bureau, review, "reviewer-off")
    duty.declare_conflict(register, "reviewer-2", "operator-1", reason="曾任职", by="reviewer-2")
    with refusal("review_conflict"):
        lane.vote(bureau, review, "reviewer-2")
    duty.lift_conflict(register, "reviewer-2", "operator-1", reason="已满两年", by="supervisor")
    with refusal("review_reason_missing"):
        cast_vote(bureau.services.register, review, "reject", codes=(), words="x", by="reviewer-3")
    with refusal("review_jobs_unfit"):
        lane.requested(bureau, job)
    with refusal("review_jobs_unfit"):
        lane.requested(bureau, job, by="operator-2")


def test_what_the_rules_refuse_does_not_leave_whatever_was_voted(bureau: Bureau) -> None:
    job = held(bureau, lane.RISKY)
    review = lane.requested(bureau, job)
    bench = workbench(bureau.services.office, job, by="reviewer")
    assert bench is not None
    assert "minimum_units" in bench["refused_by"]
    assert any("minimum_units" in cell["risky"] for cell in bench["table"]["cells"])
    assert bench["proposal"]["tried"]  # what would help, if anything, is said to reviewers
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    assert bureau.services.keeper.once() == [job]
    assert lane.seen(bureau, job).state == "returned"
    assert bureau.services.staging.load(job) is None


def test_mends_are_applied_to_what_leaves(bureau: Bureau) -> None:
    job = held(
        bureau, "SELECT city, urgent, COUNT(*) AS n FROM visits WHERE days < 60 GROUP BY city, urgent", mends=[{"kind": "round", "base": 5}]
    )
    review = lane.requested(bureau, job)
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    assert bureau.services.keeper.once() == [job]
    assert lane.seen(bureau, job).state == "published"
    staged = bureau.services.staging.load(job)
    assert staged is not None
    rows = json.loads(staged.read("table.json"))["rows"]
    assert {row["n"] % 5 for row in rows} == {0}
    assert {row["n__status"] for row in rows} == {"rounded to 5"}


def test_the_author_takes_a_request_back_and_cancels(bureau: Bureau) -> None:
    job = held(bureau, "SELECT urgent, COUNT(*) AS n FROM visits WHERE days > 50 GROUP BY urgent")
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer")
    withdraw_review(bureau.services.register, review, by="operator-1")
    with refusal("review_state_conflict"):
        lane.vote(bureau, review, "reviewer-2")
    second = lane.requested(bureau, job)
    cancel_held(bureau.services.register, job, by="operator-1")
    assert lane.seen(bureau, job).state == "cancelled"
    found = reviews.review(bureau.services.register, second)
    assert found is not None
    assert found.state == "withdrawn"


@pytest.mark.parametrize("at", ["before reading", "counted", "sealed"])
def test_a_server_that_died_on_the_way_leaves_what_the_next_needs(bureau: Bureau, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """The walk breaks off on a line of `hold`; taken up again it ends in one held table, sealed once."""
    office = bureau.services.office
    broken = {"before reading": (hops, "begin_reading"), "counted": (hops, "spend"), "sealed": (hold, "_held")}[at]

    def died(*_: object) -> None:
        raise Stopping

    with monkeypatch.context() as patch:
        patch.setattr(*broken, died)
        asked = lane.exact_order(f"SELECT urgent, SUM(days) AS days FROM visits WHERE days > {len(at)} GROUP BY urgent")
        job = bureau.services.submit(asked).result(60)
        until = time.monotonic() + 60
        while job in office.leases._ours and time.monotonic() < until:  # given back when its thread stops
            time.sleep(0.01)
    first = sealed.find(office, job)
    resume(office, job)
    assert wait(bureau, job).state == "held"
    staged = sealed.find(office, job)
    assert staged is not None
    assert first is None or staged.digests == first.digests
    kinds = [event.kind for event in office.register.events(limit=100_000) if getattr(event.event, "job", None) == job]
    assert kinds.count("release_held") == 1


def test_a_table_fixed_by_an_earlier_look_is_not_what_leaves(bureau: Bureau) -> None:
    """A server died after fixing a table that the rules of then let out; what leaves is what the rules of now say."""
    asked = "SELECT city, COUNT(*) AS n FROM visits WHERE days > 3 GROUP BY city"
    job = held(bureau, asked)
    bureau.services.staging.stage(job, {"table.arrow": encode(pa.table({"city": ["x"], "n": [1]}), "arrow", metadata={})}, {"notes": []})
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer")
    lane.vote(bureau, review, "reviewer-2")
    bureau.services.keeper.once()
    bureau.services.keeper.once()
    assert lane.seen(bureau, job).state == "published"
    staged = bureau.services.staging.load(job)
    assert staged is not None
    assert len(json.loads(staged.read("table.json"))["rows"]) > 1


def test_a_look_that_comes_late_takes_nothing_away(bureau: Bureau) -> None:
    """Another server let the table out while this one found, by rules that were in force before, that it may not leave."""
    job = held(bureau, "SELECT city, COUNT(*) AS n FROM visits WHERE days > 4 GROUP BY city")
    review = lane.requested(bureau, job)
    lane.vote(bureau, review, "reviewer")
    lane.vote(bureau, review, "reviewer-2")
    assert bureau.services.keeper.once() == [job]
    publish._back(bureau.services.office, job, ("minimum_units",))
    assert lane.seen(bureau, job).state == "published"
    assert bureau.services.staging.load(job) is not None
