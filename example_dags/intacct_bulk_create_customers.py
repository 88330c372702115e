"""Create many customers from a file with one bulk job, which Intacct works through in the background.

Everything that is wrong in the file is reported before anything is sent. The task frees its worker while it waits, and
an Airflow retry follows the job instead of submitting another one. Customers that Intacct rejects are in a file:
correct it, and run the DAG again with it.

Needs a connection ``intacct_default`` of type ``intacct`` and a triggerer.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.operators.jobs import IntacctBulkJobOperator

CUSTOMERS = Path(__file__).parent / "data" / "new_customers.csv"

with DAG(
    dag_id="intacct_bulk_create_customers",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={
        "records": Param(f"file://{CUSTOMERS}", type="string", description="Path or URI of the customers."),
        "folder": Param(
            f"file://{Path.home()}/intacct_jobs",
            type="string",
            description="Folder or bucket for rejected customers.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctBulkJobOperator(
        task_id="create_customers",
        object_name="accounts-receivable/customer",
        operation="create",
        records="{{ params.records }}",
        rejects_path="{{ params.folder }}/{{ dag_run.run_id | replace(':', '-') }}/customers.rejects.jsonl",
        max_reject_percent=1,
        deferrable=True,
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
