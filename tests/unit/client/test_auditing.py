"""The auditor's own verifier: a real log passes, every lie the server's audit finds is found here too, and one file can be carried away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import acts, ledger
from jobs.events import EVENT_KINDS, CapRaised, Cost, Event, canonical
from jobs.register import Register
from jobs.rotation import announce_log_key, retire_log_key
from policies.loss import Loss
from tests.audited import LIES, fill, sign_behind_the_registers_back
from tests.small_register import Ticking, a_register, settings_in, submit, title
from tests.timing import least
from yunei import NotVerified
from yunei.auditing import Audited, audit_folder, carry, lines, main
from yunei.replay import RULES, Book
from yunei.transparency import Key


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    with a_register(tmp_path_factory.mktemp("made")) as register:
        fill(register)
        yield register


@pytest.fixture
def copy(made: Register, tmp_path: Path) -> Iterator[Register]:
    made.engine.dispose()
    shutil.copytree(made.settings.home, tmp_path / "home")
    register = Register.open(settings_in(tmp_path / "home"), clock=Ticking())
    yield register
    register.close()


def audited(register: Register, vkey: str | None = None) -> Audited:
    return audit_folder(register.settings.log_dir, Key.parse(vkey or register.vkey))


def test_it_recomputes_what_the_ledger_holds(made: Register) -> None:
    found = audited(made)
    told = {
        each.account: ((each.spent.pico_rho, each.spent.atto_delta), (each.reserved.pico_rho, each.reserved.atto_delta))
        for each in ledger.balances(made)
    }
    assert {name: (account.spent, account.reserved) for name, account in found.book.accounts.items()} == told
    meter = found.book.meters["op-1", "L-1"]
    assert (meter.releases, meter.rows, meter.bytes, meter.cost) == (3, 9, 900, (3_000_000, 30))
    assert found.verified.checkpoint.size == 600
    assert not found.book.unknown
    assert lines(found)[-1] == "verified"


def test_there_is_a_rule_for_every_kind_of_event() -> None:
    assert set(RULES) == set(EVENT_KINDS), "say in yunei/replay/ what this kind does to accounts, charges and meters"


@pytest.mark.parametrize(("event"), [event for lies in LIES.values() for event in lies], ids=list(LIES))
def test_a_signed_lie_is_found(copy: Register, event: Event | None) -> None:
    body = canonical(event, "2027-01-01T00:00:00.000000Z") if event else b'{"kind":"nothing"}'
    sign_behind_the_registers_back(copy, body)
    with pytest.raises(NotVerified, match="verify_replay") as found:
        audited(copy)
    assert found.value.fields["index"] == "600"


def test_what_is_given_back_and_given_up_is_followed(copy: Register) -> None:
    submit(copy, "x", Loss(5))
    submit(copy, "y", Loss(7))
    with copy.transaction() as act:
        ledger.reading(act, "c-y", by="system")
        ledger.forfeit(act, "c-y", by="system")
    acts.suspend_licence(copy, "L-1", reason="r")
    acts.resume_licence(copy, "L-1", reason="r")
    acts.register_principal(copy, "zhang", role="admin", title=title("z"))
    acts.register_principal(copy, "li", role="admin", title=title("l"))
    proposal = acts.propose_cap(copy, "licence:L-1", Loss(2 * 10**12, 2 * 10**12), reason="r", by="zhang")
    acts.raise_cap(copy, "licence:L-1", Loss(2 * 10**12, 2 * 10**12), proposal=proposal, by="li")
    told = {each.account: (each.spent.pico_rho, each.reserved.pico_rho, each.cap.pico_rho) for each in ledger.balances(copy)}
    book = audited(copy).book
    assert {name: (account.spent[0], account.reserved[0], account.cap[0]) for name, account in book.accounts.items()} == told


def test_the_first_key_still_leads_to_a_log_that_changed_it(copy: Register) -> None:
    first = copy.vkey
    kept = copy.checkpoint()
    announce_log_key(copy)
    retire_log_key(copy)
    found = audit_folder(copy.settings.log_dir, Key.parse(first), since=[kept])
    assert str(found.key) == copy.vkey
    assert found.verified.anchors == (600,)


def test_products_are_held_against_the_log(made: Register, tmp_path: Path) -> None:
    products = tmp_path / "products"
    products.mkdir()
    (products / "smuggled.csv").write_text("name,id\n")
    with pytest.raises(NotVerified, match="verify_product"):
        audit_folder(made.settings.log_dir, Key.parse(made.vkey), products=products)


def test_accounts_are_also_summed_from_their_charges(made: Register) -> None:
    book = audited(made).book
    next(iter(book.accounts.values())).spent = (1, 1)
    with pytest.raises(NotVerified, match="not the sum of its charges"):
        book.finish()


def test_the_carried_file_needs_nothing_but_python_and_cryptography(made: Register, tmp_path: Path) -> None:
    carry(tmp_path / "one.pyz")
    carry(tmp_path / "two.pyz")
    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
    guard = (
        "import runpy, sys\n"
        "class Only:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        root = name.partition('.')[0]\n"
        "        if root not in sys.stdlib_module_names and root not in ('yunei', 'cryptography', '_cffi_backend', '__main__'):\n"
        "            raise ImportError(f'{name} is not to be needed')\n"
        "sys.meta_path.insert(0, Only())\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    (tmp_path / "guard.py").write_text(guard)

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(tmp_path / "guard.py"), str(tmp_path / "one.pyz"), "--dir", str(folder), "--key", made.vkey]
        return subprocess.run([*command, "--lang", "en"], capture_output=True, text=True, check=False, timeout=60)

    done = run(made.settings.log_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "verified"
    assert done.stdout.splitlines() == lines(audited(made))
    shutil.copytree(made.settings.log_dir, tmp_path / "bent")
    tile = tmp_path / "bent" / "tile" / "entries" / "001"
    data = bytearray(tile.read_bytes())
    data[100] ^= 1
    tile.write_bytes(data)
    bent = run(tmp_path / "bent")
    assert (bent.returncode, bent.stdout) == (4, "")
    assert "[verify_entry]" in bent.stderr
    assert "256" in bent.stderr


def test_the_command_line_of_the_carried_file(made: Register, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dir", str(made.settings.log_dir), "--key", made.vkey]) == 0
    assert "account licence:L-1 spent 3000700e-12/30e-18" in capsys.readouterr().out
    assert main(["--dir", str(made.settings.log_dir / "nowhere"), "--key", made.vkey]) == 4


def test_replaying_is_quick() -> None:
    """At least 20,000 events a second of this thread's time, of which other threads and programs take nothing."""
    events = []
    for number in range(5_000):
        event = {"kind": "principal_registered", "at": "2026-11-22T08:00:00.000000Z", "by": "system", "principal": f"p{number}"}
        events.append(json.dumps(event, sort_keys=True, separators=(",", ":")).encode())

    def replay() -> None:
        book = Book()
        for index, entry in enumerate(events):
            book.apply(index, entry)

    assert least(3, replay) < 5_000 / 20_000


