"""yunei log …: the log of everything released, looked at and verified without trusting whoever keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import YuneiProblem, problem
from yunei.tiles import Folder, Source, Tiles, Verified, decode, verify_log
from yunei.transparency import Checkpoint, Key, open_checkpoint
from yunei.words import say


def verify(
    folder: Annotated[
        Path | None, typer.Option("--dir", help=say("验证本地副本，不连接服务器", "verify a local copy, without any server"))
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="VKEY", help=say("日志公钥；默认用首次见到的", "the log's key; by default the one first seen")),
    ] = None,
    since: Annotated[
        list[Path] | None,
        typer.Option("--since", metavar="FILE", help=say("以前保存的检查点，可重复", "a checkpoint saved earlier; repeatable")),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="VKEY", help=say("必须联署的见证方公钥，可重复", "a witness that must have cosigned; repeatable")),
    ] = None,
    state: Annotated[Path | None, typer.Option("--state", help=say("信任记录文件", "file that records trusted logs"))] = None,
    repin: Annotated[bool, typer.Option("--repin", help=say("改为信任 --key 给出的公钥", "trust the key given by --key from now on"))] = False,
    head: Annotated[
        bool, typer.Option("--head", help=say("只核对签名与一致性，不重算全部记录", "check signature and consistency only, not every entry"))
    ] = False,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help=say("保存已验证的检查点", "save the verified checkpoint"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    if state is not None:
        session.state = str(state)
    if repin and key is None:
        raise problem("client_bad_request", what=say("--repin 需要 --key。", "--repin needs --key."), verb="log verify")
    witnesses = tuple(Key.parse(text) for text in witness or ())
    if folder is not None:
        trusted, checkpoint, remembered = _folder(folder, key, witnesses)
        source: Source = Folder(folder)
        result = _run(source, checkpoint, (*_kept(since or [], trusted), *remembered), head)
    else:
        with session.client() as client:
            found = client.head(key, witnesses=witnesses, repin=repin)
            trusted, checkpoint = found.key, found.checkpoint
            if found.since is None and key is None:
                output.note(
                    say(
                        f"首次见到此日志，已记住其公钥；请与数据主管部门公布的公钥核对：\n  {trusted}",
                        f"first sight of this log; its key is now remembered. Compare it with the bureau's:\n  {trusted}",
                    )
                )
            older = (*_kept(since or [], trusted), *((found.since,) if found.since else ()))
            try:
                result = _run(client.log, checkpoint, older, head)
            except YuneiProblem as trouble:
                if trouble.status not in (401, 403):
                    raise
                head = True
                output.note(
                    say(
                        "记录全文只对数据主管部门开放：已核对签名与一致性，未逐条重算。",
                        "Entries are for the bureau to read: signature and consistency were checked, entries were not recomputed.",
                    )
                )
                result = _run(client.log, checkpoint, older, head)
    if save is not None:
        save.write_text(checkpoint.note, encoding="utf-8")
    _report(result, trusted, head)


def _folder(folder: Path, key: str | None, witnesses: tuple[Key, ...]) -> tuple[Key, Checkpoint, tuple[Checkpoint, ...]]:
    """Key, checkpoint and remembered checkpoints for a local copy: the key is given, or one remembered under the copy's origin."""
    from yunei.trust import Trust

    note = Folder(folder).checkpoint()
    trusted = Key.parse(key) if key is not None else remembered_key(note, "log verify")
    checkpoint = open_checkpoint(note, trusted, witnesses)
    remembered = [pin.seen for pin in Trust(session.state_path()).pins() if pin.key == trusted and pin.seen is not None]
    for seen in remembered:
        if seen.size > checkpoint.size:
            output.note(
                say(
                    f"副本只到第 {checkpoint.size} 条，本机曾见过 {seen.size} 条",
                    f"the copy ends at {checkpoint.size} entries; {seen.size} have been seen here",
                )
            )
    return trusted, checkpoint, tuple(seen for seen in remembered if seen.size <= checkpoint.size)


