"""Reports: the part of the client that previews, issues, lists and fetches them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

from yunei.problem import problem
from yunei.transport import Http

ReportKind = Literal["disclosure", "usage", "revenue", "filing", "incident"]
ReportForm = Literal["html", "pdf", "csv", "json"]
REPORT_FORMS: tuple[ReportForm, ...] = get_args(ReportForm)
SUFFIX = ".intoto.json"


class Reports:
    """Mixed into `Client`."""

    _http: Http

    def report_kinds(self) -> list[dict[str, Any]]:
        """The kinds there are, with their periods and the articles they serve."""
        return list(self._http.json("GET", "/v1/reports/kinds")["kinds"])

    def reports(self, *, kind: str | None = None, period: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Those issued that you may see, newest first."""
        asked = _given(kind=kind, period=period, limit=limit)
        return list(
            self._http.json("GET", "/v1/reports", params={name: value for name, value in asked.items() if value is not None})["reports"]
        )

    def preview_report(
        self,
        kind: str,
        *,
        period: str | None = None,
        subject: str | None = None,
        size: int | None = None,
        format: ReportForm = "json",
        language: str | None = None,
    ) -> bytes:
        """A file of the report as of now, or of the first `size` entries; entered nowhere."""
        asked = _given(kind=kind, period=period, subject=subject, size=size, format=format, language=language)
        return self._http.content("/v1/reports/preview", params=asked)

    def issue_report(self, kind: str, *, period: str | None = None, subject: str | None = None) -> dict[str, Any]:
        """Issue one: a supervisor's act."""
        body = {"kind": kind, "period": period, "subject": subject}
        return dict(self._http.json("POST", "/v1/reports", body=body))

    def report_orders(self) -> list[dict[str, Any]]:
        """What the server issues by its clock, newest order first."""
        return list(self._http.json("GET", "/v1/report-orders")["orders"])

    def order_report(self, kind: str, every: str, *, subject: str | None = None) -> dict[str, Any]:
        """Have one issued when each period is over, from the present one on: a supervisor's act."""
        return dict(self._http.json("POST", "/v1/report-orders", body={"kind": kind, "every": every, "subject": subject}))

    def end_report_order(self, id_: str, *, reason: str) -> dict[str, Any]:
        return dict(self._http.json("POST", f"/v1/report-orders/{quote(id_, safe='')}/end", body={"reason": reason}))

    def report(self, id_: str) -> dict[str, Any]:
        return dict(self._http.json("GET", f"/v1/reports/{quote(id_, safe='')}"))

    def report_statement(self, id_: str) -> dict[str, Any]:
        """The signed statement about its files, as `yunei report verify` takes it."""
        return dict(self._http.json("GET", f"/v1/reports/{quote(id_, safe='')}/statement"))

    def fetch_report(
        self, id_: str, folder: str | Path = ".", *, forms: tuple[ReportForm, ...] = REPORT_FORMS, language: str | None = None
    ) -> list[Path]:
        """Its files, in both languages or one, and the statement, into a folder. Returns their paths, the statement's last."""
        found, target = self.report(id_), Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = [self._fetch(id_, file, target) for file in _wanted(found["files"], forms, language)]
        stem = next(file["name"] for file in found["files"] if file["form"] == "json").removesuffix(".json")
        statement = target / f"{stem}{SUFFIX}"
        statement.write_text(json.dumps(self.report_statement(id_), indent=2) + "\n", encoding="utf-8")
        return [*paths, statement]

    def _fetch(self, id_: str, file: Mapping[str, Any], target: Path) -> Path:
        params = {"language": file["language"]} if file["language"] else {}
        body = self._http.content(f"/v1/reports/{quote(id_, safe='')}/files/{file['form']}", params=params)
        path = target / str(file["name"])
        if hashlib.sha256(body).hexdigest() != file["sha256"]:
            raise problem("verify_release", language=self._http.language, what=str(path))
        path.write_bytes(body)
        return path


def _given(**asked: Any) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _wanted(files: list[Mapping[str, Any]], forms: tuple[str, ...], language: str | None) -> Iterator[Mapping[str, Any]]:
    for file in files:
        if file["form"] in forms and (language is None or file["language"] in (None, language)):
            yield file
