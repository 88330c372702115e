"""Customers made as a file says, once a person has approved the changes."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator

with DAG(
    dag_id="syncs",
    schedule="@yearly",
    start_date=pendulum.datetime(2020, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 9, "retry_delay": timedelta(0)},
):
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        intacct_conn_id="syncs",
        object_name="accounts-receivable/customer",
        desired="file://{{ var.value.folder }}/desired.json",
        plan_path="file://{{ var.value.folder }}/customers.plan.json",
        mode="mirror",
        scope="all",
    )
    approve = ApprovalOperator(
        task_id="approve", subject="Change customers?", body="{{ ti.xcom_pull(task_ids='plan')['markdown'] }}"
    )
    apply = IntacctApplySyncOperator(task_id="apply", intacct_conn_id="syncs", plan=plan.output)
    plan >> approve >> apply