def remembered_key(note: str, verb: str) -> Key:
    """The one key that is remembered for the log a note claims to be of. Raises `client_bad_request` when there is none, or several."""
    from yunei.trust import Trust

    keys = {str(pin.key): pin.key for pin in Trust(session.state_path()).pins() if pin.key.name == note.split("\n")[0]}
    if len(keys) != 1:
        what = say("请用 --key 给出日志公钥：本机没有记住这个日志。", "Give the log's key with --key: this log is not remembered here.")
        raise problem("client_bad_request", what=what, verb=verb)
    return next(iter(keys.values()))


def _kept(files: list[Path], key: Key) -> list[Checkpoint]:
    kept = []
    for file in files:
        try:
            kept.append(open_checkpoint(decode(file.read_bytes()), key))
        except OSError as error:
            raise problem("client_bad_request", what=f"{file}: {error.strerror}", verb="log verify") from error
    return kept


def _run(source: Source, checkpoint: Checkpoint, older: tuple[Checkpoint, ...], head: bool) -> Verified:
    if not head:
        with output.counting(say("验证记录", "entries")) as progress:
            return verify_log(source, checkpoint, older, progress)
    from yunei.tiles import check_extends

    for old in older:
        if old.size > checkpoint.size:
            raise problem("verify_rollback", seen=old.size, now=checkpoint.size)
        check_extends(old, checkpoint, source)
    return Verified(checkpoint, source.where, tuple(sorted({old.size for old in older})), 0)


def _report(result: Verified, key: Key, head: bool) -> None:
    checkpoint = result.checkpoint
    data = {
        "verified": True,
        "complete": not head,
        "where": result.where,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "since": list(result.anchors),
        "key": str(key),
    }
    if session.shape == "json":
        output.as_json(data)
        return
    if session.shape == "csv":
        output.table(list(data), [[" ".join(map(str, value)) if isinstance(value, list) else value for value in data.values()]])
        return
    if head:
        output.line(say(f"✓ 检查点签名成立，日志共 {checkpoint.size} 条", f"✓ the checkpoint is signed; the log has {checkpoint.size} entries"))
    else:
        output.line(
            say(
                f"✓ 日志完整：{checkpoint.size} 条记录逐条重算，与签名一致",
                f"✓ the log is intact: {checkpoint.size} entries recomputed, all as signed",
            )
        )
    output.facts(
        [
            (say("日志", "log"), checkpoint.origin),
            (say("来源", "read from"), result.where),
            (say("根哈希", "root"), checkpoint.root.hex()),
            (say("经过以前的检查点", "passes through"), ", ".join(str(size) for size in result.anchors if size < checkpoint.size)),
            (say("公钥", "key"), key),
        ]
    )


def audit(
    folder: Annotated[Path | None, typer.Option("--dir", help=say("日志副本", "the copied log"))] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="VKEY", help=say("日志公钥，可以是更换前的", "the log's key; one since replaced also works")),
    ] = None,
    since: Annotated[
        list[Path] | None,
        typer.Option("--since", metavar="FILE", help=say("以前保存的检查点，可重复", "a checkpoint saved earlier; repeatable")),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="VKEY", help=say("必须联署的见证方公钥，可重复", "a witness that must have cosigned; repeatable")),
    ] = None,
    products: Annotated[
        Path | None, typer.Option("--products", help=say("成果文件目录，逐一与日志核对", "folder of product files to check against the log"))
    ] = None,
    carry: Annotated[
        Path | None,
        typer.Option(
            "--carry", metavar="FILE", help=say("写出可带走的单文件审计程序", "write the audit program as a single file to take away")
        ),
    ] = None,
) -> None:
    from yunei import auditing

    if carry is not None:
        auditing.carry(carry)
        output.note(
            say(
                f"只需 Python 与 cryptography：python {carry} --dir … --key …", f"needs Python and cryptography: python {carry} --dir … --key …"
            )
        )
    if folder is None:
        if carry is None:
            raise problem("client_bad_request", what=say("需要 --dir 或 --carry。", "--dir or --carry is needed."), verb="log audit")
        return
    trusted = Key.parse(key) if key is not None else remembered_key(Folder(folder).checkpoint(), "log audit")
    with output.counting(say("验证记录", "entries")) as progress:
        found = auditing.audit_folder(
            folder,
            trusted,
            since=[decode(path.read_bytes()) for path in since or ()],
            witnesses=[Key.parse(text) for text in witness or ()],
            products=products,
            progress=progress,
        )
    for line in auditing.lines(found):
        output.line(line)


