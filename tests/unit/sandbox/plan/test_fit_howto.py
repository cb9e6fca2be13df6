"""What docs/how-to/models.md shows is run: the file and the Python against the demo's catalogue, the commands against the table of verbs."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

import yunei
from api.demo.data import text_of
from api.schemas.model import MODEL, ModelJob
from policies.catalogue import Catalogue, Snapshot, dataset_from_toml
from policies.licence import licence_from_toml
from sandbox.fit_steps import dummy_fit
from sandbox.noise.fit import check_fit
from sandbox.plan.fit.compile import compile_fit
from yunei.cli.verbs import find
from yunei.fits import fit_body

PAGE = (Path(__file__).resolve().parents[4] / "docs/how-to/models.md").read_text(encoding="utf-8")
DEMO = Catalogue((Snapshot(dataset=dataset_from_toml(text_of("catalogues/nafld1.toml")), version=1, digest="0" * 64),))


def tried(body: dict[str, Any]) -> list[str]:
    """The request compiled, priced against OpenDP and tried on invented rows; its terms."""
    plan = compile_fit(ModelJob.model_validate(body).request().ask, DEMO)
    check_fit(plan)
    terms: list[str] = dummy_fit(plan, DEMO).table.column(0).to_pylist()
    return terms


def test_the_file_is_a_model_of_the_demos_data() -> None:
    _, text = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    model = tomllib.loads(text, parse_float=Decimal)
    body = fit_body(model, licence="demo-2026-01", scenario="chronic-disease", epsilon="0.5")
    assert body["privacy"] == {"epsilon": "0.5", "delta": "1E-8"}
    assert tried(body) == ["(intercept)", "age", "bmi", "male=1"]


def test_the_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    seen: list[list[str]] = []

    class Stub:
        release = "rel-1"

        def __init__(self, *_: Any, **__: Any) -> None: ...
        def __enter__(self) -> Self:
            return self

        def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
        def check_model(self, model: dict[str, Any], **job: Any) -> Stub:
            seen.append(tried(fit_body(model, **job)))
            return self

        fit = check_model

        def to_pandas(self) -> None: ...
        def model_card(self, release: str) -> None:
            assert release == self.release

    for name in ("check_model", "fit", "model_card"):
        assert hasattr(yunei.Client, name)
    monkeypatch.setattr(yunei, "Client", Stub)
    exec(code, {})
    assert seen == [["(intercept)", "age", "male"]] * 2


def test_its_commands_are_there_and_so_is_every_field() -> None:
    shown = re.findall(r"yunei (model \w+)", PAGE)
    assert set(shown) == {"model check", "model dummy", "model submit", "model card"}
    for words in shown:
        assert find(*words.split()), words
    fields = set(ModelJob.model_fields) - {"kind", "licence", "scenario", "model", "clusters"}
    assert {name for name in fields if f"`{name}`" not in PAGE} == set()


def test_the_example_of_the_reference_is_a_model_of_the_demos_data() -> None:
    assert tried(MODEL) == ["(intercept)", "age", "bmi", "male=1"]


def test_the_demos_licence_allows_models() -> None:
    assert "model" in licence_from_toml(text_of("licence.toml")).job_kinds
