"""Merge the customers that changed into a table of Databricks, every hour: a Parquet file on S3, and one MERGE.

Each run writes the records that changed since the last one, some of them again in the next, so they are merged on the
key: a retry, or a run that is cleared, changes nothing twice. A run whose load failed stops the loads after it, since
no other file has its records: clear that task.

Needs connections ``intacct_default``, ``aws_default`` and ``databricks_default``, the provider for Databricks, and in
Unity Catalog the table and an external location for the bucket.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

try:
    from airflow.providers.databricks.operators.databricks_sql import DatabricksSqlOperator
except ImportError:

    class DatabricksSqlOperator(SQLExecuteQueryOperator):
        """Stands for the real one until ``apache-airflow-providers-databricks`` is installed: the DAG can be shown."""

        def __init__(self, *, databricks_conn_id: str, **kwargs: object) -> None:
            super().__init__(conn_id=databricks_conn_id, **kwargs)


FILE = "intacct/customers/{{ dag_run.run_after | ts_nodash }}.parquet"

MERGE = f"""
MERGE INTO {{{{ params.table }}}} AS target
USING (SELECT * FROM parquet.`s3://{{{{ params.bucket }}}}/{FILE}`) AS changed
ON target.intacct_key = changed.intacct_key
WHEN MATCHED THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
"""

with DAG(
    dag_id="intacct_to_databricks",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "bucket": Param("finance", type="string", description="Bucket on S3."),
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
        destination="s3://aws_default@{{ params.bucket }}/" + FILE,
        incremental="audit.modifiedDateTime",
    )
    load = DatabricksSqlOperator(
        task_id="load",
        databricks_conn_id="databricks_default",
        sql=MERGE,
        depends_on_past=True,
    )
    export >> load
