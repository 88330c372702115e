"""Start when Intacct reports that a customer group was changed, and export what changed.

Intacct's event queue says that something changed; the incremental export finds out what: all groups that were created
or updated since the last run, and the keys of deleted ones. So it does not matter that an event can come twice, or that
several start one run. Other than with a watcher that polls for changes, deletions start a run, too.

In Intacct, add a Platform trigger of the type *Event queue* to the object, with the client id of the connection. In the
sandbox, the page *Events* has a form for it.

Needs Airflow 3.3 or later, a triggerer, and a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, Param, task

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.triggers.events import IntacctEventQueueTrigger

GROUP = "accounts-receivable/customer-group"

changed_groups = Asset(
    "intacct_customer_group_events",
    watchers=[AssetWatcher(name="event_queue", trigger=IntacctEventQueueTrigger(object_name=GROUP))],
)

with DAG(
    dag_id="intacct_export_on_events",
    schedule=[changed_groups],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder for the files."
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):

    @task
    def list_events(triggering_asset_events=None):
        """Return what Intacct reported; empty for a run that a person started."""
        events = (triggering_asset_events or {}).get(changed_groups, [])
        return [event.extra["payload"] for event in events]

    list_events() >> IntacctToObjectStorageOperator(
        task_id="export_changed_groups",
        object_name=GROUP,
        fields=["key", "id", "name", "description", "audit.modifiedDateTime"],
        incremental="audit.modifiedDateTime",
        detect_deletes="auto",
        destination="{{ params.folder }}/changed_groups/{{ run_id }}.jsonl",
    )
