"""Raw data at rest: versions of datasets as encrypted Parquet parts, written once and never changed.

On disk, under the vault's directory:

    <dataset>/dataset.key        the dataset's key, wrapped under a version of the master key (`infra.masters`)
    <dataset>/v<n>/manifest      schema, digest and, per part, rows, SHA-256 and wrapped file key; AES-256-GCM or SM4-GCM
    <dataset>/v<n>/part-00000.parquet …   Parquet Modular Encryption, footer included, one random key per file

Each part is bound to dataset, version and position by an AAD prefix that is not stored in the file; the manifest is bound likewise. So a
flipped bit, a part moved to another place, and an old version put in the place of a new one are all refused; a whole dataset put back to an
older state is found by the digest that the register has of each version. A version appears by one step after everything in it has been
synced: after a crash it is there wholly or not at all. Nothing is written in plaintext.

A version may keep the parts of an earlier one and add as many of its own, one to each shard. Kept files stay where they were written, bound to
that version and position; the new manifest names them with their digests and wraps their keys anew. Such a version can be read only
while the files that it keeps are there (`Version.needs`).

Keys change without rows being read: another master key wraps each dataset's key anew, another dataset key each file's. Keys leave this
package for a worker only sealed for it, for one job (`release`). Data is disposed of by destroying its keys (`Vault.destroy`).
"""

from __future__ import annotations

from infra.masters import KEY_BYTES as KEY_BYTES
from infra.scratch import Scratch as Scratch
from infra.vault.draft import Draft as Draft
from infra.vault.keyfiles import Random as Random
from infra.vault.parts import FileKey as FileKey
from infra.vault.parts import Part as Part
from infra.vault.parts import VaultError as VaultError
from infra.vault.parts import Version as Version
from infra.vault.release import JobKeys as JobKeys
from infra.vault.release import Lock as Lock
from infra.vault.release import Sealed as Sealed
from infra.vault.vault import Era as Era
from infra.vault.vault import Vault as Vault
from infra.vault.vault import WrappedKey as WrappedKey
from infra.vault.writing import PartWriter as PartWriter
