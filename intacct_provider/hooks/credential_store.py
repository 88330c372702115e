"""Where the tokens of a connection live between tasks, when the connection asks for it.

Airflow tasks cannot write connections, and its state stores and XComs are not encrypted. An Airflow
Variable is encrypted, and both workers and triggerers can write it.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow.sdk import Variable

from intacct_provider._compat import conf
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctConfigError, IntacctError

if TYPE_CHECKING:
    from intacct_provider.client.http.auth import CredentialStore

#: Named so that Airflow masks the value in its UI and logs.
VARIABLE_PREFIX = "intacct_token__"
#: Stores that need no permission.
OWN_STORES = ("memory", "variable")
#: Where Airflow's configuration names the dotted prefixes of other stores.
SECTION, PREFIXES_OPTION = "intacct", "credential_store_prefixes"
#: Stores that a process keeps, those used last.
MAX_STORES = 256


class VariableCredentialStore:
    """Keeps the tokens of one connection in an encrypted Airflow Variable.

    :param conn_id: id of the connection that the tokens belong to.
    """

    def __init__(self, conn_id: str) -> None:
        self.name = f"{VARIABLE_PREFIX}{conn_id}"
        self._seen: str | None = None

    def load(self) -> str | None:
        """Return the value of the Variable, or None if there is none."""
        stored = Variable.get(self.name, default=None)
        self._seen = None if stored is None else str(stored)
        return self._seen

    def save(self, text: str) -> None:
        """Write the Variable, and make sure that the next task will not read what was loaded before.

        :raises IntacctError: if a secrets backend or the environment holds a variable of the same name,
            which hides the new one.
        """
        before = self._seen  # known already: until it is written, a killed task would lose the text
        set_variable(self.name, text)
        now = self.load()
        # A third value is what another task has written meanwhile, which is just as valid.
        if now != text and now == before:
            raise IntacctError(
                f"New tokens were written to Variable {self.name}, but another secrets backend returns older tokens "
                "for that name. Remove the entry there."
            )


def set_variable(name: str, text: str) -> None:
    """Write an Airflow Variable, inside a task or outside."""
    try:
        Variable.set(name, text)
    except ImportError:
        # At a command line there is no task supervisor to write it; Airflow's own commands write this way, too.
        from airflow.models import Variable as StoredVariable  # noqa: TID251

        StoredVariable.set(name, text)


def find_credential_store(setting: str, conn_id: str) -> CredentialStore | None:
    """Return the store that the connection's ``credential_store`` names; None keeps tokens in memory.

    The same store each time, since the clients of a process share their tokens when they share the store.

    :param setting: ``memory``, ``variable``, or the dotted path of a callable that takes the connection id
        and returns an object with ``load()`` and ``save(text)``, which threads may call one at a time. It must be
        under a prefix that Airflow's configuration allows: a user who may edit connections must not choose what is
        called.
    :raises IntacctConfigError: if the dotted path is not allowed, or leads to what is not a store.
    """
    if setting == "memory":
        return None
    if setting != "variable":
        _check_path(setting)
    return _make_store(setting, conn_id)


def read_prefixes() -> list[str]:
    """Return the dotted prefixes under which Airflow's configuration allows credential stores; by default none."""
    text = conf.get(SECTION, PREFIXES_OPTION, fallback="") or ""
    return [prefix for part in text.replace("\n", ",").split(",") if (prefix := part.strip().rstrip("."))]


def _check_path(setting: str) -> None:
    """Reject what is neither a name of ours nor under an allowed prefix, before anything is imported.

    :raises IntacctConfigError: in that case.
    """
    if "." not in setting:
        raise IntacctConfigError(
            f"Unknown credential_store {setting!r}.{did_you_mean(setting, OWN_STORES)} Use 'memory', 'variable' or the "
            "dotted path of a credential store."
        )
    prefixes = read_prefixes()
    if any(f"{setting}.".startswith(f"{prefix}.") for prefix in prefixes):
        return
    allowed = f"allows only {', '.join(map(repr, prefixes))}" if prefixes else "allows none"
    raise IntacctConfigError(
        f"credential_store {setting!r} is not allowed: the option {PREFIXES_OPTION} in section [{SECTION}] of "
        f"Airflow's configuration {allowed}. Add {setting.rpartition('.')[0]!r} to it (or to the environment variable "
        f"AIRFLOW__{SECTION.upper()}__{PREFIXES_OPTION.upper()}) wherever tasks and triggers run, or use 'memory' or "
        "'variable'."
    )


@lru_cache(maxsize=MAX_STORES)
def _make_store(setting: str, conn_id: str) -> CredentialStore:
    if setting == "variable":
        return VariableCredentialStore(conn_id)
    module, _, name = setting.rpartition(".")
    try:
        store: CredentialStore = getattr(importlib.import_module(module), name)(conn_id)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as err:
        raise IntacctConfigError(
            f"credential_store {setting!r} must be 'memory', 'variable' or the dotted path of a class or function that "
            f"takes the connection id; importing or calling it failed ({type(err).__name__})."
        ) from err
    if not all(callable(getattr(store, method, None)) for method in ("load", "save")):
        raise IntacctConfigError(
            f"credential_store {setting!r} returned a {type(store).__name__}, not an object with load() and save(text)."
        )
    return store
