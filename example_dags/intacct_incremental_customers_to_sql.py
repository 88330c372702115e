"""Keep a table of customers in a database up to date, every hour.

The first run creates the table and loads all customers. Each later run reads only the customers that changed since the
previous run, by their modification time in Intacct. It updates existing rows, inserts new ones and deletes the rows of
deleted customers in one transaction, so nobody who queries the table sees half of a run. Columns that you add to the
table keep their values.

The table ``intacct_exports`` in the same schema logs what each run did. Deleted customers are found in Intacct's audit
history if the user may read it. Otherwise all keys are compared with those of the previous run, which are stored in a
file in the folder.

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
        "table": Param("customers", type="string", description="Table, optionally with its schema."),
        "folder": Param(
            f"file://{Path.home()}/intacct_exports",
            type="string",
            description="Folder for the file with the keys.",
        ),
        "full_refresh": Param(False, type="boolean", description="Read all customers again."),
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