def show(
    index: Annotated[int | None, typer.Argument(metavar="[INDEX]", min=0, help=say("只看这一条记录", "only this entry"))] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help=say("读取本地副本", "read a local copy"))] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="VKEY", help=say("日志公钥；默认用首次见到的", "the log's key; by default the one first seen")),
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help=say("显示最近几条", "how many of the latest"))] = 20,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    if folder is not None:
        trusted, checkpoint, _ = _folder(folder, key, ())
        _show(Folder(folder), checkpoint, trusted, index, last)
        return
    with session.client() as client:
        found = client.head(key)
        _show(client.log, found.checkpoint, found.key, index, last)


def _show(source: Source, checkpoint: Checkpoint, key: Key, index: int | None, last: int) -> None:
    if index is not None and index >= checkpoint.size:
        raise problem(
            "client_bad_request", what=say(f"日志只有 {checkpoint.size} 条。", f"The log has {checkpoint.size} entries."), verb="log show"
        )
    first, stop = (index, index + 1) if index is not None else (max(0, checkpoint.size - last), checkpoint.size)
    closed: YuneiProblem | None = None
    found: list[tuple[int, dict[str, Any]]] = []
    try:
        found = [(number, _event(entry)) for number, entry in Tiles(source, checkpoint.size).entries(first, stop)]
    except YuneiProblem as trouble:
        if trouble.status not in (401, 403) or index is not None:
            raise
        closed = trouble  # the checkpoint is for everyone, entries need a role
    if session.shape == "json":
        events = [{"index": number, "event": event} for number, event in found]
        output.as_json({"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex(), "key": str(key), "events": events})
        return
    if session.shape == "table":
        output.facts(
            [
                (say("日志", "log"), checkpoint.origin),
                (say("记录数", "entries"), checkpoint.size),
                (say("根哈希", "root"), checkpoint.root.hex()),
                (say("公钥", "key"), key),
            ]
        )
        if index is not None:
            output.line()
            output.as_json(found[0][1])
            return
        if closed is not None:
            output.note(closed.words(say.language).title)
            return
        output.line()
    headers = (say("序号", "index"), say("时间", "at"), say("事件", "kind"), say("谁", "by"), say("内容", "what"))
    rows = [(number, event.get("at"), event.get("kind"), event.get("by"), _brief(event)) for number, event in found]
    output.table(headers, rows, right=(0,), csv_headers=("index", "at", "kind", "by", "what"))


def _event(entry: bytes) -> dict[str, Any]:
    try:
        event = json.loads(entry)
    except ValueError:
        event = None
    return event if isinstance(event, dict) else {"kind": "?", "bytes": len(entry)}


def _brief(event: Mapping[str, Any]) -> str:
    """The event's own names, without what is long or already shown."""
    kept = {name: value for name, value in event.items() if name not in ("at", "kind", "by") and isinstance(value, str | int)}
    text = "  ".join(f"{name}={value}" for name, value in kept.items() if len(str(value)) <= 40)
    return text if len(text) <= 100 or session.shape == "csv" else f"{text[:99]}…"
