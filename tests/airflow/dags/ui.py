"""One task for each link on a task's page, and for what has none."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.operators.records import IntacctCreateRecordOperator, IntacctGetRecordOperator
from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
TERM = "accounts-receivable/term"

with DAG(
    dag_id="ui",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"folder": Param("", type="string")},
):
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        object_name=GROUP,
        desired=[{"id": "EMEA", "name": "Europe <b>& Africa</b>"}],
        plan_path="{{ params.folder }}/groups.plan.json",
    )
    apply = IntacctApplySyncOperator(task_id="apply", plan=plan.output)
    export = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=GROUP,
        fields=["id", "name"],
        destination="{{ params.folder }}/groups.csv",
    )
    get = IntacctGetRecordOperator(task_id="get", object_name=CUSTOMER, record_id="C-00001")
    get_term = IntacctGetRecordOperator(task_id="get_term", object_name=TERM, record_id="Net 60")
    create = IntacctCreateRecordOperator(
        task_id="create", object_name=CUSTOMER, record={"id": "NEW-1", "name": "New"}, link_to_record=True
    )
    create_only = IntacctCreateRecordOperator(
        task_id="create_only", object_name=CUSTOMER, record={"id": "NEW-2", "name": "New"}
    )
    plan >> apply >> [export, get, get_term, create, create_only]
