"""Why a document was not accepted, said in both languages and located: what a bureau's clerk reads beside the file they wrote.

Validators raise `wrong(zh, en)`; pydantic's own errors are put into Chinese by the table below. A reason never quotes the value it is about.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from policies.problem import Kind, Problem, declare

request_entry_invalid = declare(
    "request_entry_invalid",
    zh=("内容有误", "{path}：{reason_zh}。", "请改正此处后重新提交。"),
    en=("Not valid", "{path}: {reason_en}.", "Correct this entry and submit again."),
)

# pydantic's error type → Chinese over the error's context; a type that is not here is said in English inside Chinese words
CHINESE: Mapping[str, str] = {
    "missing": "缺少此项",
    "extra_forbidden": "没有这一项，请核对名称",
    "literal_error": "须为下列之一：{expected}",
    "string_pattern_mismatch": "格式不符，须匹配 {pattern}",
    "string_type": "须为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "至多 {max_length} 个字符",
    "int_type": "须为整数",
    "int_parsing": "须为整数",
    "int_from_float": "须为整数，不带小数",
    "decimal_type": "须为十进制数",
    "decimal_parsing": "须为十进制数",
    "decimal_max_digits": "至多 {max_digits} 位数字",
    "decimal_max_places": "小数点后至多 {decimal_places} 位",
    "finite_number": "须为有限的数",
    "bool_type": "须为 true 或 false",
    "bool_parsing": "须为 true 或 false",
    "date_type": "须为日期，例如 2025-01-31",
    "date_parsing": "须为日期，例如 2025-01-31",
    "date_from_datetime_parsing": "须为日期，例如 2025-01-31",
    "date_from_datetime_inexact": "须为日期，不带时刻",
    "datetime_type": "须为时刻，例如 2025-01-31T00:00:00+08:00",
    "datetime_parsing": "须为时刻，例如 2025-01-31T00:00:00+08:00",
    "datetime_from_date_parsing": "须为时刻，例如 2025-01-31T00:00:00+08:00",
    "timezone_aware": "时刻须写明时区，例如 +08:00",
    "tuple_type": "须为列表",
    "list_type": "须为列表",
    "dict_type": "须为一组键值",
    "model_type": "须为一组键值",
    "model_attributes_type": "须为一组键值",
    "too_short": "至少 {min_length} 项",
    "too_long": "至多 {max_length} 项",
    "greater_than": "须大于 {gt}",
    "greater_than_equal": "不得小于 {ge}",
    "less_than": "须小于 {lt}",
    "less_than_equal": "不得大于 {le}",
}
# a regular expression that a person need not read → what it asks, in each language; filled beside the expression
PATTERNS: dict[str, tuple[str, str]] = {}


def wrong(zh: str, en: str) -> PydanticCustomError:
    """The error a validator raises when the reason is ours: the same sentence in both languages, without a full stop."""
    return PydanticCustomError("wrong", "{en}", {"zh": zh, "en": en})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault a validator found below the model it validates: where, and why in each language."""

    place: tuple[str | int, ...]
    zh: str
    en: str


def all_wrong(faults: Sequence[Fault]) -> ValidationError:
    """The error of a validator that found several faults, each located on its own."""
    lines = [InitErrorDetails(type=wrong(fault.zh, fault.en), loc=fault.place, input=None) for fault in faults]
    return ValidationError.from_exception_data("faults", lines)


@dataclass(frozen=True, slots=True)
class Reason:
    """One fault: where (`columns[3](fee).low`), and why in each language."""

    path: str
    zh: str
    en: str


def reasons_of(error: ValidationError, document: object = None) -> tuple[Reason, ...]:
    """Every fault pydantic found, located. With the `document` as it was given, a place in a list also shows the `name` of the item."""
    return reasons_in(error.errors(include_url=False, include_input=False), document)


def reasons_in(details: Sequence[ErrorDetails], document: object = None) -> tuple[Reason, ...]:
    """The same from pydantic's details, as a web framework hands them on."""
    places = [detail["loc"] for detail in details]
    # a list whose items are at fault is also called too short: that is an echo, not a fault
    echoes = [
        detail["type"] == "too_short" and any(place[: len(detail["loc"])] == detail["loc"] and place != detail["loc"] for place in places)
        for detail in details
    ]
    return tuple(_reason(detail, document) for detail, echo in zip(details, echoes, strict=True) if not echo)


def explained(kind: Kind, reasons: Sequence[Reason]) -> Problem:
    """A problem of `kind` (fields: count, path, reason_zh, reason_en; the last three of the first fault), with one part per fault."""
    parts = tuple(request_entry_invalid(path=reason.path, reason_zh=reason.zh, reason_en=reason.en) for reason in reasons)
    return kind(count=len(parts), **parts[0].fields).with_parts(parts)


def parse_toml(text: str, kind: Kind) -> dict[str, Any]:
    """The table in a TOML document, its decimals exact. A syntax error is a problem of `kind`, located by line and column."""
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message, place = re.fullmatch(r"(.*?)(?: \(at (.*)\))?", str(error), re.S).groups()  # type: ignore[union-attr]  # matches any text
        zh = f"不是合法的 TOML（{message}）"
        raise explained(kind, (Reason(place or "TOML", zh, f"this is not TOML ({message})"),)) from None


def _reason(detail: ErrorDetails, document: object) -> Reason:
    context = detail.get("ctx", {})
    english = detail["msg"][:1].lower() + detail["msg"][1:]
    if detail["type"] == "wrong":
        chinese, english = context["zh"], context["en"]
    elif context.get("pattern") in PATTERNS:
        chinese, english = PATTERNS[context["pattern"]]
    elif detail["type"] in CHINESE:
        chinese = CHINESE[detail["type"]].format(**context).replace(" or ", ", ")
    else:
        chinese = f"值不合要求（{english}）"
    return Reason(_path(detail["loc"], document), chinese, english)


def _path(location: tuple[int | str, ...], document: object) -> str:
    text, here = "", document
    for step in location:
        if isinstance(step, int):
            here = here[step] if isinstance(here, (list, tuple)) and step < len(here) else None
            name = here.get("name", here.get("dataset")) if isinstance(here, Mapping) else None
            text += f"[{step}]" + (f"({name})" if isinstance(name, str) else "")
        else:
            here = here.get(step) if isinstance(here, Mapping) else None
            text += f".{step}" if text else step
    return text or "."
