"""Keep a table of customers in a database up to date, every hour.

The first run loads all customers; each run after it reads only what changed since the one before, by the time of
modification that Intacct itself keeps. Rows of customers that are there are updated, new ones are inserted, and rows of
customers that were deleted go, all in one transaction: a reader of the table never sees half of a run. Columns that
people have added to the table keep their values.

The table is created by the first run. What each run did is told in the table ``intacct_exports`` beside it. Deleted
customers are found by Intacct's audit history where the user may read it, else by comparing all keys with those of the
last run, which are kept in a file in the folder.

Needs a connection ``intacct_default`` of type ``intacct`` and ``warehouse`` of type ``postgres`` or ``sqlite``, such as
``AIRFLOW_CONN_WAREHOUSE='{"conn_type": "sqlite", "host": "/var/lib/warehouse.db"}'``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, Param

from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

customers_table = Asset("intacct_customers_table")

with DAG(
    dag_id="intacct_incremental_customers_to_sql",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "table": Param("customers", type="string", description="Table, with its schema if need be."),
        "folder": Param(
            f"file://{Path.home()}/intacct_exports",
            type="string",
            description="Folder for the keys of the rows.",
        ),
        "full_refresh": Param(False, type="boolean", description="Read all customers once more."),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctToSqlOperator(
        task_id="load_customers",
        object_name="accounts-receivable/customer",
        fields={
            "key": "intacct_key",
            "id": "customer_id",
            "name": "name",
            "status": "status",
            "term.id": "payment_term",
            "creditLimit": "credit_limit",
            "totalDue": "total_due",
            "isOnHold": "on_hold",
            "audit.modifiedDateTime": "modified_at",
        },
        incremental="audit.modifiedDateTime",
        full_refresh="{{ params.full_refresh }}",
        detect_deletes="auto",
        keys_path="{{ params.folder }}/customers",
        sql_conn_id="warehouse",
        table="{{ params.table }}",
        mode="merge",
        outlets=[customers_table],
    )
