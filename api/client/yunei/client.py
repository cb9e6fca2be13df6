"""The client: one method per thing an operator or builder does, each raising `YuneiProblem` with what went wrong and what to do."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from yunei.agreements import Agreements
from yunei.alerts import Alerts
from yunei.answer import Answer, format_of, read_arrow
from yunei.authority import Authority
from yunei.batches import Batches
from yunei.billing import Billing
from yunei.caps import Caps
from yunei.catalogues import Catalogues
from yunei.config import Config
from yunei.download import download
from yunei.evidence import Evidence, Head, RemoteLog, Watcher, speaking
from yunei.fits import Fits
from yunei.mailbox import Mailboxes
from yunei.models import Account, Dummy, Format, Job, Licence, Quote, Release
from yunei.people import People
from yunei.problem import YuneiProblem, problem
from yunei.products import Products
from yunei.reports import Reports
from yunei.reviews import Reviews
from yunei.rulepacks import RulePacks
from yunei.synthetics import Synthetics
from yunei.tiles import Progress, Source, Verified, verify_log
from yunei.tls import Tls
from yunei.transparency import Checkpoint, Key
from yunei.transport import Http, checked_url
from yunei.trust import Trust
from yunei.words import Language

if TYPE_CHECKING:
    import httpx2

Amount = Decimal | int | float | str
Watch = Callable[[Job], None]
POLL_S = 25.0  # how long the server may hold one question about a job back
PATIENCE_S = 60.0  # how long a server may be away, as in a restart, while a job is waited for
PAGE = 100


def request_body(
    sql: str | Mapping[str, Any],
    *,
    licence: str,
    scenario: str,
    epsilon: Amount | None = None,
    rho: Amount | None = None,
    delta: Amount | None = None,
    groups_per_unit: int | None = None,
    rows_per_group: int | None = None,
    ranges: Mapping[str, tuple[Amount, Amount]] | None = None,
    accuracy: str | None = None,
    weights: Mapping[str, int] | None = None,
    edges: int | None = None,
) -> dict[str, Any]:
    """The one body that `check`, `dummy` and `submit` share. Amounts travel as decimal strings: `0.1` means a tenth, exactly.

    In place of SQL, a request of another kind as it travels: {"kind": "program", "program": …, "tables": …}. What it says itself stands;
    the loss may be named here or there."""
    privacy = {
        name: str(value) for name, value in (("epsilon", epsilon), ("rho", rho), ("accuracy", accuracy), ("delta", delta)) if value is not None
    }
    body: dict[str, Any] = {"licence": licence, "scenario": scenario}
    body |= {"sql": sql, "privacy": privacy} if isinstance(sql, str) else {**sql, **({"privacy": privacy} if privacy else {})}
    if groups_per_unit is not None:
        body["groups_per_unit"] = groups_per_unit
    if rows_per_group is not None:
        body["rows_per_group"] = rows_per_group
    if ranges:
        body["ranges"] = {column: {"low": str(low), "high": str(high)} for column, (low, high) in ranges.items()}
    if edges is not None:
        body["edges"] = edges
    if weights:
        body["weights"] = dict(weights)
    return body


class Client(Alerts, Authority, Batches, Billing, Caps, Agreements, Catalogues, Fits, Mailboxes, Products, Reports, RulePacks, Synthetics):
    """A connection to a yunei server.

    `url` and `key` default to the configuration (environment, then config file); `anonymous`: no key. `language` of words ("zh", "en")
    defaults to the locale's; `timeout` is seconds per request, beyond what a long poll asks for; `state` is the file that remembers logs.
    The keyword arguments of a job are those of `request_body`: `licence`, `scenario`, `epsilon` or `rho` or `accuracy` ("50", "2%"),
    `delta`, `groups_per_unit`, `rows_per_group`, `ranges={"column": (low, high)}`, `weights={"label": 2}`, `edges`. In place of SQL, `check`,
    `dummy`, `submit` and `ask` take a request of another kind as a mapping, e.g. {"kind": "program", …}.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        language: Language | None = None,
        timeout: float = 30.0,
        *,
        state: str | Path | None = None,
        retries: int = 3,
        allow_http: bool | None = None,
        anonymous: bool = False,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        tls: Tls | None = None,
    ) -> None:
        config = Config.load()
        self.language: Language = language or config.language
        secret = None if anonymous else key.strip() if key is not None else config.key
        insecure = config.allow_http if allow_http is None else allow_http
        has_key = secret is not None or anonymous  # who comes without one may be about to get one
        self.url = checked_url(url or config.url, has_key=has_key, allow_http=insecure, language=self.language)
        self.trust = Trust(Path(state) if state is not None else config.state)
        self._clock = clock
        self._pause = pause
        self._http = Http(
            self.url,
            secret,
            language=self.language,
            timeout=timeout,
            retries=retries,
            pause=pause,
            transport=transport,
            clock=clock,
            tls=config.tls if tls is None else tls,
        )

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @property
    def people(self) -> People:
        """Principals, keys, appointments, sessions."""
        return People(self._http)

    @property
    def reviews(self) -> Reviews:
        """Exact tables and the people who let them out."""
        return Reviews(self._http)

    def sign_in(self, show: Callable[[str], object], *, patience_s: float = 300.0) -> Mapping[str, Any]:
        """Sign in through a browser: `show` is handed the address to open. The answer's `secret` is used as a key from then on."""
        from yunei.signin import sign_in

        return sign_in(self._http, show, patience_s=patience_s)

    # --- jobs -----------------------------------------------------------------------------------------------------------------------

    def check(self, sql: str | Mapping[str, Any], **job: Any) -> Quote:
        """Price, expected error and every refusal, for free: nothing is read, spent or logged."""
        return Quote.read(self._http.json("POST", "/v1/jobs/check", body=request_body(sql, **job)), self.language)

    def dummy(self, sql: str | Mapping[str, Any], **job: Any) -> Dummy:
        """The job on invented rows: right columns and types, meaningless values, no cost."""
        return Dummy.read(self._http.json("POST", "/v1/jobs/dummy", body=request_body(sql, **job)), self.language)

    def submit(self, sql: str | Mapping[str, Any], *, idempotency_key: str | None = None, **job: Any) -> Job:
        """Submit for real. A repeated submission with one `idempotency_key` (made up when not given) is one job and one charge."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._job(self._http.json("POST", "/v1/jobs", body=request_body(sql, **job), headers=headers))

    def wait(self, job: Job | str, timeout_s: float | None = None, progress: Watch | None = None) -> Job:
        """Until the job has ended, whichever way; `progress` is called with each state seen. A server that is away for up to a minute is
        waited for. Raises `client_still_running` after `timeout_s` seconds (None: no limit); the job goes on."""
        id_ = _id(job)
        until = None if timeout_s is None else self._clock() + timeout_s
        lost_since: float | None = None
        while True:
            wait_s = POLL_S if until is None else max(0.0, min(POLL_S, until - self._clock()))
            try:
                found = self._job(self._http.json("GET", f"/v1/jobs/{_part(id_)}", params={"wait_s": f"{wait_s:.3g}"}, extra_s=wait_s))
            except YuneiProblem as trouble:
                lost_since = self._clock() if lost_since is None else lost_since
                gone = trouble.code == "client_unreachable" or trouble.status in (502, 503, 504)
                if not gone or self._clock() - lost_since > PATIENCE_S or (until is not None and self._clock() >= until):
                    raise
                self._pause(1.0)
                continue
            lost_since = None
            if progress is not None:
                progress(found)
            if found.done:
                return found
            if until is not None and self._clock() >= until:
                raise problem("client_still_running", language=self.language, job=id_, state=found.state, seconds=f"{timeout_s:g}")

    def ask(self, sql: str | Mapping[str, Any], *, timeout_s: float | None = None, progress: Watch | None = None, **job: Any) -> Answer:
        """Submit, wait and fetch. Raises the job's own problem when it published nothing."""
        submitted = self.submit(sql, **job)
        if progress is not None:
            progress(submitted)
        return self.answer(submitted if submitted.done else self.wait(submitted, timeout_s, progress))

    def answer(self, of: Job | Release | str) -> Answer:
        """The answer of a finished job, or of a release by itself or its id."""
        if isinstance(of, Job):
            of = self.published(of)
        release = of if isinstance(of, Release) else self.release(of)
        data = self.table(release.id, "arrow")
        file, digest = release.file("arrow"), hashlib.sha256(data).hexdigest()
        if file is not None and file.sha256 != digest:
            raise problem("verify_release", language=self.language, what=f"SHA-256 {digest} ≠ {file.sha256}")
        return Answer(self, release, data)

    def published(self, job: Job) -> str:
        """The id of the job's release. Raises the job's problem, or `client_not_published`, when there is none."""
        if job.release is not None and job.state == "published":
            return job.release
        raise job.problem or problem("client_not_published", language=self.language, job=job.id, state=job.state)

    def jobs(self, limit: int | None = None) -> Iterator[Job]:
        """Your jobs, newest first, page by page."""
        before: str | None = None
        count = 0
        while True:
            size = PAGE if limit is None else min(PAGE, limit - count)
            if size <= 0:
                return
            page = self._http.json("GET", "/v1/jobs", params={"limit": size, **({"before": before} if before else {})})
            for data in self._list(page, "jobs"):
                yield self._job(data)
                count += 1
            before = page.get("next")
            if not before:
                return

    def job(self, id_: str) -> Job:
        return self._job(self._http.json("GET", f"/v1/jobs/{_part(id_)}"))

    def cancel(self, job: Job | str) -> Job:
        """Free before rows are read; afterwards the charge stays."""
        id_ = _id(job)
        return self._job(self._http.json("POST", f"/v1/jobs/{_part(id_)}/cancel", repeat="unsent"))

    # --- what there is --------------------------------------------------------------------------------------------------------------

    def licences(self) -> list[Licence]:
        return [Licence.read(data, self.language) for data in self._list(self._http.json("GET", "/v1/licences"), "licences")]

    def licence(self, id_: str) -> Licence:
        return Licence.read(self._http.json("GET", f"/v1/licences/{_part(id_)}"), self.language)

    def accounts(self) -> list[Account]:
        return [Account.read(data) for data in self._list(self._http.json("GET", "/v1/accounts"), "accounts")]

    def me(self) -> Mapping[str, Any]:
        """Who the key belongs to: principal, role, acts, licences."""
        found = self._http.json("GET", "/v1/me")
        if not isinstance(found, dict) or "principal" not in found:
            raise problem("client_not_yunei", language=self.language, status=200)
        return found

    # --- releases -------------------------------------------------------------------------------------------------------------------

    def releases(
        self,
        limit: int | None = None,
        *,
        licence: str | None = None,
        operator: str | None = None,
        scenario: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Release]:
        """Releases you may see, newest first, page by page: those of your jobs, or all for a builder or the bureau. Times are of publication
        and aware; `left` is empty in a list."""
        asked = {"licence": licence, "operator": operator, "scenario": scenario}
        asked |= {name: None if moment is None else moment.isoformat() for name, moment in (("since", since), ("until", until))}
        wanted = {name: value for name, value in asked.items() if value is not None}
        before: int | None = None
        count = 0
        while True:
            size = PAGE if limit is None else min(PAGE, limit - count)
            if size <= 0:
                return
            params: dict[str, Any] = {**wanted, "limit": size, **({} if before is None else {"before": before})}
            page = self._http.json("GET", "/v1/releases", params=params)
            for data in self._list(page, "releases"):
                yield Release.read(data, self.language)
                count += 1
            before = page.get("next")
            if before is None:
                return

    def release(self, id_: str) -> Release:
        return Release.read(self._http.json("GET", f"/v1/releases/{_part(id_)}"), self.language)

    def fetch(self, release: Release | str, format: Format, path: str | Path) -> Path:
        """The table's bytes in `format`, into `path`: an interrupted download goes on where it stopped, a file that is already right is
        left alone, and what arrives is checked against its digest before it takes its name."""
        return download(self._http, f"/v1/releases/{_part(_id(release))}/table", {"format": format}, Path(path))

    def receipt(self, release: Release | str) -> str:
        return self._http.text(f"/v1/releases/{_part(_id(release))}/receipt")

    # --- evidence -------------------------------------------------------------------------------------------------------------------

    @property
    def log(self) -> Source:
        """The server's log, as tiles over HTTP."""
        return RemoteLog(self._http)

    def head(self, key: str | Key | None = None, *, witnesses: Iterable[Key] = (), repin: bool = False) -> Head:
        """The newest checkpoint, signed by the log's key (`key`, else the one pinned at first use) and by every one of `witnesses`, shown to
        extend the checkpoint seen last time, and remembered. Raises `verify_*`."""
        with speaking(self.language):
            return Watcher(self._http, self.trust).head(key, tuple(witnesses), repin=repin)

    def verify_log(
        self,
        key: str | Key | None = None,
        *,
        since: Iterable[Checkpoint] = (),
        witnesses: Iterable[Key] = (),
        progress: Progress | None = None,
        repin: bool = False,
    ) -> Verified:
        """Recompute the whole log from its entries, through the checkpoints of `since` and the one seen last time. Raises `verify_*`."""
        with speaking(self.language):
            head = self.head(key, witnesses=witnesses, repin=repin)
            older = (*since, *((head.since,) if head.since else ()))
            return verify_log(self.log, head.checkpoint, older, progress)

    def verify(
        self,
        release: Release | str,
        *,
        receipt: str | None = None,
        arrow: bytes | None = None,
        path: str | Path | None = None,
        key: str | Key | None = None,
    ) -> Evidence:
        """That the log holds this release, that the log is the one known here, and that the bytes are those the log names.

        The bytes are `arrow` or are fetched; a file at `path` is checked to hold the same table. Raises `verify_*`.
        """
        id_ = _id(release)
        with speaking(self.language):
            text = receipt if receipt is not None else self.receipt(id_)
            data = arrow if arrow is not None else self.table(id_, "arrow")
            evidence = Watcher(self._http, self.trust).release(id_, text, data, key)
            if path is not None and not self._holds(id_, Path(path), data):
                raise problem("verify_release", what=str(path))
            return evidence

    def _holds(self, id_: str, path: Path, arrow: bytes) -> bool:
        """Whether the file has the table of these Arrow bytes. Text formats are not read back exactly: the server encodes the table again,
        always to the same bytes."""
        format = format_of(path)
        if format == "arrow":
            return path.read_bytes() == arrow
        if format == "parquet":
            import pyarrow.parquet

            return bool(pyarrow.parquet.read_table(path).equals(read_arrow(arrow)))
        return path.read_bytes() == self.table(id_, format)

    def table(self, release: Release | str, format: Format) -> bytes:
        """The table's bytes as the server encodes them in `format`."""
        return self._http.content(f"/v1/releases/{_part(_id(release))}/table", params={"format": format})

    def _job(self, data: object) -> Job:
        return Job.read(data, self.language)

    def _list(self, data: object, name: str) -> list[Any]:
        found = data.get(name) if isinstance(data, dict) else None
        if not isinstance(found, list):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found


def _id(thing: Job | Release | str) -> str:
    return thing if isinstance(thing, str) else thing.id


def _part(text: str) -> str:
    """An id as one segment of a path: `..` or `/` in it stay inside the segment."""
    return quote(text, safe="") if text not in (".", "..") else "%2E" * len(text)
