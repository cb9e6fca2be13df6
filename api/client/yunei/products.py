"""The part of the client that deals with data products: made, registered, found, fetched, verified."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from yunei.download import download
from yunei.evidence import Watcher
from yunei.manifest import SUFFIX, ProductEvidence, verify_product
from yunei.problem import problem
from yunei.transparency import Key
from yunei.transport import Http
from yunei.trust import Trust
from yunei.words import Language

ProductFormat = Literal["parquet", "arrow", "csv", "excel", "json"]
SUFFIXES: Mapping[ProductFormat, str] = {"parquet": "parquet", "arrow": "arrow", "csv": "csv", "excel": "excel.csv", "json": "json"}
BESIDE = {"croissant": "croissant.json", "dcat": "dcat.jsonld"}


class Products:
    """What a `Client` can do with products. What is answered is what the server shows, as mappings."""

    _http: Http
    language: Language
    trust: Trust

    def products(self, find: str = "") -> list[Mapping[str, Any]]:
        """All that this key may see, or those that `find` is about, best first; Chinese too."""
        return list(self._product("GET", "", params={"q": find} if find else None)["products"])

    def product(self, id: str) -> Mapping[str, Any]:
        return self._product("GET", f"/{quote(id, safe='')}")

    def draft_product(self, description: Mapping[str, Any]) -> Mapping[str, Any]:
        """`description`: id, title, about, terms in both languages, keywords, renewed, contact."""
        return self._product("POST", "", dict(description))

    def describe_product(self, description: Mapping[str, Any]) -> Mapping[str, Any]:
        """Another description of a draft, which its `id` names; whole."""
        said = {name: value for name, value in description.items() if name != "id"}
        return self._product("PUT", f"/{quote(str(description.get('id', '')), safe='')}/description", said)

    def add_product_version(self, id: str, releases: Sequence[str]) -> Mapping[str, Any]:
        """The next version, of the tables of these releases, in order."""
        return self._product("POST", f"/{quote(id, safe='')}/versions", {"releases": list(releases)})

    def propose_product(self, id: str) -> int:
        """The first of two supervisors. Returns the entry the second one names."""
        return int(self._product("POST", f"/{quote(id, safe='')}/propose")["proposal"])

    def register_product(self, id: str, *, proposal: int | None = None) -> Mapping[str, Any]:
        return self._product("POST", f"/{quote(id, safe='')}/register", {"proposal": proposal})

    def publish_product(self, id: str) -> Mapping[str, Any]:
        return self._product("POST", f"/{quote(id, safe='')}/publish")

    def deprecate_product(self, id: str, reason: str, *, successor: str | None = None) -> Mapping[str, Any]:
        return self._product("POST", f"/{quote(id, safe='')}/deprecate", {"reason": reason, "successor": successor})

    def recall_product(self, id: str, reason: str, *, version: int | None = None) -> Mapping[str, Any]:
        """No delivery from now on: of the product, for good, or of one version."""
        return self._product("POST", f"/{quote(id, safe='')}/recall", {"reason": reason, "version": version})

    def entitle_builder(
        self, id: str, builder: str, *, until: datetime | None = None, deliveries_a_month: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Let a builder have it delivered. Returns who is entitled."""
        body = {"builder": builder, "until": until and until.isoformat(), "deliveries_a_month": deliveries_a_month}
        return list(self._product("POST", f"/{quote(id, safe='')}/entitlements", body)["entitlements"])

    def end_entitlement(self, id: str, builder: str, reason: str) -> list[Mapping[str, Any]]:
        body = {"builder": builder, "reason": reason}
        return list(self._product("POST", f"/{quote(id, safe='')}/entitlements/end", body)["entitlements"])

    def entitlements(self, id: str) -> list[Mapping[str, Any]]:
        return list(self._product("GET", f"/{quote(id, safe='')}/entitlements")["entitlements"])

    def preview_product(self, id: str, *, version: int | None = None) -> Mapping[str, Any]:
        """The first rows, and the columns."""
        return self._product("GET", f"/{quote(id, safe='')}/preview", params=_numbered(version))

    def product_manifest(self, id: str, *, version: int | None = None) -> bytes:
        """The DSSE envelope, as the server has it."""
        return self._http.content(f"/v1/products/{quote(id, safe='')}/manifest", params=_numbered(version))

    def product_metadata(self, id: str, format: Literal["croissant", "dcat"] = "croissant", *, version: int | None = None) -> bytes:
        return self._http.content(f"/v1/products/{quote(id, safe='')}/metadata", params={"format": format, **(_numbered(version) or {})})

    def deliver_product(self, id: str, format: ProductFormat = "parquet", *, version: int | None = None) -> Mapping[str, Any]:
        """Have it delivered: one delivery, charged for once. The answer's `url` is whole, and good without a key until `expires_at`."""
        made = dict(self._product("POST", f"/{quote(id, safe='')}/deliveries", {"format": format, "version": version}))
        return made | {"url": f"{self._http.url}{made['url']}"}

    def deliveries(self, *, product: str | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        """Newest first: a builder's own, an operator's of its products, for the bureau all."""
        found = self._http.json("GET", "/v1/deliveries", params={"limit": limit, **({"product": product} if product else {})})
        return list(found["deliveries"])

    def fetch_product(
        self, id: str, folder: str | Path = ".", format: ProductFormat = "parquet", *, version: int | None = None, evidence: bool = True
    ) -> Path:
        """The table as a file in `folder`, resumed where an earlier attempt stopped; with `evidence`, its manifest and metadata beside it.
        Returns the path of the table."""
        number = version or _newest(self.product(id))
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{id}-v{number}.{SUFFIXES[format]}"
        download(self._http, f"/v1/products/{quote(id, safe='')}/table", {"format": format, "version": str(number)}, target)
        if evidence:
            for form, suffix in BESIDE.items():
                known: Any = form
                (folder / f"{id}-v{number}.{suffix}").write_bytes(self.product_metadata(id, known, version=number))
            (folder / f"{id}-v{number}{SUFFIX}").write_bytes(self.product_manifest(id, version=number))
        return target

    def verify_product(self, manifest: str | Path, key: str | Key | None = None) -> ProductEvidence:
        """A fetched product against its manifest and this server's log key (given, or the one remembered). Nothing but the key is asked of the
        server. Raises `verify_manifest` when a link does not hold."""
        watcher = Watcher(self._http, self.trust)
        held = watcher.key(key)
        pinned = self.trust.pin(self._http.url)
        path = Path(manifest)
        return verify_product(path.read_bytes(), path.parent, (held, *(pinned.past if pinned else ()))).require()

    def set_schedule(self, id: str, job: Mapping[str, Any], releases_at_most: int) -> list[Mapping[str, Any]]:
        """A release on each new version of the data `job` reads (a body as `request_body` makes it), added to the product, at most so many."""
        return list(
            self._product("POST", f"/{quote(id, safe='')}/schedules", {"job": dict(job), "releases_at_most": releases_at_most})["schedules"]
        )

    def set_running(
        self, id: str, job: Mapping[str, Any], first: date, periods: int, way: Literal["auto", "tree", "anew"] = "auto"
    ) -> list[Mapping[str, Any]]:
        """Running totals from the period that begins on `first`: a release when each of `periods` periods is over, and a version that adds up
        all there is."""
        return list(self._product("POST", f"/{quote(id, safe='')}/schedules", _running(job, first, periods, way))["schedules"])

    def check_running(
        self, id: str, job: Mapping[str, Any], first: date, periods: int, way: Literal["auto", "tree", "anew"] = "auto"
    ) -> Mapping[str, Any]:
        """What that would cost and how exact it would be: by the tree, and paying each total anew. Free."""
        return self._product("POST", f"/{quote(id, safe='')}/schedules/check", _running(job, first, periods, way))

    def continue_schedule(self, id: str, schedule: str, periods: int) -> list[Mapping[str, Any]]:
        """Go on with a running total that was stopped, to the end of period `periods`."""
        path = f"/{quote(id, safe='')}/schedules/{quote(schedule, safe='')}/continue"
        return list(self._product("POST", path, {"periods": periods})["schedules"])

    def schedules(self, id: str) -> list[Mapping[str, Any]]:
        return list(self._product("GET", f"/{quote(id, safe='')}/schedules")["schedules"])

    def stop_schedule(self, id: str, schedule: str) -> list[Mapping[str, Any]]:
        return list(self._product("POST", f"/{quote(id, safe='')}/schedules/{quote(schedule, safe='')}/stop")["schedules"])

    def webhooks(self) -> list[Mapping[str, Any]]:
        return list(self._http.json("GET", "/v1/webhooks")["webhooks"])

    def open_webhook(self, url: str, topics: Sequence[str], *, product: str | None = None) -> Mapping[str, Any]:
        """Be told by signed webhook (Standard Webhooks). The answer holds the webhook and the secret that checks signatures, shown once."""
        return self._hook("", {"url": url, "topics": list(topics), "subject": product})

    def rotate_webhook(self, id: str) -> Mapping[str, Any]:
        """Another secret; the one before signs too, for a day."""
        return self._hook(f"/{quote(id, safe='')}/rotate")

    def try_webhook(self, id: str) -> str:
        """Have a trial sent. Returns the message's id."""
        return str(self._hook(f"/{quote(id, safe='')}/test")["message"])

    def close_webhook(self, id: str) -> Mapping[str, Any]:
        return self._hook(f"/{quote(id, safe='')}/close")

    def webhook_messages(self, id: str) -> list[Mapping[str, Any]]:
        """What was sent, with every attempt, newest first."""
        return list(self._http.json("GET", f"/v1/webhooks/{quote(id, safe='')}/messages")["messages"])

    def _hook(self, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        found = self._http.json("POST", f"/v1/webhooks{path}", body=dict(body or {}), repeat="unsent")
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found

    def sharing_profile(self, key: str) -> str:
        """A profile file of Delta Sharing for this server and `key` (which need be good for `product_fetch` alone)."""
        profile = {"shareCredentialsVersion": 1, "endpoint": f"{self._http.url}/v1/sharing", "bearerToken": key}
        return json.dumps(profile, indent=2) + "\n"

    def _product(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, params: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        sent = {} if method == "POST" and body is None else body
        found = self._http.json(method, f"/v1/products{path}", body=sent, params=params, repeat="safe" if method == "GET" else "unsent")
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found


def _newest(product: Mapping[str, Any]) -> int:
    """The newest version that stands; of none that does, the newest, so that the server says why it is not to be had."""
    numbers = {state: [int(each["version"]) for each in product["versions"] if each["state"] == state] for state in ("current", "recalled")}
    return max(numbers["current"] or numbers["recalled"], default=1)


def _running(job: Mapping[str, Any], first: date, periods: int, way: str) -> dict[str, Any]:
    return {"job": dict(job), "running": {"first": first.isoformat(), "periods": periods, "way": way}}


def _numbered(version: int | None) -> dict[str, str] | None:
    return None if version is None else {"version": str(version)}
