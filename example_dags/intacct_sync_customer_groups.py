"""Keep Intacct's customer groups in sync with a CSV file.

Every day at six, the desired groups are compared with the live ones. The task logs the differences as a table and
writes only those. A run without differences writes nothing.

The file is a DAG param and can be on any object storage that Airflow supports, such as
``s3://aws_default@finance/groups.csv``. Its columns are Intacct's field names. ``groupMembers[].id`` takes customer ids
separated by ``|``, in order. An empty cell leaves the field unchanged.

Needs a connection ``intacct_default`` of type ``intacct``. If several tasks use the same Intacct company, put them into
one Airflow pool, since Intacct limits the requests in flight per company.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param

from intacct_provider.operators.sync import IntacctSyncOperator

SAMPLE = Path(__file__).parent / "data" / "customer_groups.csv"

with DAG(
    dag_id="intacct_sync_customer_groups",
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "desired": Param(f"file://{SAMPLE}", type="string", description="Path or URI of the desired groups."),
        "dry_run": Param(False, type="boolean", description="Show the plan, but write nothing."),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctSyncOperator(
        task_id="sync_customer_groups",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.desired }}",
        mode="upsert",
        dry_run="{{ params.dry_run }}",
        # A damaged file must not rewrite the company: a plan with more changes is refused before any write.
        max_change_percent=60,
    )
