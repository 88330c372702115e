"""Change Intacct's customer groups only after a person has approved the plan.

The plan lists which groups are deleted, updated and created, field by field. Airflow shows it under "Required Actions",
where somebody presses Approve or Reject. A web page with the whole plan is stored next to it, for people without an
Airflow login. If the plan is approved, exactly that plan is applied. If one of its groups was changed in the meantime,
the task fails and writes nothing. If the plan is rejected, nothing happens. If there is nothing to change, nobody is
asked.

Every group that is not in the file is deleted, except groups whose id starts with ``BOARD-``.

``assigned_users`` of ``ApprovalOperator`` sets who may respond, and ``notifiers`` who is notified. If nobody responds
within two days, the run fails and nothing is written.

Needs a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from intacct_provider.client.query import field
from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator

SAMPLE = Path(__file__).parent / "data" / "customer_groups.csv"

with DAG(
    dag_id="intacct_sync_with_approval",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=2),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
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
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.desired }}",
        plan_path="{{ params.folder }}/{{ dag_run.run_id | replace(':', '-') }}/groups.plan.json",
        mode="mirror",
        scope="all",
        protect=field("id").startswith("BOARD-"),
        max_deletes=10,
    )

    @task.short_circuit
    def anything_to_change(planned: dict[str, Any]) -> bool:
        """Skip the question when there is nothing to ask."""
        return bool(planned["changed"])

    approve = ApprovalOperator(
        task_id="approve",
        subject="Change Intacct's customer groups?",
        body="{{ ti.xcom_pull(task_ids='plan')['markdown'] }}",
    )
    apply = IntacctApplySyncOperator(
        task_id="apply",
        plan=plan.output,
    )
    anything_to_change(plan.output) >> approve >> apply
