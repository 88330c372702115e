"""Load all customers into Snowflake, every day: a Parquet file on S3, a stage over it, and one COPY.

The table's old rows are deleted and the new ones copied in one transaction, so readers see either. ``FORCE`` lets a
task that is cleared load its file again: otherwise Snowflake skips a file that it has loaded before, after the rows are
deleted.

Needs connections ``intacct_default``, ``aws_default`` and ``snowflake_default``, and in Snowflake the table and
``CREATE STAGE finance.intacct URL = 's3://finance/intacct/' STORAGE_INTEGRATION = ...``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

#: The file below the stage.
FILE = "customers/{{ dag_run.run_after | ds }}/customers.parquet"

COPY = (
    """
COPY INTO {{ params.table }} FROM @{{ params.stage }}
FILES = ('"""
    + FILE
    + """')
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT FORCE = TRUE
"""
)

with DAG(
    dag_id="intacct_to_snowflake",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "bucket": Param("finance", type="string", description="Bucket on S3."),
        "stage": Param("finance.intacct", type="string", description="Stage over its folder intacct/."),
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
        destination="s3://aws_default@{{ params.bucket }}/" + "intacct/" + FILE,
    )
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="snowflake_default",
        sql=["DELETE FROM {{ params.table }}", COPY],
    )
    export >> load
