"""Where the state of a task's exports is kept, and under which name."""

import datetime as dt
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_parts import AssetShelves

from intacct_provider.export.schema.columns import Column
from intacct_provider.hooks.state_store import PREFIX, VariableStore, find_state_store, name_state

CUSTOMER = "accounts-receivable/customer"
MODIFIED = "audit.modifiedDateTime"
NOON, ONE = "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"
OLD, NEW = (Column("old", "key", "string"),), (Column("new", "key", "string"),)
STAMP = {"type": "string", "format": "date-time"}


def task(dag_id="sales", task_id="export", map_index=-1):
    return {"ti": SimpleNamespace(dag_id=dag_id, task_id=task_id, map_index=map_index)}


@pytest.fixture
def names():
    """Return the name under which a task would keep what."""
    return lambda what=None, **of: name_state(task(**of), what or {})


def test_its_name_tells_the_task_and_differs_with_what_is_exported(names):
    assert names().startswith(f"{PREFIX}sales__export__")
    assert names(map_index=0).startswith(f"{PREFIX}sales__export__0__")
    assert (
        len({names(), names({"object": "a"}), names({"object": "b"}), names(map_index=0), names(map_index=1)})
        == 5
    )
    assert names({"a": 1, "b": dt.date(2026, 6, 30)}) == names({"b": "2026-06-30", "a": 1})


def test_a_long_name_keeps_its_end_and_fits(names):
    long = names(dag_id="d" * 250, task_id="t" * 250)
    assert len(long) == 250
    assert long != names(dag_id="d" * 250, task_id="u" * 250)


def test_it_is_kept_with_an_asset_of_the_task_where_airflow_has_a_store_for_that():
    asset = Asset("customers")
    context = {
        "asset_state_store": AssetShelves(asset, SimpleNamespace(get=lambda _name: "kept with the asset"))
    }
    assert find_state_store(context, ["a file", asset]).get("name") == "kept with the asset"
    assert isinstance(find_state_store(context, ["a file"]), VariableStore)
    assert isinstance(find_state_store({}, [asset]), VariableStore)