def test_one_person_alone_raises_no_cap(copy: Register) -> None:
    acts.register_principal(copy, "zhang", role="admin", title=title("z"))
    cap = Loss(2 * 10**12, 2 * 10**12)
    proposal = acts.propose_cap(copy, "licence:L-1", cap, reason="r", by="zhang")
    event = CapRaised(by="zhang", account="licence:L-1", cap=Cost.of(cap), proposal=proposal)
    sign_behind_the_registers_back(copy, canonical(event, "2027-01-01T00:00:00.000000Z"))
    with pytest.raises(NotVerified, match="not another person's proposal"):
        audited(copy)


def test_an_entry_dated_before_its_forerunner_and_one_spelt_otherwise_are_found() -> None:
    book = Book()
    book.apply(0, b'{"at":"2026-11-22T08:00:01.000000Z","by":"system","kind":"principal_registered","principal":"a"}')
    with pytest.raises(NotVerified, match="time runs backwards"):
        book.apply(1, b'{"at":"2026-11-22T08:00:00.000000Z","by":"system","kind":"principal_registered","principal":"b"}')
    with pytest.raises(NotVerified, match="not in canonical form"):
        book.apply(1, b'{"at":"2026-11-22T08:00:02.000000Z", "by":"system","kind":"principal_registered","principal":"b"}')
