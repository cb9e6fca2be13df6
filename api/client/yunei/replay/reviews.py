"""Rules of replay: the human lane. Every exact table that left has two votes to release it by two reviewers, neither its author, both on duty
when they voted; or a standing approval that two such people gave, still running, for the same question under the same rules."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from yunei.replay.authority import under_pack
from yunei.replay.book import (
    Book,
    Contradiction,
    Event,
    Rule,
    acts_as,
    require,
)
from yunei.replay.lane import Held, Review, Standing, Term, Vote, china_day, outcome


def _role(book: Book, event: Event, *roles: str) -> None:
    by = event["by"]
    require(book.people.get(by) == "active" and book.roles.get(by) in roles, f"{by} is no active {'/'.join(roles)}")


def _judges(book: Book, event: Event, operator: str) -> None:
    by = event["by"]
    acts_as(book, event, "reviewer")
    require(by != operator, f"{by} reviews a table of its own")
    require(book.lane.on_duty(by, event["at"]), f"{by} is not on duty")
    require((by, operator) not in book.lane.conflicts, f"{by} declared a conflict with {operator}")


def _duty(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    require(event["duty"] not in book.lane.duties, f"duty {event['duty']} is set twice")
    reviewer = event["reviewer"]
    require(book.people.get(reviewer) == "active" and book.roles.get(reviewer) == "reviewer", f"{reviewer} is no active reviewer")
    require(event["since"] <= event["until"], f"duty {event['duty']} ends before it begins")
    book.lane.duties[event["duty"]] = Term(reviewer, event["since"], event["until"])


def _duty_ended(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    term = book.lane.duties.get(event["duty"])
    if term is None or term.ended:
        raise Contradiction(f"duty {event['duty']} is over or was never set")
    term.ended = event["at"]


def _conflict(book: Book, event: Event, _index: int) -> None:
    if event["by"] != event["reviewer"]:
        acts_as(book, event, "supervisor", system=True)
    pair = event["reviewer"], event["operator"]
    require(pair not in book.lane.conflicts, f"conflict of {pair[0]} with {pair[1]} is declared twice")
    book.lane.conflicts.add(pair)


def _lifted(book: Book, event: Event, _index: int) -> None:
    acts_as(book, event, "supervisor", system=True)
    pair = event["reviewer"], event["operator"]
    require(pair in book.lane.conflicts, f"there is no conflict of {pair[0]} with {pair[1]}")
    book.lane.conflicts.discard(pair)


def _held(book: Book, event: Event, _index: int) -> None:
    job = event["job"]
    book.step(job, ("staged",), "held")
    require(job not in book.lane.held, f"job {job} is held twice")
    operator, licence = book.asked.get(job, ("", ""))
    under_pack(book, event)
    book.lane.held[job] = Held(operator, licence, event["shape"], event["pack"])


def _held_job(book: Book, job: str) -> Held:
    held = book.lane.held.get(job)
    if held is None:
        raise Contradiction(f"job {job} is not held")
    return held


def _busy(book: Book, job: str) -> bool:
    """In a review that is not over: undecided, or decided for it and not yet carried out."""
    review = book.lane.reviews.get(_held_job(book, job).review)
    return review is not None and (review.state in ("open", "referred") or (review.state == "release" and book.jobs.get(job) == "held"))


def _requested(book: Book, event: Event, _index: int) -> None:
    name, jobs = event["review"], tuple(event["jobs"])
    require(name not in book.lane.reviews and len(set(jobs)) == len(jobs) > 0, f"review {name} is requested twice, or names a job twice")
    for job in jobs:
        held = _held_job(book, job)
        require((held.operator, held.licence) == (event["by"], event["licence"]), f"job {job} is another's, or under another licence")
        require(not _busy(book, job), f"job {job} is in a review already")
        book.step(job, ("held", "returned"), "held")
        held.review = name
    book.lane.reviews[name] = Review(event["by"], event["licence"], jobs)


def _review(book: Book, name: str, *states: str) -> Review:
    review = book.lane.reviews.get(name)
    if review is None or review.state not in states:
        raise Contradiction(f"review {name} is {'unknown' if review is None else review.state}")
    return review


def _vote(book: Book, event: Event, index: int) -> None:
    review = _review(book, event["review"], "open", "referred")
    _judges(book, event, review.operator)
    require(event["by"] not in [vote.reviewer for vote in review.votes], f"{event['by']} votes twice on {event['review']}")
    require(len(review.votes) < (2 if review.state == "open" else 3), f"review {event['review']} has its votes")
    review.votes.append(Vote(index, event["by"], event["verdict"]))


def _referred(book: Book, event: Event, _index: int) -> None:
    review = _review(book, event["review"], "open")
    require([vote.entry for vote in review.votes] == list(event["votes"]) and len(review.votes) == 2, "a review is referred without two votes")
    review.state = "referred"


def _decided(book: Book, event: Event, _index: int) -> None:
    name = event["review"]
    review = _review(book, name, "open", "referred")
    require(len(review.votes) == (2 if review.state == "open" else 3), f"review {name} is decided without its votes")
    require([vote["entry"] for vote in event["votes"]] == [vote.entry for vote in review.votes], f"review {name} names other votes")
    for told, vote in zip(event["votes"], review.votes, strict=True):
        require(told["reviewer"] == vote.reviewer, f"vote {vote.entry} is somebody else's")
        require(hmac.compare_digest(_commitment(name, told), vote.commitment), f"vote {vote.entry} was another one")
        vote.verdict = told["verdict"]
    require(outcome([vote.verdict for vote in review.votes]) == event["outcome"], f"the votes on {name} come to something else")
    review.state = event["outcome"]
    for job in review.jobs if event["outcome"] != "release" else ():
        book.step(job, ("held",), {"return": "returned", "reject": "rejected"}[event["outcome"]])


def _commitment(review: str, told: dict[str, Any]) -> str:
    content = {"review": review, "reviewer": told["reviewer"], "verdict": told["verdict"], "codes": told["codes"]}
    body = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hmac.new(bytes.fromhex(told["salt"]), body, hashlib.sha256).hexdigest()


def _withdrawn(book: Book, event: Event, _index: int) -> None:
    system = event["by"] == "system"
    review = _review(book, event["review"], "open", "referred", *(("release",) if system else ()))
    require(system or event["by"] == review.operator, f"{event['by']} withdraws another's request")
    review.state = "withdrawn"


def _viewed(book: Book, event: Event, _index: int) -> None:
    _role(book, event, "reviewer", "supervisor")
    _held_job(book, event["job"])
    book.lane.views += 1


def _approved(book: Book, event: Event, _index: int) -> None:
    job = event["job"]
    held = _held_job(book, job)
    require((event["review"] is None) != (event["standing"] is None), f"job {job} is approved by nobody, or twice over")
    if event["review"] is not None:
        review = _review(book, event["review"], "release")
        require(held.review == event["review"] and job in review.jobs, f"job {job} is not in review {event['review']}")
        agreed = {vote.reviewer for vote in review.votes if vote.verdict == "release"}
        require(len(agreed) >= 2 and held.operator not in agreed, f"job {job} is approved without two reviewers")
    else:
        standing = book.lane.standings.get(event["standing"])
        if standing is None or standing.state != "in_force" or china_day(event["at"]) > standing.until:
            raise Contradiction(f"standing approval {event['standing']} is not in force")
        same = (standing.licence, standing.shape, standing.pack) == (held.licence, held.shape, event["pack"]) and held.pack == event["pack"]
        require(same and not _busy(book, job), f"standing approval {event['standing']} is for something else than job {job}")
    under_pack(book, event)
    book.step(job, ("held",), "staged")
    book.lane.approved[job] = event["table_sha256"], event["review"] or "", event["pack"]


def _returned(book: Book, event: Event, _index: int) -> None:
    require(event["by"] == "system", "a table is sent back by somebody")
    book.step(event["job"], ("held",), "returned")


def _standing_proposed(book: Book, event: Event, index: int) -> None:
    name, job = event["standing"], event["job"]
    held = _held_job(book, job)
    require(name not in book.lane.standings, f"standing approval {name} is proposed twice")
    require(book.jobs.get(job) == "published", f"job {job} was not published")
    _, review, pack = book.lane.approved.get(job, ("", "", ""))
    require(review and (review, pack) == (event["review"], event["pack"]), f"job {job} was not let out by that review")
    require((held.licence, held.shape) == (event["licence"], event["shape"]), f"job {job} asked something else")
    _judges(book, event, held.operator)
    standing = Standing(event["licence"], held.operator, event["shape"], event["pack"], event["until"], event["by"], index)
    book.lane.standings[name] = standing


def _standing(book: Book, name: str, *states: str) -> Standing:
    standing = book.lane.standings.get(name)
    if standing is None or standing.state not in states:
        raise Contradiction(f"standing approval {name} is {'unknown' if standing is None else standing.state}")
    return standing


def _standing_confirmed(book: Book, event: Event, _index: int) -> None:
    standing = _standing(book, event["standing"], "proposed")
    _judges(book, event, standing.operator)
    require(event["by"] != standing.by and event["proposal"] == standing.entry, f"standing approval {event['standing']} takes two people")
    standing.state = "in_force"


def _standing_ended(book: Book, event: Event, _index: int) -> None:
    if event["by"] != "system":
        _role(book, event, "reviewer", "supervisor")
    _standing(book, event["standing"], "proposed", "in_force").state = "ended"


RULES: dict[str, Rule] = {
    "conflict_declared": _conflict,
    "conflict_lifted": _lifted,
    "duty_ended": _duty_ended,
    "duty_set": _duty,
    "output_viewed": _viewed,
    "release_approved": _approved,
    "release_held": _held,
    "release_returned": _returned,
    "review_decided": _decided,
    "review_referred": _referred,
    "review_requested": _requested,
    "review_withdrawn": _withdrawn,
    "standing_confirmed": _standing_confirmed,
    "standing_ended": _standing_ended,
    "standing_proposed": _standing_proposed,
    "vote_cast": _vote,
}
