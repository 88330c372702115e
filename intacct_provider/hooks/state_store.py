"""Where Airflow keeps the state of a task's exports: its asset state store, or a Variable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import Asset, Variable

from intacct_provider.client.http import codec
from intacct_provider.hooks.credential_store import set_variable

if TYPE_CHECKING:
    from intacct_provider.export.incremental.state import TextStore

#: Begins the name of the Variable, and of the entry in the asset state store.
PREFIX = "intacct_export__"
_LONGEST_NAME = 250


class VariableStore:
    """Keeps the document in an Airflow Variable."""

    def get(self, name: str) -> str | None:
        """Return the value of the Variable, or None if there is none."""
        found = Variable.get(name, default=None)
        return None if found is None else str(found)

    def set(self, name: str, text: str) -> None:
        """Write the Variable."""
        set_variable(name, text)


class AssetStore:
    """Keeps the document with an asset, in Airflow's asset state store; falls back to what a Variable holds.

    So an upgrade of Airflow to a version with the store, or a new outlet of the task, does not lose the state.

    :param accessor: what ``context["asset_state_store"][asset]`` is.
    """

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor
        self._variables = VariableStore()

    def get(self, name: str) -> str | None:
        """Return what is kept with the asset, else the value of the Variable, else None."""
        found = self._accessor.get(name)
        return self._variables.get(name) if found is None else str(found)

    def set(self, name: str, text: str) -> None:
        """Keep a text with the asset."""
        self._accessor.set(name, text)


def find_state_store(context: Mapping[str, Any], assets: Iterable[Any]) -> TextStore:
    """Return the asset state store of a task's first asset, where Airflow has one (3.3 and later), else the Variables.

    :param assets: outlets and inlets of the task.
    """
    stores = context.get("asset_state_store")
    asset = next((one for one in assets if isinstance(one, Asset)), None)
    return VariableStore() if stores is None or asset is None else AssetStore(stores[asset])


def name_state(context: Mapping[str, Any], exported: Mapping[str, Any]) -> str:
    """Return the name of a task's state.

    :param exported: what is exported, as JSON; exports that differ in it do not share their state.
    """
    task = context["ti"]
    mapped = [] if task.map_index is None or task.map_index < 0 else [str(task.map_index)]
    place = [task.dag_id, task.task_id, *mapped]
    content = msgspec.json.encode([place, codec.to_plain(exported)], order="sorted")
    digest = hashlib.sha256(content).hexdigest()[:8]
    return join_name([PREFIX + place[0], *place[1:]], digest)


def join_name(parts: Iterable[str], digest: str) -> str:
    """Return a name with a digest at its end, and cut before it, since Airflow's database holds no longer ones."""
    return f"{'__'.join(parts)[: _LONGEST_NAME - len(digest) - 2]}__{digest}"
