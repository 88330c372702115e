"""Keep all account groups with their members, once a week."""

import pendulum
from airflow.sdk import DAG

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

with DAG(
    dag_id="archive_account_groups",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance"},
):
    IntacctToObjectStorageOperator(
        task_id="archive",
        object_name="general-ledger/account-group",
        detail=True,
        destination="{{ params.folder }}/archive/account_groups_{{ dag_run.run_after | ds }}.jsonl.gz",
    )
