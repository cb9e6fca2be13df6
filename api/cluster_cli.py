"""The verbs of a cluster: its certificates and token, and a node."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from api.cli_common import Group, told
from yunei.words import say


def register(group: Group) -> None:
    cluster = group("cluster", "多台机器组成的集群", "several machines as one")
    cluster.command("certs", help=say("生成集群的证书与令牌", "make the certificates and the token of a cluster"))(told(certs))
    cluster.command("node", help=say("本机作为集群节点运行", "run this machine as a node"))(told(node))


def certs(
    folder: Annotated[Path, typer.Argument(help=say("存放证书的目录，勿放在节点上", "folder to keep them in, off the nodes"))],
    node: Annotated[list[str], typer.Option("--node", help=say("节点的内网地址，可多次给出", "private address of a node; may be repeated"))],
) -> None:
    """An authority, made once, and for each node a folder named by its address: copy that folder and the token to the node."""
    from infra.clock import system_clock
    from infra.workers import certificates
    from infra.workers.environment import new_token

    _private(node)
    certificates.authority(folder / "authority", system_clock)
    if not (folder / "token").exists():
        new_token(folder / "token")
    for address in node:
        if not (folder / address / "node.key").exists():
            certificates.node(folder / "authority", folder / address, [address], system_clock)
        typer.echo(str(folder / address))


def node(
    head: Annotated[str, typer.Option(help=say("集群首节点的 地址:端口", "ADDRESS:PORT of the cluster's head"))],
    address: Annotated[
        str, typer.Option(help=say("本机的内网地址；与首节点相同即为首节点", "this machine's private address; the head's own: be the head"))
    ],
    certificates: Annotated[Path, typer.Option(help=say("本节点的证书目录", "this node's certificates"))],
    token: Annotated[Path, typer.Option(help=say("集群令牌文件", "file with the cluster's token"))],
    workers: Annotated[int, typer.Option(min=0, help=say("可供工作进程使用的核数", "cores for workers"))] = 2,
    place: Annotated[list[str] | None, typer.Option(help=say("本节点所在地点，可多次给出", "place of this node; may be repeated"))] = None,
    object_store_bytes: Annotated[int, typer.Option(min=75 * 2**20, help=say("共享内存字节数", "bytes of shared memory"))] = 128 * 2**20,
    firewalled: Annotated[
        bool,
        typer.Option(
            help=say("本机虽有公网地址，但防火墙只放行集群", "a firewall lets only the cluster in, although this machine has a public address")
        ),
    ] = False,
) -> None:
    """Stays until told to stop, and starts Ray again whenever it ends."""
    from api.problems import SERVER_WORKERS
    from infra.workers import WorkersError
    from infra.workers.nodes import Node, Runner

    _private([address, head.rpartition(":")[0].strip("[]")])
    runner = Runner(Node(head, address, token, certificates, tuple(place or ()), workers, object_store_bytes, firewalled))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    try:
        runner.run()
    except WorkersError as error:
        raise SERVER_WORKERS(code=error.code) from None


def _private(addresses: list[str]) -> None:
    from api.problems import SERVER_CLUSTER_ADDRESS
    from infra.workers.certificates import private

    for address in addresses:
        try:
            private(address)
        except ValueError:
            raise SERVER_CLUSTER_ADDRESS(address=address) from None
