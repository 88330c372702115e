"""Sync and export, and fail if that took more billed transactions than it should."""

import pendulum
from airflow.sdk import DAG, task

from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

with DAG(
    dag_id="cost_report",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance", "limit": 50},
):
    sync = IntacctSyncOperator(
        task_id="sync_groups",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.folder }}/customer_groups.csv",
        max_change_percent=50,
    )
    export = IntacctToObjectStorageOperator(
        task_id="export_groups",
        object_name="accounts-receivable/customer-group",
        fields=["key", "id", "name"],
        destination="{{ params.folder }}/groups.csv",
    )

    @task
    def report_cost(synced, exported, params=None):
        costs = {"sync": synced["transactions"], "export": exported["transactions"]}
        print(f"This run took {sum(costs.values())} billed transactions: {costs}")
        if sum(costs.values()) > params["limit"]:
            raise ValueError(f"This run took more than {params['limit']} billed transactions: {costs}")

    sync >> export
    report_cost(sync.output, export.output)
