"""Sync and export, report what that cost, and fail if it took more billed transactions than it should."""

import pendulum
from airflow.sdk import DAG, Asset, task

from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

COSTS = Asset("intacct_costs")

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

    @task(outlets=[COSTS])
    def report_cost(synced, exported, outlet_events=None):
        costs = {"sync_groups": synced["transactions"], "export_groups": exported["transactions"]}
        total = sum(costs.values())
        print(f"This run took {total} billed transactions: {costs}")
        outlet_events[COSTS].extra = {"transactions": total, "tasks": costs}
        return total

    # A task that fails updates no asset, so the limit is a task of its own: expensive runs are reported as well.
    @task
    def check_limit(total, params=None):
        if total > params["limit"]:
            raise ValueError(f"This run took {total} billed transactions, more than {params['limit']}.")

    sync >> export
    check_limit(report_cost(sync.output, export.output))
