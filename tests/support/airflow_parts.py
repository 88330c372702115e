"""What the tests need of Airflow beside its public names, from where each supported release keeps it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger
from sqlalchemy import select

NO_STREAMS = "this Airflow has no streams that triggers share"
needs_streams = pytest.mark.skipif(
    not hasattr(BaseEventTrigger, "create_shared_stream_producer"), reason=NO_STREAMS
)


def find(name: str, *homes: str) -> Any:
    """Return a name from the first of the modules that has it."""
    for home in homes:
        try:
            return getattr(import_module(home), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"None of {', '.join(homes)} has {name}.")


AirflowRescheduleException = find(
    "AirflowRescheduleException", "airflow.sdk.exceptions", "airflow.exceptions"
)
TaskDeferred = find("TaskDeferred", "airflow.sdk.exceptions", "airflow.exceptions")
import_string = find("import_string", "airflow.sdk.module_loading", "airflow.utils.module_loading")
serialize = find("serialize", "airflow.sdk.serde", "airflow.serialization.serde")
deserialize = find("deserialize", "airflow.sdk.serde", "airflow.serialization.serde")


def open_dag_bag(path: str) -> Any:
    """Return the DAGs of a file or folder, parsed."""
    return find("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")(path)


class AssetShelves:
    """What a task's context has where Airflow keeps state with assets, which not in every release are keys of a dict.

    :param accessor: of the asset.
    """

    def __init__(self, asset: Any, accessor: Any) -> None:
        self._asset, self._accessor = asset, accessor

    def __getitem__(self, asset: Any) -> Any:
        if asset != self._asset:
            raise KeyError(asset)
        return self._accessor


def asset_extra(name: str) -> Any:
    """Return the extra of an asset's last event; None without one."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.settings import Session

    with Session() as session:
        query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return session.scalars(query.where(AssetModel.name == name).order_by(AssetEvent.id.desc())).first()
