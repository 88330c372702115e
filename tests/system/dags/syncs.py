"""Syncs whose writing task is killed again and again, and tried again each time."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)

PARAMS = {"conn": "", "folder": ""}
DESIRED = [
    {"id": "CHANGES", "name": "After"},
    {"id": "STAYS", "name": "Stays"},
    {"id": "NEW", "name": "New"},
    {"id": "NEW TOO", "name": "New too", "parent": {"id": "CHANGES"}},
]
START = pendulum.datetime(2026, 1, 1, tz="UTC")
COMMON = {"intacct_conn_id": "{{ params.conn }}", "retry_delay": timedelta(0)}
WHAT = {
    "object_name": "accounts-receivable/customer",
    "desired": DESIRED,
    "plan_path": "{{ params.folder }}/customers.plan.json",
    "mode": "mirror",
    "scope": "all",
}

with DAG(dag_id="sync_in_two_tasks", schedule=None, start_date=START, params=PARAMS):
    plan = IntacctPlanSyncOperator(task_id="plan", **COMMON, **WHAT)
    plan >> IntacctApplySyncOperator(
        task_id="write", plan="{{ params.folder }}/customers.plan.json", retries=6, **COMMON
    )

with DAG(dag_id="sync_that_dies", schedule=None, start_date=START, params=PARAMS):
    IntacctSyncOperator(task_id="write", retries=0, **COMMON, **WHAT)

with DAG(dag_id="sync_in_one_task", schedule=None, start_date=START, params=PARAMS):
    IntacctSyncOperator(task_id="write", retries=6, **COMMON, **WHAT)

with DAG(dag_id="sync_undo", schedule=None, start_date=START, params=PARAMS):
    IntacctApplySyncOperator(task_id="write", plan="{{ params.folder }}/customers.plan.undo.json", **COMMON)
