"""Assets that watch a company: one for many changes, and 200 that may share a poll."""

from __future__ import annotations

from functools import reduce
from operator import and_

import pendulum
from airflow.providers.common.compat.sdk import task
from airflow.sdk import DAG, Asset, AssetWatcher

from intacct_provider.triggers.changes import IntacctChangeTrigger

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
START = pendulum.datetime(2026, 1, 1, tz="UTC")


def watch(name, object_name, conn_id, **how):
    trigger = IntacctChangeTrigger(object_name, intacct_conn_id=conn_id, check_interval=2, **how)
    return Asset(name=name, watchers=[AssetWatcher(name=name, trigger=trigger)])


many = watch("many_changes", CUSTOMER, "many_changes")
#: Ten of each are equal, which are one trigger for Airflow.
crowd = [watch(f"crowd_{n:03}", GROUP, "crowd", max_keys=n // 10 + 1) for n in range(200)]


@task
def report(triggering_asset_events=None):
    """Return what the events of the run are about."""
    return [event.extra for events in triggering_asset_events.values() for event in events]


with DAG(dag_id="many_changes", schedule=[many], start_date=START, max_active_runs=1):
    report()

# Its watchers would load 200 cursors whenever a triggerer starts, in the tests of others, too.
with DAG(dag_id="crowd", schedule=reduce(and_, crowd), start_date=START, is_paused_upon_creation=True):
    report()
