"""Load account groups and their lists into tables of a database, every day.

An account group has lists: ranges of accounts, member groups, computations. No query of account groups returns them, so
whole records are read, and each list becomes a table of its own beside ``account_groups``, such as
``account_groups_accountGroupMembers``. Its rows have the ``parent_key`` of the group and the ``position`` in its list.
All tables change in one transaction, so a query that joins them never sees groups of one day with members of another.

The rows of each list are compared with what Intacct counts; the entry in the table ``intacct_exports`` says of each
list whether it is ``equal``.

Needs a connection ``intacct_default`` of type ``intacct`` and ``warehouse`` of type ``postgres`` or ``sqlite``, such as
``AIRFLOW_CONN_WAREHOUSE='{"conn_type": "sqlite", "host": "/var/lib/warehouse.db"}'``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Asset, Param

from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

account_group_tables = Asset("intacct_account_group_tables")

with DAG(
    dag_id="intacct_account_groups_with_lists",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "table": Param("account_groups", type="string", description="Table, optionally with its schema."),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctToSqlOperator(
        task_id="load_account_groups",
        object_name="general-ledger/account-group",
        detail=True,
        lists="tables",
        fields=[
            "key",
            "id",
            "title",
            "groupType",
            "normalBalance",
            "accountGroupPurpose",
            "accountRanges",
            "accountGroupMembers",
            "accountGroupComputation",
        ],
        sql_conn_id="warehouse",
        table="{{ params.table }}",
        mode="replace",
        outlets=[account_group_tables],
    )
