"""Keep Intacct's customers in sync with a table of the warehouse.

Every night, the rows of a query are compared with the live customers, and the differences are written. The columns have
the names that the sales department uses; ``columns`` maps them to Intacct's fields. A customer that is no longer in the
table is set to inactive, but only if its notes start with "From the CRM", and at most 20 a night.

The plan, its web page, the reverse plan and the journal of each run are stored in a separate folder.

Needs connections ``intacct_default`` of type ``intacct`` and ``warehouse`` for the database.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.client.query import field
from intacct_provider.operators.sync import IntacctSyncOperator

with DAG(
    dag_id="intacct_sync_from_sql",
    schedule="30 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_plans",
            type="string",
            description="Folder or bucket for the plans.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctSyncOperator(
        task_id="sync_customers",
        object_name="accounts-receivable/customer",
        desired_sql="SELECT account_no, account_name, payment_term, remarks, region FROM crm_accounts",
        sql_conn_id="warehouse",
        columns={
            "account_no": "id",
            "account_name": "name",
            "payment_term": "term.id",
            "remarks": "notes",
            "region": None,
        },
        mode="mirror",
        scope=field("notes").startswith("From the CRM"),
        on_delete="deactivate",
        max_deletes=20,
        max_creates=500,
        plan_path="{{ params.folder }}/{{ dag_run.run_id | replace(':', '-') }}/customers.plan.json",
    )
