"""A local Sage Intacct for development and testing without an Intacct account: a real HTTP server over SQLite.

Importing this package costs nothing: the server is loaded when a public name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intacct_provider.sandbox.faults.plan import Fault, Faults
    from intacct_provider.sandbox.records.event_queue import EventQueue
    from intacct_provider.sandbox.server import Sandbox
    from intacct_provider.sandbox.state import Call

__all__ = ["Call", "EventQueue", "Fault", "Faults", "Sandbox"]

_MODULES = {
    "Call": "state",
    "EventQueue": "records.event_queue",
    "Fault": "faults.plan",
    "Faults": "faults.plan",
    "Sandbox": "server",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
