"""Load the customers of several companies into one table with a column ``company``, every day.

Each company has a connection and a folder of its own, ``company=us``, on partitioned paths that warehouses, Spark and
DuckDB understand: the folder's name is the column. One mapped task exports each of them; if one fails, nothing is
loaded.

When all are in the table, the asset ``intacct_customers`` has an event with the day as its partition, from Airflow 3.3
on, so a DAG can be scheduled on the partitions.

Needs a connection of type ``intacct`` for each company, ``google_cloud_default``, and ``bigquery_default`` of type
``gcpbigquery``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset, Param, task

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMERS = Asset("intacct_customers")

#: The connection of each company, by the name in the column.
COMPANIES = {"us": "intacct_us", "uk": "intacct_uk"}

DAY = "date={{ dag_run.run_after | ds }}"
ROOT = "gs://{{ params.bucket }}/intacct/customers/" + DAY

LOAD = f"""
LOAD DATA OVERWRITE {{{{ params.table }}}}
FROM FILES (
  format = 'PARQUET', decimal_target_types = ['BIGNUMERIC'],
  hive_partition_uri_prefix = '{ROOT}',
  uris = [{", ".join(f"'{ROOT}/company={company}/customers-*.parquet'" for company in COMPANIES)}]
)
WITH PARTITION COLUMNS (company STRING)
"""

with DAG(
    dag_id="intacct_companies_to_one_table",
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
    export = IntacctToObjectStorageOperator.partial(
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
        rows_per_part=1_000_000,
    ).expand_kwargs(
        [
            {
                "intacct_conn_id": conn_id,
                "destination": "gs://google_cloud_default@{{ params.bucket }}/intacct/customers/"
                f"{DAY}/company={company}/customers.parquet",
            }
            for company, conn_id in COMPANIES.items()
        ]
    )
    load = SQLExecuteQueryOperator(
        task_id="load",
        conn_id="bigquery_default",
        hook_params={"use_legacy_sql": False},
        sql=LOAD,
    )

    @task(outlets=[CUSTOMERS])
    def report(outlet_events=None, dag_run=None):
        """Report the day as a partition, once for all companies: each event starts the DAGs that wait for it."""
        event = outlet_events[CUSTOMERS]
        if hasattr(event, "add_partitions"):
            event.add_partitions(f"{dag_run.run_after:%Y-%m-%d}")

    export >> load >> report()
