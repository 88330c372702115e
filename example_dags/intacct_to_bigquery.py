"""Load all customers into BigQuery, every day: Parquet files on Google Cloud Storage, and one LOAD DATA.

``LOAD DATA OVERWRITE`` replaces the table's rows at once, so readers see the old ones or the new ones, and a retry does
not add them twice. Amounts are ``BIGNUMERIC``: an amount of Intacct may have more digits than ``NUMERIC`` holds.

Needs connections ``intacct_default`` and ``google_cloud_default``, and ``bigquery_default`` of type ``gcpbigquery``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

FOLDER = "intacct/customers/{{ dag_run.run_after | ds }}"

LOAD = (
    "LOAD DATA OVERWRITE {{ params.table }} FROM FILES (format = 'PARQUET', decimal_target_types = ['BIGNUMERIC'], "
    "uris = ['gs://{{ params.bucket }}/" + FOLDER + "/customers-*.parquet'])"
)

with DAG(
    dag_id="intacct_to_bigquery",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "bucket": Param("finance", type="string", description="Bucket on Google Cloud Storage."),
        "table": Param("finance.intacct_customers", type="string", description="Table with these columns."),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    export = IntacctToObjectStorageOperator(
        task_id="export",
        object_name="accounts-receivable/customer",
        fields={
            "key": "intacct_key",
            "id": "customer_id",
            "name": "name",
            "status": "status",
            "totalDue": "total_due",
            "audit.modifiedDateTime": "modified_at",
        },
        destination="gs://google_cloud_default@{{ params.bucket }}/" + FOLDER + "/customers.parquet",
        rows_per_part=1_000_000,
    )
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="bigquery_default",
        hook_params={"use_legacy_sql": False},
        sql=LOAD,
    )
    export >> load
