"""Export a big object by many workers, every week: ranges of keys, one mapped task for each, one manifest in the end.

``plan`` cuts the keys into ranges of about equally many records. ``export`` has a task for each range, on whatever
executor there is. ``commit`` checks that the ranges are everything, each one once, and publishes them together: the
export of the week before stays whole until then.

Intacct's limit on calls at a time is for the whole company, so the tasks share an Airflow pool. With Performance
Tier 1 there are 6 calls at a time, and each task here has up to 2 in flight (``max_concurrency`` of the connection), so
the pool has 3 slots. Make it once::

    airflow pools set intacct 3 "Tasks that read from Intacct at the same time"

Needs a connection ``intacct_default`` of type ``intacct`` with ``{"max_concurrency": 2}`` in its extra.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, Param

from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

OBJECT = "accounts-receivable/customer"
POOL = "intacct"
DESTINATION = "{{ params.folder }}/{{ dag_run.run_after | ds }}/customers.parquet"

with DAG(
    dag_id="intacct_export_big_object",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder that the files go to."
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    plan = IntacctKeyRangesOperator(task_id="plan", object_name=OBJECT, ranges=8, pool=POOL)
    export = IntacctToObjectStorageOperator.partial(
        task_id="export",
        object_name=OBJECT,
        fields=["key", "id", "name", "status", "totalDue", "term.id", "audit.modifiedDateTime"],
        destination=DESTINATION,
        file_format="parquet",
        rows_per_part=1_000_000,
        control_totals=["totalDue"],
        pool=POOL,
    ).expand(key_range=plan.output)
    IntacctCommitExportOperator(
        task_id="commit",
        destination=DESTINATION,
        exports=export.output,
        outlets=[Asset("intacct_customers")],
        pool=POOL,
    )
