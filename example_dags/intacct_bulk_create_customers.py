"""Create many customers from a file with one bulk job, which Intacct works through in the background.

Everything that is wrong in the file is reported before anything is sent. The task frees its worker while it waits, and
an Airflow retry follows the job instead of submitting another one. Customers that Intacct rejects are in a file:
correct it, and run the DAG again with it. If all customers of the file exist already, as in a second run, the job is
skipped.

Needs a connection ``intacct_default`` of type ``intacct`` and a triggerer.
"""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, Param, task

from intacct_provider.client.query import field
from intacct_provider.operators.jobs import IntacctBulkJobOperator

CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = Path(__file__).parent / "data" / "new_customers.csv"

with DAG(
    dag_id="intacct_bulk_create_customers",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
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

    @task.short_circuit
    def anything_to_create(params: dict | None = None) -> bool:
        """Skip the job if Intacct has all customers of the file."""
        from intacct_provider.hooks.intacct import IntacctHook

        lines = ObjectStoragePath(params["records"]).read_text(encoding="utf-8").splitlines()
        records = map(json.loads, lines) if params["records"].endswith(".jsonl") else csv.DictReader(lines)
        ids = [record["id"] for record in records]
        with IntacctHook().client as client:
            existing = client.iter_rows(CUSTOMER, ["id"], filters=field("id").in_(ids))
            return len([*existing]) < len(ids)

    anything_to_create() >> IntacctBulkJobOperator(
        task_id="create_customers",
        object_name=CUSTOMER,
        operation="create",
        records="{{ params.records }}",
        rejects_path="{{ params.folder }}/{{ dag_run.run_id | replace(':', '-') }}/customers.rejects.jsonl",
        max_reject_percent=1,
        deferrable=True,
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
