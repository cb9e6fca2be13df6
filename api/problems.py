"""Problems over HTTP: which status a code has, and the RFC 9457 document it becomes. Nowhere else does a status meet a code.

A document carries `code`, `title`, `detail` and `remedy` in the caller's language, the same in both languages under `zh` and `en`, the
fields, the parts when several rules were broken at once, and `instance`, an opaque id that the server's log has too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from policies.problem import Language, Problem, declare

MEDIA_TYPE = "application/problem+json"

REQUEST_MALFORMED = declare(
    "request_malformed",
    zh=("请求体不是 JSON", "请求体无法按 JSON 解析。", "请用 UTF-8 编码的 JSON 对象，并设置 Content-Type: application/json。"),
    en=("The body is not JSON", "The request body cannot be read as JSON.", "Send a JSON object in UTF-8 with Content-Type: application/json."),
)
REQUEST_INVALID = declare(
    "request_invalid",
    zh=("请求不符合格式", "请求中有不符合格式之处，逐条列于 parts。", "按 parts 中的说明逐条改正；格式见 /v1/docs。"),
    en=("The request does not fit its schema", "What does not fit is listed in parts.", "Mend each part; the schema is at /v1/docs."),
)
REQUEST_FIELD = declare(
    "request_field",
    zh=("字段不符合格式", "{where}：{rule_zh}。", "改正该字段；格式见 /v1/docs。"),
    en=("A field does not fit", "{where}: {rule_en}.", "Mend that field; the schema is at /v1/docs."),
)
REQUEST_UNKNOWN_FIELD = declare(
    "request_unknown_field",
    zh=("未知字段", "{where} 不是这里的字段。", "删去该字段，或核对拼写；格式见 /v1/docs。"),
    en=("Unknown field", "{where} is not a field here.", "Remove it or check its spelling; the schema is at /v1/docs."),
)
REQUEST_TOO_LARGE = declare(
    "request_too_large",
    zh=("请求体过大", "请求体超过 {limit} 字节。", "查询语句最长 16 kB；数据请由数据提供方在服务器上登记，不经此接口上传。"),
    en=(
        "The body is too large",
        "The request body is over {limit} bytes.",
        "A query is at most 16 kB; data is registered on the server, not here.",
    ),
)
REQUEST_NOT_FOUND = declare(
    "request_not_found",
    zh=("没有这个资源", "这里没有您可以查看的 {what}。", "核对编号；只能查看本单位的任务与发布结果。"),
    en=("Not found", "There is no {what} here that you may see.", "Check the id; you see your own jobs and releases only."),
)
REQUEST_METHOD = declare(
    "request_method",
    zh=("不支持的方法", "此地址不支持 {method}。", "可用方法见应答头 Allow，说明见 /v1/docs。"),
    en=("Method not allowed", "This address does not take {method}.", "The Allow header names the methods; see /v1/docs."),
)
REQUEST_FORMAT = declare(
    "request_format",
    zh=("没有这种格式", "发布结果不提供 {asked} 格式。", "可选 arrow、parquet、csv、json，用 ?format= 或 Accept 指定。"),
    en=("No such format", "A release is not to be had as {asked}.", "Choose arrow, parquet, csv or json with ?format= or Accept."),
)
REQUEST_RANGE = declare(
    "request_range",
    zh=("范围超出内容", "请求的字节范围不在 {length} 字节之内。", "去掉 Range，或改到范围之内。"),
    en=("Range outside the content", "The asked range lies outside its {length} bytes.", "Drop the Range header or keep inside."),
)
REQUEST_KEY_REUSED = declare(
    "request_key_reused",
    zh=("Idempotency-Key 已用于另一请求", "该 Idempotency-Key 此前用于内容不同的请求。", "新的任务请用新的 Idempotency-Key。"),
    en=("Idempotency-Key used for another request", "That Idempotency-Key came with a different body before.", "Use a new key for a new job."),
)
REQUEST_KEY_INVALID = declare(
    "request_key_invalid",
    zh=("Idempotency-Key 不符合格式", "Idempotency-Key 应为 1 至 128 个可见 ASCII 字符。", "例如用一个 UUID。"),
    en=("Idempotency-Key does not fit", "An Idempotency-Key is 1 to 128 visible ASCII characters.", "Use a UUID, for example."),
)
SERVER_STARTING = declare(
    "server_starting",
    zh=("服务正在启动", "计算节点尚未就绪。", "稍后重试；就绪状态见 /v1/ready。"),
    en=("The server is starting", "Its workers are not ready yet.", "Try again shortly; /v1/ready says when."),
)
SERVER_STOPPING = declare(
    "server_stopping",
    zh=("服务正在停止", "服务不再受理新任务；已受理的任务会在重启后继续。", "稍后重试。"),
    en=("The server is stopping", "It takes no new jobs; those admitted go on after the restart.", "Try again shortly."),
)
SERVER_HOME = declare(
    "server_home",
    zh=("主目录无法使用", "{why}", "核对 --home 与目录权限；密钥与数据库须来自同一备份。"),
    en=("The home cannot be used", "{why}", "Check --home and the folder's permissions; keys and database must come from one backup."),
)
SERVER_SETTINGS = declare(
    "server_settings",
    zh=("设置有误", "{name}：{why}。", "改正该环境变量；全部设置见 docs/reference/settings.md。"),
    en=("A setting is not right", "{name}: {why}.", "Mend that environment variable; see docs/reference/settings.md."),
)
SERVER_FILE = declare(
    "server_file",
    zh=("文件无法读取", "{path} 不是 {why} 文本。", "另存为 UTF-8 后再试。"),
    en=("The file cannot be read", "{path} is not {why} text.", "Save it as UTF-8 and try again."),
)
INTERNAL = declare(
    "server_internal",
    zh=("内部错误", "服务器未能完成请求，编号 {id}。", "请把编号告知系统管理员；用同一 Idempotency-Key 重试不会重复支出。"),
    en=("Internal error", "Request {id} failed.", "Tell the administrator the id; a retry with the same Idempotency-Key costs nothing more."),
)

STATUS: dict[str, int] = {
    "request_malformed": 400,
    "request_invalid": 422,
    "request_field": 422,
    "request_unknown_field": 422,
    "request_too_large": 413,
    "request_not_found": 404,
    "request_method": 405,
    "request_format": 406,
    "request_range": 416,
    "request_key_reused": 422,
    "request_key_invalid": 400,
    "server_starting": 503,
    "server_stopping": 503,
    "server_internal": 500,
    "server_home": 500,
    "server_home_in_use": 409,
    "server_settings": 500,
    "server_file": 422,
}


def status_of(code: str) -> int:
    return STATUS[code]


def document(problem: Problem, language: Language, *, instance: str, docs: str = "/v1/docs") -> dict[str, Any]:
    """The RFC 9457 document of a problem. `type` points into the docs page, where every code has an anchor."""
    words = problem.words(language)
    data = problem.as_data()
    return {
        "type": f"{docs}#problem-{problem.code}",
        "title": words.title,
        "status": status_of(problem.code),
        "detail": words.detail,
        "remedy": words.remedy,
        "instance": f"urn:yunei:request:{instance}",
        **data,
    }


def answer(problem: Problem, language: Language, *, instance: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    body = json.dumps(document(problem, language, instance=instance), ensure_ascii=False).encode()
    response = Response(body, status_code=status_of(problem.code), media_type=MEDIA_TYPE)
    response.headers["Content-Language"] = "zh-CN" if language == "zh" else "en"
    for name, value in headers:
        response.headers[name] = value
    return response


# What pydantic calls a mistake → what a person reads. Never the value itself: it may be a query, and queries stay out of logs and pages.
_RULES: dict[str, tuple[str, str]] = {
    "missing": ("必须给出", "is required"),
    "string_type": ("应为字符串", "must be a string"),
    "string_too_short": ("过短", "is too short"),
    "string_too_long": ("过长", "is too long"),
    "string_pattern_mismatch": ("字符不合规定", "has characters that are not allowed"),
    "int_type": ("应为整数", "must be an integer"),
    "int_parsing": ("应为整数", "must be an integer"),
    "int_from_float": ("应为整数", "must be an integer"),
    "decimal_type": ("应为数字或数字字符串", "must be a number or a decimal string"),
    "decimal_parsing": ("应为数字或数字字符串", "must be a number or a decimal string"),
    "decimal_max_digits": ("位数过多", "has too many digits"),
    "finite_number": ("应为有限数，不能是 NaN 或无穷", "must be finite, not NaN or infinite"),
    "greater_than": ("应大于 {gt}", "must be above {gt}"),
    "greater_than_equal": ("不得小于 {ge}", "must be at least {ge}"),
    "less_than": ("应小于 {lt}", "must be below {lt}"),
    "less_than_equal": ("不得大于 {le}", "must be at most {le}"),
    "literal_error": ("应为 {expected} 之一", "must be one of {expected}"),
    "model_type": ("应为 JSON 对象", "must be a JSON object"),
    "model_attributes_type": ("应为 JSON 对象", "must be a JSON object"),
    "dict_type": ("应为 JSON 对象", "must be a JSON object"),
    "too_long": ("项数过多", "has too many items"),
    "too_short": ("项数过少", "has too few items"),
}


def field_problem(error: dict[str, Any]) -> Problem:
    """One pydantic error as a problem; messages of our own validators are passed on, values never are."""
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")) or "body"
    if error["type"] == "extra_forbidden":
        return REQUEST_UNKNOWN_FIELD(where=where)
    context = {name: str(value) for name, value in (error.get("ctx") or {}).items()}
    if error["type"] == "value_error":
        rule_zh = rule_en = context.get("error", "does not fit")
    else:
        rule_zh, rule_en = (text.format(**context) for text in _RULES.get(error["type"], ("格式不符", "does not fit")))
    return REQUEST_FIELD(where=where, rule_zh=rule_zh, rule_en=rule_en)


def invalid(errors: Iterable[dict[str, Any]]) -> Problem:
    """All of a request's mistakes at once; a body that is no JSON at all is a problem of its own."""
    errors = list(errors)
    if any(error["type"] == "json_invalid" for error in errors):
        return REQUEST_MALFORMED()
    return REQUEST_INVALID().with_parts(tuple(field_problem(error) for error in errors[:20]))


def language_of(accept_language: str, default: Language) -> Language:
    """The first of zh or en by weight in an Accept-Language header (RFC 9110, 12.5.4).

    >>> language_of("de, en;q=0.5, zh-CN;q=0.8", "en"), language_of("*", "zh")
    ('zh', 'zh')
    """
    best: tuple[float, Language] | None = None
    for item in accept_language[:1000].split(","):
        tag, _, parameters = item.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary not in ("zh", "en"):
            continue
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0 and (best is None or weight > best[0]):
            best = (weight, "zh" if primary == "zh" else "en")
    return best[1] if best else default
