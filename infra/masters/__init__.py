"""Master keys: who holds the key over all dataset keys, behind one small interface (docs/how-to/keys.md).

A dataset's key is wrapped under a named version of the master key by a provider: the home's folder of keys, secret files that the system
hands over, a PKCS#11 token or HSM, or a key management service. The last two wrap and unwrap inside and never hand the master out.
GB/T 39786-2021 asks for keys to be kept apart from what they protect; which provider does that, and how well, is in the how-to.
"""

from __future__ import annotations

from infra.masters.base import KEY_BYTES as KEY_BYTES
from infra.masters.base import MasterKeyError as MasterKeyError
from infra.masters.base import MasterKeys as MasterKeys
from infra.masters.base import Wrapped as Wrapped
from infra.masters.choose import masters_of as masters_of
from infra.masters.folder import FolderMasters as FolderMasters
from infra.masters.handed import HandedMasters as HandedMasters
from infra.masters.memory import MemoryMasters as MemoryMasters
