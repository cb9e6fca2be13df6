"""Asking for a model, a synthetic table or the run of a program: one form each, with the three buttons of every job."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.console.pages.asking import BY, DELTA
from api.console.pages.releases import picture_of
from api.later import pages

router = pages("/console/ask")
MODELS = ("linear", "logistic", "poisson", "kmeans")
ERRORS = ("", "classical", "robust")
COMBINE = ("mean", "median", "winsorised", "sum")
FEATURES = 6  # rows of the form, unless more are asked for
MOST_FEATURES = 50
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
Fields = dict[str, str]


def scalar(text: str) -> bool | int | str:
    """What somebody typed for a value of unknown type: a whole number or a truth where it reads as one.

    >>> [scalar(text) for text in ("12", "true", "1.5", " A ")]
    [12, True, '1.5', 'A']
    """
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text


def _priced(fields: Fields) -> dict[str, Any]:
    """What every kind has."""
    by = fields["by"] if fields["by"] in BY else "epsilon"
    return {
        "licence": fields["licence"],
        "scenario": fields["scenario"],
        "privacy": {by: fields["amount"].strip(), "delta": fields["delta"].strip() or DELTA},
    }


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


# ── what each kind sends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def model_of(fields: Fields) -> dict[str, Any]:
    """The body of a job of kind model, from the form: empty fields are left to the interface."""
    features = [_feature(fields, place) for place in range(_rows(fields)) if fields.get(f"name{place}", "").strip()]
    kmeans = fields.get("model") == "kmeans"
    target = _given(name=fields.get("target", "").strip(), low=fields.get("target_low", "").strip(), high=fields.get("target_high", "").strip())
    told = _given(
        clusters=scalar(fields.get("clusters", "")) if kmeans else None,
        iterations=None if fields.get("model") == "linear" else scalar(fields.get("iterations", "")),
        clip=fields.get("clip", "").strip(),
        rows_per_unit=scalar(fields.get("rows_per_unit", "")),
        target=None if kmeans else target,
        regularisation=None if kmeans else fields.get("regularisation", "").strip(),
        errors=None if kmeans else fields.get("errors", ""),
    )
    if not kmeans:
        told["intercept"] = fields.get("intercept", "yes") == "yes"
    return {"kind": "model", "model": fields.get("model", ""), "source": fields.get("source", ""), "features": features, **told}


def _feature(fields: Fields, place: int) -> dict[str, Any]:
    said = {name: fields.get(f"{name}{place}", "").strip() for name in ("name", "expression", "low", "high", "missing", "categories")}
    listed = said.pop("categories")
    categories = "declared" if listed == "declared" else [scalar(item) for item in re.split(r"[,，、]", listed) if item.strip()]
    return _given(**said, categories=categories)


def _rows(fields: Fields) -> int:
    """How many rows of features the form shows: as many as it did, with a few more when they are asked for."""
    shown = fields.get("rows_shown", "")
    before = int(shown) if re.fullmatch(r"\d{1,3}", shown) else FEATURES
    return min(MOST_FEATURES, max(FEATURES, before + (FEATURES if fields.get("act") == "more" else 0)))


def _columns(fields: Fields) -> list[str]:
    return [name.removeprefix("column:") for name, value in fields.items() if name.startswith("column:") and value]


def synthetic_of(fields: Fields) -> dict[str, Any]:
    columns = _columns(fields)
    bins = {name: scalar(text) for name in columns if (text := fields.get(f"bins:{name}", "").strip())}
    told = _given(bins=bins, rows=scalar(fields.get("rows", "")), rows_per_unit=scalar(fields.get("rows_per_unit", "")))
    return {"kind": "synthetic", "dataset": fields.get("dataset", ""), "columns": columns, **told}


def program_of(fields: Fields) -> dict[str, Any]:
    parameters = {name.removeprefix("parameter:"): _parameter(value) for name, value in fields.items() if name.startswith("parameter:")}
    told = _given(blocks=scalar(fields.get("blocks", "")), seconds=fields.get("seconds", "").strip(), combine=fields.get("combine", ""))
    tables = [{"dataset": fields.get("dataset", ""), "columns": _columns(fields)}]
    return {"kind": "program", "program": fields.get("program", ""), "tables": tables, "parameters": parameters, **told}


def _parameter(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text.strip()


# ── the forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Kind:
    """`body`: what is sent, from the form's fields; `empty`: what the form shows at first."""

    name: str
    body: Callable[[Fields], dict[str, Any]]
    empty: Fields


