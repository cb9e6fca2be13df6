"""What can go wrong, as one exception with a stable code, words in both languages and a remedy.

The server's refusals arrive as RFC 9457 problem+json and become `YuneiProblem`. What only the client can notice (no route to the server, a
receipt that does not verify) is declared here, in the same form, under the prefixes `client_` and `verify_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yunei.words import Language, Words


class YuneiProblem(Exception):
    """A refusal or failure that the caller can act on.

    `code` is stable for ever: test on it, not on words. `status` is the HTTP status, 0 when the client itself noticed. `parts` holds every
    broken rule when one request broke several.
    """

    def __init__(
        self,
        code: str,
        zh: Words,
        en: Words,
        *,
        status: int = 0,
        fields: Mapping[str, str] | None = None,
        parts: tuple[YuneiProblem, ...] = (),
        language: Language = "en",
    ) -> None:
        super().__init__(code)
        self.code = code
        self.zh = zh
        self.en = en
        self.status = status
        self.fields: dict[str, str] = dict(fields or {})
        self.parts = parts
        self.language: Language = language

    def words(self, language: Language | None = None) -> Words:
        return self.zh if (language or self.language) == "zh" else self.en

    @property
    def title(self) -> str:
        return self.words().title

    @property
    def detail(self) -> str:
        return self.words().detail

    @property
    def remedy(self) -> str:
        return self.words().remedy

    def as_data(self) -> dict[str, Any]:
        """The shape the server uses, so that scripts parse one thing only."""
        data: dict[str, Any] = {"code": self.code, "status": self.status, "fields": self.fields}
        for language, words in (("zh", self.zh), ("en", self.en)):
            data[language] = {"title": words.title, "detail": words.detail, "remedy": words.remedy}
        if self.parts:
            data["parts"] = [part.as_data() for part in self.parts]
        return data

    def __str__(self) -> str:
        lines = [f"{self.title} [{self.code}]"]
        lines += [text for text in (self.detail,) if text and text != self.title]
        lines += [f"  - {part.title}: {part.detail}" for part in self.parts]
        lines += [f"→ {text}" for text in dict.fromkeys([self.remedy, *(part.remedy for part in self.parts)]) if text]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, self.zh, self.en, self.status, self.fields, self.parts, self.language))


def _rebuild(kind: type[YuneiProblem], *values: Any) -> YuneiProblem:
    code, zh, en, status, fields, parts, language = values
    return kind(code, zh, en, status=status, fields=fields, parts=parts, language=language)


class Unreachable(YuneiProblem):
    """The server did not answer, or something that is not yunei did."""


class NotVerified(YuneiProblem):
    """A log, checkpoint, receipt or table is not what its signature says."""


class StillRunning(YuneiProblem):
    """The time to wait is over and the job is not. It goes on; wait for it again."""


class Misused(YuneiProblem):
    """The call itself cannot be made: a missing key, an address that is none."""


def from_response(status: int, body: object, language: Language) -> YuneiProblem:
    """A problem+json document as an exception. What is missing in one language is taken from the other, then from the top level."""
    if not isinstance(body, Mapping) or not isinstance(body.get("code"), str):
        return problem("client_not_yunei", language=language, status=status)
    top = _words(body)
    zh, en = (_words(body.get(name), fallback=top) for name in ("zh", "en"))
    fields = body.get("fields")
    parts = body.get("parts")
    return YuneiProblem(
        body["code"],
        zh,
        en,
        status=status,
        fields={str(name): str(value) for name, value in fields.items()} if isinstance(fields, Mapping) else {},
        parts=tuple(from_response(status, part, language) for part in parts) if isinstance(parts, list) else (),
        language=language,
    )


def _words(body: object, fallback: Words | None = None) -> Words:
    source = body if isinstance(body, Mapping) else {}
    fallback = fallback or Words("", "", "")
    title, detail, remedy = (source.get(name) for name in ("title", "detail", "remedy"))
    return Words(
        title if isinstance(title, str) else fallback.title,
        detail if isinstance(detail, str) else fallback.detail,
        remedy if isinstance(remedy, str) else fallback.remedy,
    )


Texts = tuple[str, str, str]
KINDS: dict[str, tuple[type[YuneiProblem], Texts, Texts]] = {
    "client_unreachable": (
        Unreachable,
        ("无法连接服务器", "{url} 没有应答（{why}）。", "请检查地址与网络；地址可用 --url、环境变量 YUNEI_URL 或配置文件给出。"),
        (
            "cannot reach the server",
            "{url} did not answer ({why}).",
            "Check the address (--url, YUNEI_URL or the config file) and the network.",
        ),
    ),
    "client_not_yunei": (
        Unreachable,
        ("应答不是域内服务发出的", "收到的内容不是本服务的应答格式（HTTP {status}）。", "请确认地址指向域内服务，而不是代理或其他站点。"),
        (
            "the answer is not from a yunei server",
            "What came back is not in its format (HTTP {status}).",
            "Check that the address is yunei's, not a proxy's or another site's.",
        ),
    ),
    "client_bad_key": (
        Misused,
        ("密钥格式错误", "密钥只含可见的 ASCII 字符，不含空格。", "请重新复制密钥，或运行 yunei login。"),
        ("not a key", "A key has visible ASCII characters only, no spaces.", "Copy the key again, or run: yunei login"),
    ),
    "client_bad_url": (
        Misused,
        ("地址无效", "{url} 不是 http 或 https 地址。", "请写成 https://主机名 的形式。"),
        ("not an address", "{url} is not an http or https address.", "Write it as https://host"),
    ),
    "client_plain_http": (
        Misused,
        ("不在明文连接上发送密钥", "{url} 未加密，且不是本机。", "请使用 https 地址；确认网络可信时可设置 YUNEI_ALLOW_HTTP=1。"),
        (
            "a key is not sent in the clear",
            "{url} is not encrypted and not this machine.",
            "Use an https address; on a trusted network set YUNEI_ALLOW_HTTP=1.",
        ),
    ),
    "client_bad_config": (
        Misused,
        ("配置文件无法读取", "{path}：{why}。", "请改正或删除该文件，再运行 yunei login。"),
        ("the config file cannot be read", "{path}: {why}.", "Mend or remove the file, then run: yunei login"),
    ),
    "client_bad_certificate": (
        Misused,
        ("客户端证书无法使用", "{path}：{why}。", "请给出 PEM 格式的证书及其未加密的私钥（仅本人可读）；见 yunei login --help。"),
        (
            "the client certificate cannot be used",
            "{path}: {why}.",
            "Give a certificate in PEM and its key, not encrypted and readable by you alone; see: yunei login --help",
        ),
    ),
    "client_bad_request": (
        Misused,
        ("参数不正确", "{what}", "请运行 yunei {verb} --help 查看用法。"),
        ("the call is not right", "{what}", "See: yunei {verb} --help"),
    ),
    "client_sign_in": (
        YuneiProblem,
        ("登录未完成", "{seconds} 秒内浏览器没有返回。", "请再次运行 yunei login --browser；没有浏览器的机器请使用密钥。"),
        (
            "signing in did not work",
            "No browser came back within {seconds} s.",
            "Run yunei login --browser again, or use a key.",
        ),
    ),
    "client_still_running": (
        StillRunning,
        ("作业仍在进行", "等待 {seconds} 秒后，作业 {job} 的状态是 {state}。", "作业会继续运行；请稍后执行 yunei job wait {job}。"),
        ("the job is still running", "After {seconds} s job {job} is {state}.", "It goes on; later run: yunei job wait {job}"),
    ),
    "client_not_published": (
        YuneiProblem,
        ("作业没有产生发布结果", "作业 {job} 已结束，状态是 {state}。", "请运行 yunei job show {job} 查看原因。"),
        ("the job published nothing", "Job {job} ended as {state}.", "See: yunei job show {job}"),
    ),
    "client_short_file": (
        Unreachable,
        ("下载的内容不完整", "{path} 应为 {wanted} 字节，收到 {got} 字节。", "请再次运行同一命令，将从中断处继续。"),
        (
            "the download is incomplete",
            "{path} should have {wanted} bytes and has {got}.",
            "Run the same command again; it goes on where it stopped.",
        ),
    ),
    "verify_note": (
        NotVerified,
        ("签名检查点格式错误", "{why}。", "请重新获取；若仍如此，请勿信任这一来源，并联系数据主管部门。"),
        ("this is not a signed checkpoint", "{why}.", "Fetch it again; if it stays so, do not trust the source and tell the bureau."),
    ),
    "verify_key": (
        NotVerified,
        ("验证公钥格式错误", "{key} 不是“名称+编号+公钥”的形式。", "请向数据主管部门取得日志公钥，原样粘贴。"),
        ("not a verifier key", "{key} is not of the form name+id+key.", "Take the log's key from the bureau and paste it whole."),
    ),
    "verify_signature": (
        NotVerified,
        ("签名不成立", "{name} 的签名与内容不符，或没有该签名。", "请勿使用这份内容，并联系数据主管部门核对日志公钥。"),
        ("the signature does not hold", "{name} did not sign this text.", "Do not use it; ask the bureau for the log's key and compare."),
    ),
    "verify_origin": (
        NotVerified,
        ("检查点属于另一个日志", "应为 {wanted}，实为 {got}。", "请核对地址与日志公钥。"),
        ("the checkpoint is of another log", "Expected {wanted}, got {got}.", "Compare the address and the log's key."),
    ),
    "verify_receipt": (
        NotVerified,
        ("回执格式错误", "{why}。", "请重新获取回执。"),
        ("this is not a receipt", "{why}.", "Fetch the receipt again."),
    ),
    "verify_inclusion": (
        NotVerified,
        ("回执不成立", "第 {index} 条记录不在检查点所签的日志中。", "请勿使用这一结果，并将回执交数据主管部门核查。"),
        (
            "the receipt does not hold",
            "Entry {index} is not in the log that the checkpoint signs.",
            "Do not rely on the result; hand the receipt to the bureau.",
        ),
    ),
    "verify_rollback": (
        NotVerified,
        ("日志变短了", "此前见过 {seen} 条记录，现在只有 {now} 条。", "请保留本机记录的检查点，并立即报告数据主管部门：日志可能被回退。"),
        (
            "the log has become shorter",
            "It had {seen} entries and now shows {now}.",
            "Keep the remembered checkpoint and tell the bureau at once: the log may have been rolled back.",
        ),
    ),
    "verify_fork": (
        NotVerified,
        ("日志被改写", "{old} 条时的检查点与 {new} 条时的检查点不一致。", "请保留两份检查点，并立即报告数据主管部门：二者合起来即为证据。"),
        (
            "the log was rewritten",
            "The checkpoint at {old} entries and the one at {new} do not agree.",
            "Keep both checkpoints and tell the bureau at once: together they are evidence.",
        ),
    ),
    "verify_key_changed": (
        NotVerified,
        (
            "日志公钥变了",
            "{where} 的日志公钥原为 {pinned}，现为 {now}。",
            "请向数据主管部门核实；确认更换后，用 yunei log verify --key 公钥 --repin 重新固定。",
        ),
        (
            "the log's key has changed",
            "{where} was pinned to {pinned} and now says {now}.",
            "Ask the bureau; once confirmed, pin it anew with: yunei log verify --key VKEY --repin",
        ),
    ),
    "verify_missing": (
        NotVerified,
        ("日志文件缺失", "缺少 {path}。", "请补全日志副本后再验证。"),
        ("a file of the log is missing", "{path} is not there.", "Complete the copy of the log, then verify again."),
    ),
    "verify_entry": (
        NotVerified,
        ("记录被改动", "第 {index} 条记录（{path}）与签名检查点不符。", "请用另一份副本比对，并报告数据主管部门。"),
        ("an entry was altered", "Entry {index} ({path}) is not what the checkpoint signs.", "Compare with another copy and tell the bureau."),
    ),
    "verify_entries": (
        NotVerified,
        ("记录被改动", "第 {first} 至第 {last} 条记录中，至少一条与签名检查点不符。", "请用另一份副本比对，并报告数据主管部门。"),
        (
            "entries were altered",
            "At least one of entries {first} to {last} is not what the checkpoint signs.",
            "Compare with another copy and tell the bureau.",
        ),
    ),
    "verify_tile": (
        NotVerified,
        ("哈希文件被改动", "记录本身完好，但 {path} 与记录不符（第 {index} 个哈希）。", "请用另一份副本恢复该文件。"),
        (
            "a hash file was altered",
            "The entries are intact, but {path} does not fit them (hash {index}).",
            "Restore the file from another copy.",
        ),
    ),
    "verify_release": (
        NotVerified,
        ("结果与日志记录不符", "{what}", "请勿使用这一结果；请重新获取，若仍如此，请报告数据主管部门。"),
        ("the release is not what the log says", "{what}", "Do not use it; fetch it again, and if it stays so tell the bureau."),
    ),
    "verify_manifest": (
        NotVerified,
        ("产品与其凭证不符", "{what}", "请勿使用这些文件；请重新获取，若仍如此，请报告数据主管部门。"),
        ("the product is not what its manifest says", "{what}", "Do not use these files; fetch them again. If it stays so, tell the bureau."),
    ),
    "verify_replay": (
        NotVerified,
        ("日志内容自相矛盾", "第 {index} 条记录：{what}。", "签名无误而内容矛盾，写入日志的程序有误或被替换；请保留副本并报告数据主管部门。"),
        (
            "the log contradicts itself",
            "Entry {index}: {what}.",
            "Signed, yet it cannot be true: the program that wrote it is faulty or was replaced. Keep the copy and tell the bureau.",
        ),
    ),
    "verify_product": (
        NotVerified,
        ("日志中没有这一成果", "{path}（SHA-256 {sha256}）既未发布，也未交付。", "该文件不是经登记发布或交付的；请查明来源。"),
        (
            "the log knows no such product",
            "{path} (SHA-256 {sha256}) was neither published nor delivered.",
            "It did not leave by the registered way: find out where it came from.",
        ),
    ),
    "verify_state": (
        NotVerified,
        ("本机的信任记录无法读取", "{path}：{why}。", "请从备份恢复；若删除它，下次连接将重新信任第一次见到的日志。"),
        (
            "the trust record of this machine cannot be read",
            "{path}: {why}.",
            "Restore it from a backup; if it is removed, the next log seen is trusted anew.",
        ),
    ),
}


def problem(code: str, *, language: Language = "en", status: int = 0, **fields: object) -> YuneiProblem:
    """A problem of the client's own, from the table above."""
    kind, zh, en = KINDS[code]
    texts = {name: str(value) for name, value in fields.items()}
    render = {**texts, "status": str(status)}
    words = [Words(*(text.format(**render) for text in pair)) for pair in (zh, en)]
    return kind(code, words[0], words[1], status=status, fields=texts, language=language)
