"""DAGs that Intacct's events start."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from intacct_provider.triggers.events import IntacctEventQueueTrigger

CONNECTION = "event_queue"

for name, trigger in {
    "customer_events": IntacctEventQueueTrigger(
        intacct_conn_id=CONNECTION, object_name="accounts-receivable/customer", check_interval=1
    ),
    "deletion_events": IntacctEventQueueTrigger(
        intacct_conn_id=CONNECTION, actions="delete", check_interval=1
    ),
}.items():
    asset = Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])
    with DAG(
        dag_id=name, schedule=[asset], start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False
    ):

        @task
        def list_keys(triggering_asset_events=None):
            """Return the keys of the records that the run is about."""
            return [
                event.extra["payload"]["key"]
                for events in triggering_asset_events.values()
                for event in events
            ]

        list_keys()
