"""Intacct's REST API in its own vocabulary, usable without Airflow.

Importing this package costs nothing: the HTTP library is loaded when a client is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intacct_provider.client.client import IntacctClient
    from intacct_provider.client.config import IntacctConfig

__all__ = ["IntacctClient", "IntacctConfig"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name == "IntacctClient":
        from intacct_provider.client.client import IntacctClient

        return IntacctClient
    if name == "IntacctConfig":
        from intacct_provider.client.config import IntacctConfig

        return IntacctConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
