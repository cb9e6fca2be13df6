"""Notifications by mail, handed to a relay on loopback: confirmed addresses alone, nothing of the data, tried again, given up."""

from __future__ import annotations

import email
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from infra.clock import system_clock
from infra.mail import Relay, letter, send
from infra.settings import Settings
from jobs import acts
from jobs.reports import Asked
from jobs.reports.clock import Issuer
from jobs.reports.issue import issue
from jobs.reports.orders import order_report
from jobs.webhooks import Dispatcher, hooks, mailboxes
from jobs.webhooks.dispatch import RETRY_S
from jobs.webhooks.letters import code_of
from policies.problem import Problem
from tests.bureau import LICENCE, Bureau, Home, opened

WHO = "zhang@example.gov.cn"


class Taken:
    """What the relay was handed; `says` is its answer."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.says = "250 OK"
        self.away = False  # a test has stopped it

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # aiosmtpd's name
        if self.says.startswith("250"):
            assert isinstance(envelope.content, bytes)
            made: Any = email.message_from_bytes(envelope.content, policy=default)
            self.mails.append(made)
        return self.says


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def relay(taken: Taken) -> Iterator[Controller]:
    controller = Controller(taken, hostname="127.0.0.1", port=free())
    controller.start()
    yield controller
    if not taken.away:
        controller.stop()


def free() -> int:
    """A port that nobody listens on: the controller wants to know it beforehand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ahead:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def house(bureau_home: Home, tmp_path: Path, relay: Controller, clock: Ahead) -> Iterator[Bureau]:
    keys = bureau_home.copy_to(tmp_path / "home")
    set_ = {"smtp_host": "127.0.0.1", "smtp_port": relay.port, "smtp_tls": "none", "mail_from": "register@sx.example"}
    services = opened(tmp_path / "home", clock=clock, webhook_interval_s=3600, **set_)
    services.webhooks.stop()  # its first round would send what the test means to
    yield Bureau(services, keys)
    services.close()


def text(mail: EmailMessage) -> str:
    return str(mail.get_content())


def confirmed(house: Bureau, who: str = "supervisor", topics: tuple[str, ...] = ("report.issued",)) -> None:
    register = house.services.register
    box = mailboxes.set_mailbox(register, WHO, topics, by=who)
    assert Dispatcher(register).once() == 1
    mailboxes.confirm_mailbox(register, code_of(register.key_ring, box.id, WHO), by=who)


def test_an_address_is_told_nothing_before_its_code_is_handed_in(house: Bureau, taken: Taken) -> None:
    register = house.services.register
    sender = Dispatcher(register)
    box = mailboxes.set_mailbox(register, WHO, ["report.issued"], by="supervisor")
    issue(register, Asked.of("filing", None, LICENCE), by="supervisor")
    assert sender.once() == 1  # the code alone
    (mail,) = taken.mails
    code = code_of(register.key_ring, box.id, WHO)
    assert (mail["To"], mail["From"]) == (WHO, "register@sx.example")
    assert code in text(mail)
    assert "确认码" in str(mail["Subject"])
    with pytest.raises(Problem) as caught:
        mailboxes.confirm_mailbox(register, "A" * 16, by="supervisor")
    assert caught.value.code == "mail_code"
    with pytest.raises(Problem) as caught:
        mailboxes.confirm_mailbox(register, code, by="auditor")  # somebody else's is none of theirs
    assert caught.value.code == "mail_none"
    assert mailboxes.confirm_mailbox(register, f" {code.lower()} ", by="supervisor").state == "open"
    assert sender.once() == 0  # what was before is not told
    issued = issue(register, Asked.of("filing", None, LICENCE), by="supervisor")
    assert sender.once() == 1
    assert Dispatcher(register).once() == 0
    told = text(taken.mails[-1])
    for said in ("签发报告", "a report is issued", issued.id, f"{issued.entry}"):
        assert said in told
    assert LICENCE not in told
    assert taken.mails[-1]["Auto-Submitted"] == "auto-generated"
    assert hooks.hooks_of(register, "supervisor") == []  # it is no webhook


