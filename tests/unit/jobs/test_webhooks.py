"""Subscriptions: who is told of what, how often it is tried, what is written down of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from api.schemas.webhooks import Type
from infra.clock import system_clock
from infra.webhooks import Target, signature
from jobs import acts
from jobs.products.deliveries import open_delivery
from jobs.webhooks import TOPICS, Dispatcher, dispatch, hooks
from jobs.webhooks.dispatch import RETRY_S
from policies.problem import Problem
from tests.bureau import Bureau, Home, opened
from tests.products import ID, on_the_shelf, released, version_of

URL = "http://127.0.0.1:9/hook"


class Ahead:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


Sent = list[tuple[str, dict[str, object], list[bytes]]]


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def house(bureau_home: Home, tmp_path: Path, clock: Ahead) -> Iterator[Bureau]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", clock=clock, webhook_networks=("127.0.0.0/8",), webhook_interval_s=3600)
    yield Bureau(services, keys)
    services.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> tuple[Sent, Callable[[int | Exception], None]]:
    """What would go out, and what its receiver answers."""
    out: Sent = []
    says: list[int | Exception] = [200]

    def post(target: Target, id: str, timestamp: int, body: bytes, secrets: list[bytes], **_: object) -> int:
        out.append((id, json.loads(body), secrets))
        if isinstance(says[0], Exception):
            raise says[0]
        return says[0]

    monkeypatch.setattr(dispatch, "post_webhook", post)
    return out, lambda answer: says.__setitem__(0, answer)


def test_the_schema_names_every_topic() -> None:
    assert set(get_args(Type)) == set(TOPICS)


def test_a_builder_is_told_of_versions_and_recalls_once(house: Bureau, sent: tuple[Sent, Callable[[int | Exception], None]]) -> None:
    out, _ = sent
    register = house.services.register
    on_the_shelf(house)
    hook = hooks.open_hook(register, URL, ["product.version_added", "product.recalled"], ID, by="builder")
    sender = Dispatcher(register)
    sender.once()
    assert out == []  # what was before is not told
    version_of(house, released(house, "SELECT city, COUNT(*) AS n FROM visits WHERE fee > 100 GROUP BY city"))
    open_delivery(register, house.services.copies, ID, None, "builder", "csv")
    acts.recall_product(register, ID, version=1, reason="来源有误", by="supervisor")
    assert sender.once() == 2
    assert sender.once() == 0
    assert Dispatcher(register).once() == 0  # nor by another process
    (_, first, secrets), (_, second, _) = out
    data: Any = first["data"]
    assert (first["type"], data["product"], data["version"]) == ("product.version_added", ID, 2)
    assert register.event(data["log_index"]).kind == "product_version_added"
    assert second["data"]["reason"] == "来源有误"  # type: ignore[index]
    assert secrets == [hooks.secret(register.key_ring, hook.id, 1)]
    told = hooks.messages_of(register, hook.id)
    assert [(message.state, [attempt.status for attempt in message.attempts]) for message in told] == [("delivered", [200])] * 2
    hooks.close_hook(register, hook.id)
    acts.recall_product(register, ID, reason="x", by="supervisor")
    assert sender.once() == 0


def test_nobody_is_told_of_what_it_may_not_know(house: Bureau, sent: tuple[Sent, Callable[[int | Exception], None]]) -> None:
    out, _ = sent
    register = house.services.register
    on_the_shelf(house)
    acts.issue_key(register, "builder-2", "builder")
    for who, subject in (("builder-2", ID), ("operator-2", ID), ("builder", "nothing")):
        with pytest.raises(Problem) as caught:
            hooks.open_hook(register, URL, ["product.recalled"], subject, by=who)
        assert caught.value.code == "webhook_subject_unknown"
    for who in ("builder-2", "operator-2", "operator-1", "supervisor"):
        hooks.open_hook(register, f"{URL}/{who}", ["product.recalled", "product.delivered"], None, by=who)
    acts.recall_product(register, ID, reason="x", by="supervisor")
    assert Dispatcher(register).once() == 2
    owners = {hook.id: hook.owner for hook in hooks.hooks_of(register)}
    told = {owners[hook] for hook in owners if hooks.messages_of(register, hook)}
    assert told == {"operator-1", "supervisor"}
    assert len(out) == 2


def test_a_builder_is_not_told_who_else_has_a_product(house: Bureau, sent: tuple[Sent, Callable[[int | Exception], None]]) -> None:
    out, _ = sent
    register = house.services.register
    on_the_shelf(house)
    with pytest.raises(Problem):
        hooks.open_hook(register, URL, ["product.delivered"], ID, by="builder")
    hooks.open_hook(register, URL, ["product.delivered"], None, by="builder")
    hooks.open_hook(register, URL, ["product.delivered"], ID, by="operator-1")
    open_delivery(register, house.services.copies, ID, None, "builder", "csv")
    assert Dispatcher(register).once() == 1
    assert [message["data"]["recipient"] for _, message, _ in out] == ["builder"]  # type: ignore[index]  # to its operator


def test_it_is_tried_again_and_then_given_up(house: Bureau, clock: Ahead, sent: tuple[Sent, Callable[[int | Exception], None]]) -> None:
    out, answer = sent
    register = house.services.register
    on_the_shelf(house)
    hook = hooks.open_hook(register, URL, ["product.recalled"], None, by="builder")
    sender = Dispatcher(register, jitter=lambda seconds: seconds)
    hooks.try_hook(register, hook.id)
    for number, pause in enumerate((*RETRY_S, 10**6)):
        answer(503 if number % 2 else TimeoutError())
        assert sender.once() == 1
        assert sender.once() == 0
        clock.ahead += timedelta(seconds=pause + 1)
    assert sender.once() == 0
    (message,) = hooks.messages_of(register, hook.id)
    assert (message.state, len(message.attempts)) == ("given_up", len(RETRY_S) + 1)
    assert {(attempt.status, attempt.error) for attempt in message.attempts} == {(503, None), (None, "TimeoutError")}
    assert len({id for id, _, _ in out}) == 1  # one id, however often
    answer(410)
    hooks.try_hook(register, hook.id)
    sender.once()
    assert hooks.hooks_of(register, "builder")[0].state == "gone"


def test_secrets_overlap_when_rotated(house: Bureau, clock: Ahead, sent: tuple[Sent, Callable[[int | Exception], None]]) -> None:
    out, _ = sent
    register = house.services.register
    hook = hooks.open_hook(register, URL, ["product.recalled"], None, by="supervisor")
    sender = Dispatcher(register)
    hooks.rotate_hook(register, hook.id)
    hooks.try_hook(register, hook.id)
    sender.once()
    clock.ahead += timedelta(hours=25)
    hooks.try_hook(register, hook.id)
    sender.once()
    one, two = (hooks.secret(register.key_ring, hook.id, generation) for generation in (1, 2))
    assert [secrets for _, _, secrets in out] == [[two, one], [two]]
    assert signature(one, "a", 1, b"") != signature(two, "a", 1, b"")


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://10.0.0.1/", "gopher://x", "https://127.0.0.1:9@evil.example/"])
def test_addresses_that_lead_inwards_are_refused(house: Bureau, url: str) -> None:
    register = house.services.register
    if url.startswith("http://"):  # a name: looked at when it is used
        hook = hooks.open_hook(register, url, ["product.recalled"], None, by="supervisor")
        hooks.try_hook(register, hook.id)
        Dispatcher(register, resolve=lambda host, port: ["10.0.0.1"]).once()
        assert [each.error for each in hooks.messages_of(register, hook.id)[0].attempts] == ["plain_http"]
        return
    with pytest.raises(Problem) as caught:
        hooks.open_hook(register, url, ["product.recalled"], None, by="supervisor")
    assert caught.value.code == "webhook_target_refused"


def test_there_is_an_end_to_how_many(house: Bureau) -> None:
    for _ in range(hooks.HOOKS_AT_MOST):
        hooks.open_hook(house.services.register, URL, ["product.recalled"], None, by="supervisor")
    with pytest.raises(Problem) as caught:
        hooks.open_hook(house.services.register, URL, ["product.recalled"], None, by="supervisor")
    assert caught.value.code == "webhook_limit"
