"""Load all customers into Redshift, every day: Parquet files on S3, and one COPY of all of them.

Redshift loads every object whose name begins with what ``FROM`` says. So the files are numbered parts, and the name
ends before the number: the manifest, ``customers.parquet.manifest.json``, must not be among them. The table's old rows
are deleted in the same transaction; ``TRUNCATE`` would commit it.

Needs connections ``intacct_default``, ``aws_default`` and ``redshift_default``, and a role of the cluster that may read
the bucket.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

FOLDER = "intacct/customers/{{ dag_run.run_after | ds }}"

COPY = (
    "COPY {{ params.table }} FROM 's3://{{ params.bucket }}/"
    + FOLDER
    + "/customers-' IAM_ROLE {{ params.iam_role }} FORMAT AS PARQUET"
)

with DAG(
    dag_id="intacct_to_redshift",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "bucket": Param("finance", type="string", description="Bucket on S3."),
        "iam_role": Param(
            "default", type="string", description="Role that reads the bucket, in quotes unless default."
        ),
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
        destination="s3://aws_default@{{ params.bucket }}/" + FOLDER + "/customers.parquet",
        rows_per_part=1_000_000,
    )
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="redshift_default",
        sql=["DELETE FROM {{ params.table }}", COPY],
    )
    export >> load