def test_reports_that_the_clock_issues_are_told_like_any_other(house: Bureau, taken: Taken, clock: Ahead) -> None:
    """By mail to whoever chose so, and by webhook to the operator whose report it is; what is missed while away is told in order."""
    register = house.services.register
    confirmed(house)
    hook = hooks.open_hook(register, "https://operator.example/hook", ["report.issued"], None, by="operator-1")
    order_report(register, "usage", "month", by="supervisor")
    order_report(register, "usage", "month", subject="operator-1", by="supervisor")
    issuer = Issuer(register, interval_s=60)
    assert (issuer.once(), Dispatcher(register).once()) == ([], 0)
    clock.ahead += timedelta(days=62)  # two months are over, at least
    made = issuer.once()
    assert {each.issued_by for each in made} == {"system"}
    Dispatcher(register, resolve=lambda host, port: ["10.0.0.1"]).once()  # nobody is there: the hook's messages wait
    mails = [text(mail) for mail in taken.mails[1:]]  # the first was the code
    assert len(mails) == len(made)
    assert all(each.id in mail for each, mail in zip(made, mails, strict=True))
    mine = [each for each in made if each.subject == "operator-1"]
    assert sorted(str(message.entry) for message in hooks.messages_of(register, hook.id)) == sorted(str(each.entry) for each in mine) != []


def test_an_operator_is_told_of_its_own_reports_alone(house: Bureau, taken: Taken) -> None:
    register = house.services.register
    confirmed(house, "operator-1")
    issue(register, Asked.of("incident", "2026", None), by="supervisor")
    issue(register, Asked.of("incident", "2026", "operator-2"), by="supervisor")
    mine = issue(register, Asked.of("filing", None, LICENCE), by="supervisor")
    assert Dispatcher(register).once() == 1
    assert mine.id in text(taken.mails[-1])


def test_reasons_and_counts_stay_in_the_register(house: Bureau, taken: Taken) -> None:
    from tests.products import ID, on_the_shelf

    confirmed(house, "supervisor", ("product.recalled",))
    on_the_shelf(house)
    acts.recall_product(house.services.register, ID, reason="秘密的理由 47114711", by="supervisor")
    assert Dispatcher(house.services.register).once() == 1
    assert ID in text(taken.mails[-1])
    assert "47114711" not in text(taken.mails[-1])


def test_a_relay_that_is_busy_is_tried_again_and_in_the_end_given_up(house: Bureau, taken: Taken, clock: Ahead) -> None:
    register = house.services.register
    confirmed(house)
    taken.says = "451 later"
    message = mailboxes.try_mailbox(register, by="supervisor")
    sender = Dispatcher(register, jitter=lambda seconds: seconds)
    for pause in (0, *RETRY_S):
        clock.ahead += timedelta(seconds=pause + 1)
        assert sender.once() == 1
    clock.ahead += timedelta(days=30)
    assert sender.once() == 0
    box = mailboxes.mailbox_of(register, "supervisor")
    assert box is not None
    told = next(each for each in hooks.messages_of(register, box.id) if each.id == message)
    assert (told.state, {attempt.status for attempt in told.attempts}) == ("given_up", {451})
    assert len(told.attempts) == len(RETRY_S) + 1


def test_an_address_that_does_not_exist_is_given_up_at_once(house: Bureau, taken: Taken) -> None:
    register = house.services.register
    confirmed(house)
    taken.says = "550 nobody here"
    mailboxes.try_mailbox(register, by="supervisor")
    assert Dispatcher(register).once() == 1
    box = mailboxes.mailbox_of(register, "supervisor")
    assert box is not None
    assert hooks.messages_of(register, box.id)[0].state == "given_up"


def test_a_relay_that_is_away_loses_nothing(house: Bureau, taken: Taken, relay: Controller, clock: Ahead) -> None:
    register = house.services.register
    confirmed(house)
    relay.stop()
    taken.away = True
    mailboxes.try_mailbox(register, by="supervisor")
    assert Dispatcher(register).once() == 1
    box = mailboxes.mailbox_of(register, "supervisor")
    assert box is not None
    waiting = hooks.messages_of(register, box.id)[0]
    assert (waiting.state, waiting.attempts[0].status, waiting.attempts[0].error) == ("waiting", None, "ConnectionRefusedError")


