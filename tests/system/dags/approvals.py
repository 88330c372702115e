"""A plan that a person approves, whose path is the same in every run."""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator

with DAG(
    dag_id="approved",
    schedule=None,
    params={"conn": "", "folder": "", "desired": ""},
):
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        intacct_conn_id="{{ params.conn }}",
        object_name="accounts-receivable/customer",
        desired="{{ params.desired }}",
        plan_path="{{ params.folder }}/customers.plan.json",
        max_creates="5",
    )
    approve = ApprovalOperator(
        task_id="approve", subject="Change customers?", body="{{ ti.xcom_pull(task_ids='plan')['markdown'] }}"
    )
    apply = IntacctApplySyncOperator(
        task_id="apply", intacct_conn_id="{{ params.conn }}", plan=plan.output, max_rejects="0"
    )
    plan >> approve >> apply
