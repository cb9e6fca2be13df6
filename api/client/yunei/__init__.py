"""域内 · yunei: submit jobs beside the data, fetch what may leave, verify that it is what the log says.

    import yunei

    with yunei.Client("https://yunei.example", key) as client:
        answer = client.ask("SELECT city, COUNT(*) AS n FROM visits GROUP BY city", licence="…", scenario="…", epsilon="0.5")
        answer.to_pandas(); answer.verify()

Importing this module costs nothing: its parts are loaded when they are first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yunei.answer import Answer as Answer
    from yunei.billing import Fee as Fee
    from yunei.billing import Revenue as Revenue
    from yunei.billing import Statement as Statement
    from yunei.client import Client as Client
    from yunei.evidence import Evidence as Evidence
    from yunei.evidence import verify_folder as verify_folder
    from yunei.evidence import verify_offline as verify_offline
    from yunei.models import Account as Account
    from yunei.models import Dataset as Dataset
    from yunei.models import Dummy as Dummy
    from yunei.models import Job as Job
    from yunei.models import Licence as Licence
    from yunei.models import Loss as Loss
    from yunei.models import Quote as Quote
    from yunei.models import Release as Release
    from yunei.problem import NotVerified as NotVerified
    from yunei.problem import StillRunning as StillRunning
    from yunei.problem import Unreachable as Unreachable
    from yunei.problem import YuneiProblem as YuneiProblem

__version__ = "0.1.0"

_HOME = {
    "Answer": "answer",
    "Client": "client",
    **dict.fromkeys(("Fee", "Revenue", "Statement"), "billing"),
    **dict.fromkeys(("Evidence", "verify_folder", "verify_offline"), "evidence"),
    **dict.fromkeys(("Account", "Dataset", "Dummy", "Job", "Licence", "Loss", "Quote", "Release"), "models"),
    **dict.fromkeys(("NotVerified", "StillRunning", "Unreachable", "YuneiProblem"), "problem"),
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'yunei' has no attribute {name!r}")
    return getattr(import_module(f"yunei.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