def test_another_address_is_confirmed_anew_and_the_same_one_is_not(house: Bureau, taken: Taken) -> None:
    register = house.services.register
    confirmed(house)
    same = mailboxes.set_mailbox(register, WHO, ["alert.raised", "report.issued"], by="supervisor")
    assert (same.state, same.topics) == ("open", ("alert.raised", "report.issued"))
    other = mailboxes.set_mailbox(register, "li@example.gov.cn", ["report.issued"], by="supervisor")
    assert other.state == "unconfirmed"
    issue(register, Asked.of("filing", None, LICENCE), by="supervisor")
    assert Dispatcher(register).once() == 1
    assert taken.mails[-1]["To"] == "li@example.gov.cn"
    mailboxes.close_mailbox(register, by="supervisor")
    with pytest.raises(Problem) as caught:
        mailboxes.try_mailbox(register, by="supervisor")
    assert caught.value.code == "mail_none"


def test_nobody_elses_address_can_be_flooded(house: Bureau) -> None:
    register = house.services.register
    mailboxes.set_mailbox(register, WHO, ["report.issued"], by="supervisor")
    for _ in range(mailboxes.LETTERS_A_DAY - 1):
        mailboxes.send_code(register, by="supervisor")
    with pytest.raises(Problem) as caught:
        mailboxes.send_code(register, by="supervisor")
    assert caught.value.code == "mail_limit"
    with pytest.raises(Problem) as caught:
        mailboxes.set_mailbox(register, "other@example.gov.cn", ["report.issued"], by="supervisor")
    assert caught.value.code == "mail_limit"


@pytest.mark.parametrize(
    "address", ["zhang", "Zhang <a@b.cn>", "a@b.cn, c@d.cn", "a@b.cn\r\nBcc: c@d.cn", "a b@c.cn", "@b.cn", "a" * 300 + "@b.cn"]
)
def test_what_is_no_address(house: Bureau, address: str) -> None:
    with pytest.raises(Problem) as caught:
        mailboxes.set_mailbox(house.services.register, address, ["report.issued"], by="supervisor")
    assert caught.value.code == "mail_address"


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "relay.pem", folder / "relay.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoded = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*encoded))
    return paths


@pytest.fixture
def guarded(taken: Taken, tmp_path: Path) -> Iterator[Relay]:
    """A relay that wants STARTTLS and a password."""
    pem, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)

    def admit(_server: object, _session: object, _envelope: object, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"yunei", b"geheim")
        return AuthResult(success=right, handled=False)

    controller = Controller(
        taken, hostname="127.0.0.1", port=free(), tls_context=context, require_starttls=True, auth_required=True, authenticator=admit
    )
    controller.start()
    (tmp_path / "password").write_text("geheim\n")
    yield Relay("127.0.0.1", controller.port, "starttls", "yunei", tmp_path / "password", pem, "register@sx.example", 5)
    controller.stop()


def test_the_password_goes_over_tls_to_a_relay_whose_certificate_holds(guarded: Relay, taken: Taken, tmp_path: Path) -> None:
    def made() -> EmailMessage:
        return letter(guarded, WHO, "题目 · subject", "正文\n", id="msg_1", at=datetime(2026, 11, 22, tzinfo=UTC))

    def other(**changes: Any) -> Relay:
        fields = ("host", "port", "tls", "user", "password_file", "ca_file", "sender", "timeout_s")
        return Relay(**{**{name: getattr(guarded, name) for name in fields}, **changes})

    assert send(guarded, made()) == 250
    assert (taken.mails[0]["Subject"], text(taken.mails[0]).strip(), taken.mails[0]["Message-ID"]) == (
        "题目 · subject",
        "正文",
        "<msg_1@sx.example>",
    )
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        send(other(ca_file=None), made())
    (tmp_path / "wrong").write_text("falsch")
    assert send(other(password_file=tmp_path / "wrong"), made()) == 535
    assert send(other(user=""), made()) == 530
    assert send(other(tls="none", user=""), made()) == 530
    assert len(taken.mails) == 1


def test_no_header_is_broken_into(guarded: Relay) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        letter(guarded, WHO, "a\r\nBcc: x@y", "", id="m", at=datetime(2026, 11, 22, tzinfo=UTC))


def test_a_password_without_tls_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="smtp_tls"):
        Settings(smtp_host="relay", smtp_user="yunei", smtp_tls="none")
