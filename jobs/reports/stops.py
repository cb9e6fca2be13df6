"""What was stopped, recalled, withdrawn or changed, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from jobs.reports import words
from jobs.reports.activity import Activity
from jobs.reports.model import Cell, Section, Table, column, pair
from jobs.reports.source import Entry
from jobs.reports.world import World

STOPS = (
    "freeze_set", "freeze_thawed", "licence_suspended", "licence_resumed", "licence_revoked", "product_recalled", "release_returned",
    "dataset_withdrawn", "program_invalidated", "principal_suspended", "standing_ended", "key_revoked",
)  # fmt: skip
CHANGES = ("policy_changed", "pack_changed", "cap_raised")
COLUMNS = (
    column("at", "时间", "Time", "moment"),
    column("act", "措施", "Act"),
    column("subject", "对象", "About"),
    column("reason", "理由", "Reason"),
    column("by", "办理人", "By"),
    column("entry", "日志条目", "Entry", "count"),
)


class Whose:
    """Whose a thing is that an entry names by its id; read when it is asked for."""

    def __init__(self, activity: Activity, world: World) -> None:
        self._activity, self._world = activity, world

    def _named(self, kind: str, id: str, owner: str) -> dict[str, str]:
        return {entry[id]: str(entry[owner]) for entry in self._world.source.entries((kind,))}

    @cached_property
    def _licences(self) -> dict[str, str]:
        return {licence.id: licence.operator for licence in self._world.licences.values()}

    @cached_property
    def _products(self) -> dict[str, str]:
        return self._named("product_drafted", "product", "operator")

    @cached_property
    def _programs(self) -> dict[str, str]:
        return self._named("program_submitted", "program", "by")

    @cached_property
    def _keys(self) -> dict[str, str]:
        return self._named("key_issued", "prefix", "principal")

    @cached_property
    def _standings(self) -> dict[str, str]:
        return self._named("standing_proposed", "standing", "licence")

    @cached_property
    def _jobs(self) -> dict[str, str]:
        """Of results that were returned."""
        returned = self._named("release_returned", "job", "by")
        return {job: seen.operator for job, seen in self._activity.jobs(returned).items()}

    @cached_property
    def _freezes(self) -> dict[str, Entry]:
        return {entry["freeze"]: entry for entry in self._world.source.entries(("freeze_set",))}

    @cached_property
    def _granted(self) -> dict[str, set[str]]:
        return {
            licence.id: {grant.dataset.casefold() for version in licence.versions for grant in version.licence.datasets}
            for licence in self._world.licences.values()
        }

    def touches(self, entry: Entry, operator: str) -> bool:
        """Whether the entry is about something of this operator's, or about everything."""
        match entry.kind:
            case "freeze_set" | "freeze_thawed":
                scope, subject = self.frozen(entry)
                if scope == "dataset":
                    return self._uses(operator, subject)
                return scope == "everything" or (subject == operator if scope == "operator" else self._licences.get(subject) == operator)
            case "product_recalled":
                return self._products.get(entry["product"]) == operator
            case "release_returned":
                return self._jobs.get(entry["job"]) == operator
            case "dataset_withdrawn":
                return self._uses(operator, entry["dataset"].casefold())
            case "program_invalidated":
                return self._programs.get(entry["program"]) == operator
            case "principal_suspended":
                return bool(entry["principal"] == operator)
            case "key_revoked":
                return self._keys.get(entry["prefix"]) == operator
            case "standing_ended":
                return self._licences.get(self._standings.get(entry["standing"], "")) == operator
            case "cap_raised":
                kind, _, subject = entry["account"].partition(":")
                return self._licences.get(subject) == operator if kind == "licence" else subject.startswith(f"{operator}@")
            case "policy_changed" | "pack_changed":
                return True
        return self._licences.get(entry.get("licence") or "") == operator

    def _uses(self, operator: str, dataset: str) -> bool:
        return any(dataset in granted and self._licences[licence] == operator for licence, granted in self._granted.items())

    def frozen(self, entry: Entry) -> tuple[str, str]:
        freeze = self._freezes.get(entry["freeze"], entry)
        return str(freeze["scope"]), str(freeze["subject"])

    def subject(self, entry: Entry) -> Cell:
        if entry.kind in ("freeze_set", "freeze_thawed"):
            scope, subject = self.frozen(entry)
            kind = words.said(words.SCOPES, scope)
            return pair(f"{kind.zh} {subject}".strip(), f"{kind.en} {subject}".strip())
        for name in ("licence", "product", "job", "dataset", "program", "principal", "prefix", "standing", "account", "policy", "pack"):
            if entry.get(name):
                version = entry.get("version")
                return f"{entry[name]} v{version}" if name in ("product", "dataset") and version else str(entry[name])
        return None


def acts(activity: Activity, world: World, kinds: tuple[str, ...], name: str, zh: str, en: str) -> Table:
    """These entries of the period, in order: of everybody, or those that touch the operator."""
    whose, operator = Whose(activity, world), activity.operator

    def rows() -> Iterator[tuple[Cell, ...]]:
        for entry in activity.events(*kinds):
            if operator is None or whose.touches(entry, operator):
                reason = entry.get("reason") or (", ".join(entry["codes"]) if entry.get("codes") else None)
                yield entry.at, words.said(words.EVENTS, entry.kind), whose.subject(entry), reason, entry["by"], str(entry.index)

    return Table(name=name, title=pair(zh, en), columns=COLUMNS, rows=tuple(rows()))


def oversight(activity: Activity, world: World) -> Section:
    """What the bureau did: reviews of results, and acts that stop or change something."""
    reviews = Table(
        name="reviews",
        title=pair("结果审核", "Reviews of results"),
        columns=(column("outcome", "结论", "Outcome"), column("times", "件数", "Times", "count")),
        rows=tuple((words.said(words.VERDICTS, name), str(times)) for name, times in sorted(activity.decided.items())),
    )
    table = acts(activity, world, (*STOPS, *CHANGES), "acts", "监管措施", "Acts of supervision")
    return Section(name="oversight", title=pair("审核与监管", "Review and supervision"), tables=(reviews, table))
