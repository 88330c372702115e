"""Detect when somebody changes customer groups by hand.

Every hour, the groups of a file are compared with those in Intacct, and nothing is written. The task succeeds if
Intacct matches the file, and fails with ``IntacctOutOfSyncError`` if it does not; the differences are in the task log
and on a web page. Other failures, such as expired credentials, raise other errors, so the two can be distinguished
like the exit codes 2 and 1 of ``terraform plan -detailed-exitcode``.

The sample file has two groups as the sandbox's demo company has them. To see the task fail, set ``desired`` to
``customer_groups.csv`` in the same folder.

``on_failure_callback`` accepts any of Airflow's notifiers, which send mail or messages; this one only logs.

Needs a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.operators.sync import IntacctPlanSyncOperator

SAMPLE = Path(__file__).parent / "data" / "watched_groups.csv"


def log_drift(context: dict[str, Any]) -> None:
    """Log how many groups differ, and where the differences are listed."""
    plan = context["ti"].xcom_pull(task_ids="watch_groups") or {}
    logging.getLogger(__name__).warning(
        "Customer groups differ: %s to create, %s to update; see %s",
        plan.get("to_create"),
        plan.get("to_update"),
        plan.get("page"),
    )


with DAG(
    dag_id="intacct_watch_drift",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "desired": Param(f"file://{SAMPLE}", type="string", description="Path or URI of the desired groups."),
        "folder": Param(
            f"file://{Path.home()}/intacct_plans",
            type="string",
            description="Folder or bucket for the plans.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctPlanSyncOperator(
        task_id="watch_groups",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.desired }}",
        plan_path="{{ params.folder }}/drift/{{ dag_run.run_id | replace(':', '-') }}/groups.plan.json",
        fail_on_change=True,
        on_failure_callback=log_drift,
    )
