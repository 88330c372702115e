"""Where rotated refresh tokens live between tasks, when the connection asks for it.

Airflow tasks cannot write connections, and its state stores and XComs are not encrypted. An Airflow
Variable is encrypted, and both workers and triggerers can write it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Variable

from intacct_provider.client.errors import IntacctConfigError, IntacctError

if TYPE_CHECKING:
    from intacct_provider.client.auth import CredentialStore

#: Named so that Airflow masks the value in its UI and logs.
VARIABLE_PREFIX = "intacct_refresh_token__"


class VariableCredentialStore:
    """Keeps the refresh token of one connection in an encrypted Airflow Variable.

    :param conn_id: id of the connection that the token belongs to.
    """

    def __init__(self, conn_id: str) -> None:
        self.name = f"{VARIABLE_PREFIX}{conn_id}"

    def load(self) -> str | None:
        """Return the stored refresh token, or None when none was stored yet."""
        stored = Variable.get(self.name, default=None)
        return None if stored is None else str(stored)

    def save(self, refresh_token: str) -> None:
        """Store the refresh token and make sure that the next task will read this one.

        :raises IntacctError: if a secrets backend or the environment holds a variable of the same name,
            which would hide the new token.
        """
        Variable.set(self.name, refresh_token)
        if self.load() != refresh_token:
            raise IntacctError(
                f"The rotated refresh token was written to Variable {self.name}, but another secrets backend "
                "answers for that name with an older value. Remove it there."
            )


def credential_store(setting: str, conn_id: str) -> CredentialStore | None:
    """Return the store that the connection's ``credential_store`` names; None keeps tokens in memory.

    :param setting: ``memory``, ``variable``, or the dotted path of a callable that takes the connection id
        and returns an object with ``load()`` and ``save(refresh_token)``.
    :raises IntacctConfigError: if the dotted path leads nowhere.
    """
    if setting == "memory":
        return None
    if setting == "variable":
        return VariableCredentialStore(conn_id)
    module, _, name = setting.rpartition(".")
    try:
        made: CredentialStore = getattr(importlib.import_module(module), name)(conn_id)
    except (ImportError, AttributeError, ValueError) as err:
        raise IntacctConfigError(
            f"credential_store {setting!r} must be 'memory', 'variable' or the dotted path of a credential store; "
            f"importing it failed ({type(err).__name__})."
        ) from err
    return made