KINDS = {
    kind.name: kind
    for kind in (
        Kind("model", model_of, {"model": "linear", "source": "", "target": "", "intercept": "yes", "errors": ""}),
        Kind("synthetic", synthetic_of, {"dataset": "", "rows": "", "rows_per_unit": ""}),
        Kind("program", program_of, {"program": "", "dataset": "", "combine": "mean", "blocks": "", "seconds": "1"}),
    )
}
COMMON = {"licence": "", "scenario": "", "by": "epsilon", "amount": "1", "delta": DELTA}


async def _form(page: Page, kind: Kind, fields: Fields, *, status: int = 200, **shown: Any) -> Response:
    """The form as it was filled in, and below it what came of it."""
    found = await page.api.get("/v1/licences", accounts=False)
    mine = [each for each in found["licences"] if each["state"] == "active" and kind.name in each["licence"]["job_kinds"]]
    datasets = sorted({grant["dataset"] for each in mine for grant in each["licence"]["datasets"]})
    context: dict[str, Any] = {"quote": None, "dummy": None, "picture": "", "problem": None, **shown}
    fields = {**COMMON, **kind.empty, **fields}
    if kind.name != "model":
        chosen = fields["dataset"] if fields["dataset"] in datasets else next(iter(datasets), "")
        known = await page.api.maybe(f"/v1/datasets/{quote(chosen, safe='')}") if chosen else None
        fields["dataset"], context["dataset"] = chosen, known["dataset"] if known else None
    if kind.name == "program":
        every = (await page.api.get("/v1/programs"))["programs"]
        context["programs"] = [each for each in every if each["state"] == "approved"]
        held = await page.api.maybe(f"/v1/programs/{quote(fields['program'], safe='')}") if fields["program"] else None
        context["program"] = held["manifest"] if held else None
    return page.show(
        f"ask_{kind.name}.html.j2",
        status=status,
        kind=kind.name,
        licences=mine,
        scenarios=sorted({scenario for each in mine for scenario in each["licence"]["scenarios"]}),
        datasets=datasets,
        values=fields,
        chosen=set(_columns(fields)),
        rows=_rows(fields),
        by=BY,
        models=MODELS,
        errors=ERRORS,
        combine=COMBINE,
        **context,
    )


async def _asked(page: Page, kind: Kind) -> Response:
    page.require("job_check")
    fields = await form_of(page.request)
    if fields.get("act", "more") in ("more", "choose"):  # another data set or program, or more rows: the form anew
        return await _form(page, kind, fields)
    body = {**kind.body(fields), **_priced({**COMMON, **fields})}
    try:
        match fields["act"]:
            case "submit":
                job = await page.api.post("/v1/jobs", body)
                return go(f"/console/jobs/{job['id']}")
            case "dummy":
                dummy = await page.api.post("/v1/jobs/dummy", body)
                return await _form(page, kind, fields, dummy=dummy, picture=picture_of(page, dummy["columns"], dummy["rows"]))
        return await _form(page, kind, fields, quote=await page.api.post("/v1/jobs/check", body))
    except Refused as refused:
        return await _form(page, kind, fields, status=refused.status, problem=refused.of_the_form())


def _pages(kind: Kind) -> None:
    async def show(page: Looking) -> Response:
        page.require("job_check")
        return await _form(page, kind, {name: value for name, value in page.request.query_params.items() if name in ("dataset", "program")})

    async def act(page: Looking) -> Response:
        return await _asked(page, kind)

    router.add_api_route(f"/{kind.name}", show, methods=["GET"])
    router.add_api_route(f"/{kind.name}", act, methods=["POST"])


for _kind in KINDS.values():
    _pages(_kind)
