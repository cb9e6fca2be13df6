"""Verbs for whoever keeps the vault's keys: vault keys, create-key, rotate, rotate-dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli_common import HOME, Group, opened, told
from yunei.cli import output
from yunei.words import say

_HOME = Annotated[Path | None, typer.Option("--home", help=say(*HOME))]


def register(group: Group) -> None:
    keys = group("vault", "主密钥与数据集密钥", "the master key and datasets' keys")
    keys.command("keys", help=say("主密钥各版本，及各封装多少密钥", "versions of the master key, and how many keys each wraps"))(told(show))
    keys.command("create-key", help=say("在密码设备或服务中建立第一把主密钥", "make the first master key in a token or service"))(told(create))
    keys.command("rotate", help=say("更换主密钥：数据不重写", "another master key; no data is written anew"))(told(rotate))
    keys.command("rotate-dataset", help=say("更换一个数据集的密钥：数据不重写", "another key for a dataset; no data is written anew"))(
        told(rotate_dataset)
    )


def show(home: _HOME = None) -> None:
    from sandbox.raw.custody import keys_of

    with opened(home) as services:
        found = keys_of(services.vault)
    unknown = [name for name in found.wrapping if name not in found.known]
    output.table(
        (say("主密钥", "master key"), say("封装的密钥", "keys it wraps"), say("状态", "state")),
        [
            *(
                (name, found.wrapping.get(name, 0), say("现行", "present") if name == found.present else say("旧", "old"))
                for name in found.known
            ),
            *((name, found.wrapping[name], say("不在：其下密钥无法打开", "not there: keys under it do not open")) for name in unknown),
        ],
        right=(1,),
        csv_headers=("key", "wraps", "state"),
    )


def create(home: _HOME = None) -> None:
    from sandbox.raw.custody import create_master

    with opened(home) as services:
        name = create_master(services.vault)
    output.line(name)


def rotate(
    finish: Annotated[bool, typer.Option("--finish", help=say("销毁不再使用的旧主密钥", "destroy old versions that wrap nothing"))] = False,
    home: _HOME = None,
) -> None:
    from jobs.custody import retire_masters, rotate_master

    with opened(home) as services:
        if finish:
            gone = retire_masters(services.register, services.vault)
            output.note(say("已销毁旧主密钥；由其封装的旧副本不再可用：", "destroyed; old copies of keys under them open no more:"))
            for name in gone:
                output.line(name)
            return
        done = rotate_master(services.register, services.vault)
    output.note(
        say(
            f"{done.wrapped} 个密钥改由新主密钥封装。确认备份已更新后：yunei vault rotate --finish",
            f"{done.wrapped} keys are under the new master key. Once backups are renewed: yunei vault rotate --finish",
        )
    )
    output.line(done.key)


def rotate_dataset(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=say("数据集名", "name of the dataset"))],
    home: _HOME = None,
) -> None:
    from jobs.custody import rotate_key

    with opened(home) as services:
        generation = rotate_key(services.register, services.vault, dataset)
    output.line(say(f"{dataset} 的密钥为第 {generation} 代", f"{dataset}: generation {generation}"))
