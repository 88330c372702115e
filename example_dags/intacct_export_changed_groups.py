"""Start when somebody changes a customer group in Intacct, and export what changed.

The watcher of the asset polls every 5 minutes, for 288 transactions a day. Each poll that finds changes starts a run,
and the run exports the records of the window of its events. If a run has several events, it exports all of them at
once. The file is named after the window, so an event that arrives twice writes the same file again.

A run that is started by hand has no event, and exports all groups.

Needs a triggerer and a connection ``intacct_default`` of type ``intacct``. With Airflow 3.3 and later, what changes
while no triggerer runs is in the first event after that; before, the watch starts from now with each triggerer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from intacct_provider.assets.changes import build_change_filters
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.triggers.changes import IntacctChangeTrigger

GROUP = "accounts-receivable/customer-group"

changed_groups = Asset(
    name="intacct_changed_customer_groups",
    watchers=[AssetWatcher(name="changed_groups", trigger=IntacctChangeTrigger(GROUP, fields=["id"]))],
)


@task
def find_changes(triggering_asset_events: Any = None) -> dict[str, Any]:
    """Return the filters of the changed groups, and a name for their file."""
    filters = build_change_filters(triggering_asset_events[changed_groups] if triggering_asset_events else [])
    bounds = [bound for condition in filters for field in condition.values() for bound in field.values()]
    return {"filters": filters, "name": "_to_".join(bounds).replace(":", "") or "all"}


with DAG(
    dag_id="intacct_export_changed_groups",
    schedule=[changed_groups],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports",
            type="string",
            description="Folder or bucket for the files.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    changes = find_changes()
    IntacctToObjectStorageOperator(
        task_id="export_changed_groups",
        object_name=GROUP,
        fields=["key", "id", "name", "description", "audit.modifiedDateTime"],
        filters=changes["filters"],
        destination="{{ params.folder }}/changed_groups_{{ ti.xcom_pull('find_changes')['name'] }}.jsonl",
    )
