"""Problems over HTTP: those of the request and the server themselves, and the RFC 9457 document that any problem becomes.

A document carries `code`, `title`, `detail` and `remedy` in the caller's language, the same in both languages under `zh` and `en`, the
fields, the parts when several rules were broken at once, and `instance`, an opaque id that the server's log has too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import ErrorDetails
from starlette.responses import Response

from api.statuses import status_of
from policies.problem import Language, Problem, declare
from policies.reasons import reasons_in, request_entry_invalid

MEDIA_TYPE = "application/problem+json"
MOST_PARTS = 20
KIND_TAG = "kind="  # before the name of a kind of job, where pydantic tells bodies apart by it

REQUEST_MALFORMED = declare(
    "request_malformed",
    zh=("请求体不是 JSON", "请求体无法按 JSON 解析。", "请用 UTF-8 编码的 JSON 对象，并设置 Content-Type: application/json。"),
    en=("The body is not JSON", "The request body cannot be read as JSON.", "Send a JSON object in UTF-8 with Content-Type: application/json."),
)
REQUEST_INVALID = declare(
    "request_invalid",
    zh=("请求不符合格式", "请求中有不符合格式之处，逐条列于 parts。", "请按 parts 中的说明逐条改正；格式见 /v1/docs。"),
    en=(
        "The request does not fit its schema",
        "The request does not fit its schema; each fault is listed in parts.",
        "Correct each part; the schema is at /v1/docs.",
    ),
)
REQUEST_TOO_LARGE = declare(
    "request_too_large",
    zh=("请求体过大", "请求体超过 {limit} 字节。", "查询语句最长 16 kB；数据请由数据提供方在服务器上登记，不经此接口上传。"),
    en=(
        "The body is too large",
        "The request body is over {limit} bytes.",
        "A query may be at most 16 kB. Data is registered on the server by its steward, not uploaded here.",
    ),
)
REQUEST_NOT_FOUND = declare(
    "request_not_found",
    zh=("没有这个资源", "这里没有您可以查看的{what_zh}。", "请核对编号；只能查看本单位的作业与发布结果。"),
    en=("Not found", "There is no {what_en} here that you may see.", "Check the id; you can see only your own jobs and releases."),
)
REQUEST_METHOD = declare(
    "request_method",
    zh=("不支持的方法", "此地址不支持 {method}。", "请改用应答头 Allow 所列的方法；说明见 /v1/docs。"),
    en=("Method not allowed", "This address does not support {method}.", "Use a method listed in the Allow header; see /v1/docs."),
)
REQUEST_FORMAT = declare(
    "request_format",
    zh=("没有这种格式", "发布结果不提供 {asked} 格式。", "请用 ?format= 或 Accept 指定 arrow、parquet、csv、json 之一。"),
    en=("No such format", "Releases are not available as {asked}.", "Choose arrow, parquet, csv or json with ?format= or Accept."),
)
REQUEST_RANGE = declare(
    "request_range",
    zh=("范围超出内容", "请求的字节范围不在 {length} 字节之内。", "请去掉 Range，或改为范围之内的区间。"),
    en=(
        "Range outside the content",
        "The requested byte range lies outside the {length} bytes of the content.",
        "Remove the Range header, or ask for a range inside the content.",
    ),
)
REQUEST_PRECONDITION = declare(
    "request_precondition",
    zh=("内容已变", "If-Match 所列的 ETag 不是现有内容的。", "请去掉 If-Match 重新获取，或改用现有内容的 ETag。"),
    en=(
        "The content has changed",
        "None of the ETags in If-Match matches the present content.",
        "Fetch it again without If-Match, or use the ETag of the present content.",
    ),
)
REQUEST_KEY_REUSED = declare(
    "request_key_reused",
    zh=("Idempotency-Key 已用于另一请求", "该 Idempotency-Key 此前用于内容不同的请求。", "新的作业请用新的 Idempotency-Key。"),
    en=(
        "Idempotency-Key used for another request",
        "This Idempotency-Key was used before with a different request.",
        "Use a new key for a new job.",
    ),
)
REQUEST_KEY_INVALID = declare(
    "request_key_invalid",
    zh=("Idempotency-Key 不符合格式", "Idempotency-Key 应为 1 至 128 个可见 ASCII 字符。", "请换用符合要求的值，例如一个 UUID。"),
    en=("Idempotency-Key is not valid", "An Idempotency-Key must be 1 to 128 visible ASCII characters.", "Use a UUID, for example."),
)
SERVER_STARTING = declare(
    "server_starting",
    zh=("服务正在启动", "计算节点尚未就绪。", "请稍后重试；就绪状态见 /v1/ready。"),
    en=("The server is starting", "The compute workers are not ready yet.", "Try again shortly; /v1/ready shows when the server is ready."),
)
SERVER_STOPPING = declare(
    "server_stopping",
    zh=("服务正在停止", "服务不再受理新作业；已受理的作业会在重启后继续。", "请稍后重试。"),
    en=("The server is stopping", "The server takes no new jobs; admitted jobs continue after the restart.", "Try again shortly."),
)
SERVER_HOME = declare(
    "server_home",
    zh=("主目录无法使用", "{why}", "请核对 --home 与目录权限；密钥与数据库须来自同一备份。"),
    en=("The home cannot be used", "{why}", "Check --home and the folder's permissions; keys and database must come from one backup."),
)
SERVER_SETTINGS = declare(
    "server_settings",
    zh=("设置有误", "{name}：{why}。", "请改正该环境变量；全部设置见 docs/reference/settings.md。"),
    en=("A setting is not valid", "{name}: {why}.", "Correct that environment variable; all settings are in docs/reference/settings.md."),
)
SERVER_FILE = declare(
    "server_file",
    zh=("文件无法读取", "{path} 不是 {why} 文本。", "请另存为 UTF-8 后再试。"),
    en=("The file cannot be read", "{path} is not {why} text.", "Save it as UTF-8 and try again."),
)
SERVER_SOURCES = declare(
    "server_sources",
    zh=(
        "数据来源不明确",
        "须给出文件，或同时给出 --database 与 --query，二者取一；--tls-cert 与 --tls-key 须同时给出。",
        "请按要求给出；用法见 yunei dataset add --help。",
    ),
    en=(
        "The data source is not clear",
        "Give either files, or --database together with --query; --tls-cert and --tls-key must be given together.",
        "Give the source as described; see yunei dataset add --help.",
    ),
)
SERVER_DATABASE_ADDRESS = declare(
    "server_database_address",
    zh=("数据库地址有误", "地址不可用：{why}。", "请写作 postgresql://用户@主机:端口/库；口令放在文件里，用 --password-file 指明。"),
    en=(
        "The database address is not valid",
        "The address cannot be used: {why}.",
        "Write postgresql://user@host:port/database; the password goes into a file, named by --password-file.",
    ),
)
SERVER_PASSWORD_EXPOSED = declare(
    "server_password_exposed",
    zh=("口令文件他人可读", "{path} 的权限允许属主以外的人读取。", "请执行 chmod 600；口令可能已经泄露的，请更换口令。"),
    en=(
        "The password file can be read by others",
        "The permissions of {path} let others than its owner read it.",
        "Run chmod 600 on it; if the password may have leaked, change it.",
    ),
)
SERVER_LISTEN = declare(
    "server_listen",
    zh=("无法监听", "地址 {host} 端口 {port} 不可用。", "请换一个端口（--port），或停止占用该端口的程序。"),
    en=("Cannot listen", "Address {host}, port {port} is not available.", "Choose another port (--port), or stop the program that uses it."),
)
SERVER_WORKERS = declare(
    "server_workers",
    zh=("计算节点无法启动", "启动失败（{code}）。", "请检查内存、/dev/shm 与临时目录的空间。"),
    en=("The workers cannot start", "Starting the workers failed ({code}).", "Check memory, /dev/shm and the space for temporary files."),
)
SERVER_SWAP = declare(
    "server_swap_in_plaintext",
    zh=(
        "内存可能以明文写入磁盘",
        "服务或计算进程中有 {count} 个的内存页可能被换出到未加密的磁盘。",
        "请关闭或加密交换区，或授予 CAP_IPC_LOCK；见 docs/how-to/keys.md。",
    ),
    en=(
        "Memory may be written to a disk in plaintext",
        "Memory pages of {count} server or worker processes may be swapped to an unencrypted disk.",
        "Turn swap off, encrypt it, or grant CAP_IPC_LOCK; see docs/how-to/keys.md.",
    ),
)
SERVER_CLUSTER_ADDRESS = declare(
    "server_cluster_address",
    zh=("不是内网地址", "{address} 不是内网 IP 地址。", "请使用内网地址，如 10.0.0.5；首节点为 10.0.0.5:6379。"),
    en=(
        "Not a private address",
        "{address} is not a private IP address.",
        "Use a private address, such as 10.0.0.5; a head node is 10.0.0.5:6379.",
    ),
)
INTERNAL = declare(
    "server_internal",
    zh=("内部错误", "服务器未能完成请求，编号 {id}。", "请把编号告知系统管理员；用同一 Idempotency-Key 重试不会重复支出。"),
    en=(
        "Internal error",
        "The server could not complete request {id}.",
        "Give the id to the administrator; a retry with the same Idempotency-Key is not charged again.",
    ),
)

_THINGS = {
    "principal": "主体",
    "freeze": "应急处置",
    "policy": "策略",
    "program": "算法",
    "product": "产品",
    "webhook": "订阅",
    "report": "报告",
    "mailbox": "邮箱",
    "job": "作业",
    "release": "发布结果",
    "review": "审核",
    "paper": "随附材料",
    "dataset": "数据集",
    "licence": "协议",
    "account": "账户",
    "event": "登记事件",
    "alert": "告警",
    "tile": "日志文件",
    "address": "地址",
}


def not_found(what: str) -> Problem:
    """`what` is a key of `_THINGS`: not there, or not the caller's to see; the answer is the same."""
    return REQUEST_NOT_FOUND(what_zh=_THINGS[what], what_en=what)


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


def invalid(errors: Sequence[ErrorDetails]) -> Problem:
    """All of a request's mistakes at once, located; a body that is no JSON at all is a problem of its own. Values are never quoted: one may be
    a query, and queries stay out of logs and pages."""
    if any(error["type"] == "json_invalid" for error in errors):
        return REQUEST_MALFORMED()
    reasons = reasons_in([_inside(error) for error in errors])
    parts = tuple(request_entry_invalid(path=reason.path, reason_zh=reason.zh, reason_en=reason.en) for reason in reasons[:MOST_PARTS])
    return REQUEST_INVALID().with_parts(parts)


def _inside(error: ErrorDetails) -> ErrorDetails:
    """The error as its sender sees the request: without `body`, and without the tag of the kind of job, which is no place in it."""
    place = tuple(step for step in error["loc"][1:] if not str(step).startswith(KIND_TAG))
    if error["type"] == "union_tag_invalid":
        words = {"zh": "没有这种作业类型", "en": "there is no such kind of job"}
        return ErrorDetails(type="wrong", loc=(*place, "kind"), msg=words["en"], input=None, ctx=words)
    return ErrorDetails(**{**error, "loc": place or ("body",)})


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
