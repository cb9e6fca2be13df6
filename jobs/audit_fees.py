"""Every fee once more, in the server's own audit: priced again from the licence's document and from usage that the log states.

The projections hold sums and order; here it is asked whether each release and delivery was charged for at all, and each fee, share and
settlement is what the tariff says. Where a licence's document is missing, which is a finding of its own, its fees are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.journal.files import document_path
from jobs import events as ev
from jobs import findings as found
from jobs.acts.periods import Version, in_force, months_due
from jobs.documents import read_licence
from jobs.slots import parse_time
from policies.fees import USAGE_OF_DELIVERY, Fee, Usage, fee_of, settle, usage_of_release
from policies.licence import Licence
from policies.period import Period
from policies.problem import Problem

_MONEY = frozenset(
    model.kind
    for model in (
        ev.LicenceGranted, ev.LicenceAmended, ev.LicenceExpired, ev.LicenceRevoked,
        ev.JobSubmitted, ev.JobAdmitted, ev.ReleasePublished, ev.ProductDelivered, ev.FeePosted, ev.PeriodClosed,
    )
)  # fmt: skip
"""The kinds that have to do with it."""
Owed = tuple[str, str, int | None]  # licence, release, delivery


class Bills:
    """Is shown each event in order; answers with what is wrong about money."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions: dict[str, list[Version | None]] = {}  # None: a version whose document is missing
        self._ended: dict[str, str] = {}
        self._jobs: dict[str, tuple[str, int]] = {}  # scenario, public slot
        self._made: dict[str, tuple[str, str, Usage]] = {}  # licence, scenario, usage
        self._owed: Owed | None = None
        self._used: dict[tuple[str, str, str], dict[str, int]] = {}
        self._posted: dict[tuple[str, str], dict[str, int]] = {}
        self._months: dict[tuple[str, str], int] = {}
        self._carried: dict[tuple[str, str], dict[str, int]] = {}

    def saw(self, recorded: ev.Recorded) -> Iterable[Problem]:
        """To be taken up at once: of most events there is nothing to say."""
        return () if self._owed is None and recorded.kind not in _MONEY else self._heed(recorded)

    def _heed(self, recorded: ev.Recorded) -> Iterator[Problem]:
        event = recorded.event
        if self._owed is not None and not (isinstance(event, ev.FeePosted) and (event.release, event.delivery) == self._owed[1:]):
            yield from self._unpaid(recorded.index)
        self._owed = None
        match event:
            case ev.LicenceGranted() | ev.LicenceAmended():
                self._versions.setdefault(event.licence, []).append(self._read(recorded.at, event.document))
            case ev.LicenceExpired() | ev.LicenceRevoked():
                self._ended[event.licence] = recorded.at
            case ev.JobSubmitted():
                self._jobs[event.job] = event.scenario, 0
            case ev.JobAdmitted():
                self._jobs[event.job] = self._jobs[event.job][0], event.slot_ms
            case ev.ReleasePublished():
                scenario, slot_ms = self._jobs.pop(event.job)
                usage = usage_of_release(rows=event.rows, bytes=event.bytes, slot_ms=slot_ms, loss=event.cost.loss)
                self._made[event.release] = event.licence, scenario, usage
                self._owed = event.licence, event.release, None
            case ev.ProductDelivered():
                self._owed = self._made[event.release][0], event.release, recorded.index
            case ev.FeePosted():
                if not self._right(recorded.at, event):
                    yield found.FEE(index=recorded.index, what=event.subject)
                self._take(event)
            case ev.PeriodClosed():
                if not self._settled(event):
                    yield found.FEE(index=recorded.index, what=f"{event.licence}/{event.period}")

    def end(self, size: int) -> Iterator[Problem]:
        if self._owed is not None:
            yield from self._unpaid(size)

    def _unpaid(self, index: int) -> Iterator[Problem]:
        assert self._owed is not None
        licence, release, delivery = self._owed
        newest = self._versions.get(licence, [None])[-1]
        if newest is not None and newest.licence.tariff is not None:
            yield found.FEE_MISSING(index=index - 1, what=release if delivery is None else f"{release} → {delivery}")

    def _read(self, at: str, document: str) -> Version | None:
        try:
            return Version(parse_time(at), document, read_licence((self._folder / document_path(document)).read_bytes()))
        except (OSError, ValueError):
            return None

    def _history(self, licence: str) -> list[Version] | None:
        """All versions; None when one is missing."""
        versions = self._versions.get(licence, [])
        known = [version for version in versions if version is not None]
        return known if len(known) == len(versions) else None

    def _right(self, at: str, event: ev.FeePosted) -> bool:
        history = self._history(event.licence)
        if history is None:
            return True
        version = next((each for each in reversed(history) if each.document == event.licence_document), None)
        if version is None or version.licence.tariff is None or version.licence.tariff.digest != event.tariff:
            return False
        if event.cause == "term":
            return self._right_months(event, history, version.licence)
        tariff = version.licence.tariff
        _, scenario, usage = self._made[str(event.release)]
        if version is not history[-1] or scenario != event.scenario or event.period != str(Period.holding(tariff.period, parse_time(at))):
            return False
        before = self._used.get((event.licence, event.period, event.tariff), {})
        used = usage if event.cause == "release" else USAGE_OF_DELIVERY
        return _same(event, fee_of(tariff, used, scenario=scenario, datasets=event.datasets, before=before))

    def _right_months(self, event: ev.FeePosted, history: list[Version], licence: Licence) -> bool:
        for version, months in self._due(event.licence, Period.parse(event.period), history):
            if version.document == event.licence_document and version.licence.tariff is not None:
                names = sorted(grant.dataset for grant in licence.datasets)
                return _same(event, fee_of(version.licence.tariff, {"month": months}, scenario=None, datasets=names, before={}))
        return False

    def _due(self, licence: str, period: Period, history: list[Version]) -> list[tuple[Version, int]]:
        ended = self._ended.get(licence)
        return months_due(period, history, None if ended is None else parse_time(ended))

    def _take(self, event: ev.FeePosted) -> None:
        if not event.free:
            used = self._used.setdefault((event.licence, event.period, event.tariff), {})
            for line in event.lines:
                used[line.item] = used.get(line.item, 0) + line.quantity
        parts = self._posted.setdefault((event.licence, event.period), {})
        for share in event.shares:
            parts[share.body] = parts.get(share.body, 0) + share.fen
        if event.cause == "term":
            self._months[event.licence, event.period] = self._months.get((event.licence, event.period), 0) + 1

    def _settled(self, event: ev.PeriodClosed) -> bool:
        period, history, key = Period.parse(event.period), self._history(event.licence), (event.licence, event.period)
        brought = self._carried.get((event.licence, str(Period(period.kind, period.number - 1))), {})
        settled = settle(self._posted.pop(key, {}), brought, event.allowed)
        self._carried[key] = dict(settled.carried)
        told = {share.body: (share.payable, share.carried) for share in event.shares}
        right = told == {body: (settled.payable.get(body, 0), carried) for body, carried in settled.carried.items()}
        if history is None:
            return right
        last = in_force(history, period.end)
        allowed = last.licence.tariff.allowed_fen if last is not None and last.licence.tariff is not None else None
        return right and allowed == event.allowed and self._months.pop(key, 0) == len(self._due(event.licence, period, history))


def _same(event: ev.FeePosted, fee: Fee) -> bool:
    told = [(line.item, line.measure, line.quantity, line.fen) for line in event.lines]
    shares = [(share.body, share.fen) for share in event.shares]
    return (told, shares, event.free) == (
        [(each.item, each.measure, each.quantity, each.fen) for each in fee.lines],
        list(fee.shares),
        fee.free,
    )
