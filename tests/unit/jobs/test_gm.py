"""A bureau in the suite `gm`: SM2 beside Ed25519 on checkpoints and licences, SM4 around the keys, and everything else as ever."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from api.papers import html, markdown
from api.services import Services
from infra.crypto import sm3
from infra.crypto.envelope import MAGIC
from infra.database import reading
from infra.journal.checkpoint import Checkpoint
from infra.journal.note import SM2_LINE, VerifierKey, open_note
from jobs import acts, papers
from jobs.audit import audit
from jobs.products import seen
from jobs.products.manifest import file_name, manifest
from jobs.seals import gm_signers
from tests.bureau import LICENCE, Bureau, opened, set_up, settings_in
from tests.products import ID, on_the_shelf
from yunei.manifest import verify_product
from yunei.transparency import Key


def test_a_bureau_in_the_suite_gm(tmp_path: Path) -> None:
    home = tmp_path / "home"
    set_up(home, crypto_suite="gm")
    services = opened(home, crypto_suite="gm")
    try:
        register = services.register
        acts.suspend_licence(register, LICENCE, reason="a new checkpoint")
        note = register.checkpoint()
        (beside,) = gm_signers(register.key_ring, register.settings)
        assert beside.key.kind == SM2_LINE
        assert Checkpoint.open(note, [VerifierKey.parse(register.vkey)]).size == register.size  # as anyone reads it
        assert open_note(note, [VerifierKey.parse(register.vkey), beside.key])[1] == (VerifierKey.parse(register.vkey), beside.key)
        vkeys = [VerifierKey.parse(vkey) for vkey in papers.bureau_keys(register)]
        paper = papers.paper(register, LICENCE, services.clock())
        assert paper is not None
        assert paper.standing.note is not None
        document = paper.standing.note.split("\n")[2]
        assert paper.standing.sm3 == sm3(document.encode()).hex()
        for page in (markdown(paper, register.catalogue()), html(paper, register.catalogue())):
            assert paper.standing.sm3 in page
        assert open_note(paper.standing.note, vkeys)[1] == tuple(vkeys)
        assert [vkey.kind for vkey in vkeys] == [1, SM2_LINE]
        (kept,) = json.loads((home / "vault" / "visits" / "dataset.key").read_bytes())["keys"]
        assert MAGIC in base64.b64decode(kept["wrapped"])
        assert audit(register.settings.log_dir, [register.vkey], register.engine).clean
    finally:
        services.close()
    back = Services.open(settings_in(home))  # and in the other suite, on the same home
    try:
        assert audit(back.settings.log_dir, [back.register.vkey], back.register.engine).clean
        assert back.vault.open("visits", 1).parts
        assert len(papers.bureau_keys(back.register)) == 1
    finally:
        back.close()


def test_manifests_carry_sm2_beside_ed25519(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys = set_up(home, crypto_suite="gm")
    services = opened(home, crypto_suite="gm")
    try:
        on_the_shelf(Bureau(services, keys))
        with reading(services.register.engine) as connection:
            product = seen.product(connection, ID)
        assert product is not None
        version = product.versions[0]
        held = services.copies.held(version, None)
        envelope = manifest(services.register, product, version, held, None)
        assert len(envelope["signatures"]) == 2
        for copy in held:
            (tmp_path / file_name(ID, 1, copy.form)).write_bytes(copy.path.read_bytes())
        key = Key.parse(services.register.vkey)
        assert verify_product(json.dumps(envelope).encode(), tmp_path, (key,)).holds
        envelope["signatures"][1]["sig"] = base64.b64encode(bytes(64)).decode()
        (wrong,) = verify_product(json.dumps(envelope).encode(), tmp_path, (key,)).wrong
        assert wrong.name[1] == "signature of the manifest"
    finally:
        services.close()
