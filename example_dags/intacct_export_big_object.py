"""Export a large object with many workers, every week: one mapped task for each range of keys, and one manifest.

``plan`` splits the keys into ranges with about the same number of records. ``export`` has one mapped task for each
range. ``commit`` checks that the ranges cover all keys without a gap or an overlap, and publishes them together. Until
then, the export of the previous week stays in place.

Intacct limits the concurrent calls of the whole company, so the tasks share an Airflow pool. Performance Tier 1 allows
6 concurrent calls, and each task here has up to 2 in flight (``max_concurrency`` of the connection), so the pool has
3 slots. Create it once::

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
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder for the files."
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
