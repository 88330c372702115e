"""Exports of one big object that are killed again and again, and tried again each time."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

OBJECT = "accounts-receivable/customer"
FIELDS = [
    "key",
    "id",
    "name",
    "status",
    "creditLimit",
    "totalDue",
    "term.id",
    "parent.id",
    "audit.modifiedDateTime",
]
FORMS = {
    "jsonl_in_parts": {"rows_per_part": 30_000},
    "parquet_in_parts": {"file_format": "parquet", "rows_per_part": 30_000},
    "one_gzip_file": {"file_format": "csv", "compression": "gzip"},
}
DESTINATION = "file://{{ params.folder }}/customers"
START = pendulum.datetime(2026, 1, 1, tz="UTC")
COMMON = {"intacct_conn_id": "{{ params.conn }}", "retries": 100, "retry_delay": timedelta(0)}
WHAT = {"task_id": "export", "object_name": OBJECT, "fields": FIELDS, "destination": DESTINATION}

for name, form in FORMS.items():
    with DAG(dag_id=f"export_{name}", schedule=None, start_date=START, params={"conn": "", "folder": ""}):
        IntacctToObjectStorageOperator(**WHAT, **form, **COMMON)

with DAG(dag_id="export_ranges", schedule=None, start_date=START, params={"conn": "", "folder": ""}):
    plan = IntacctKeyRangesOperator(task_id="plan", object_name=OBJECT, ranges=3, **COMMON)
    export = IntacctToObjectStorageOperator.partial(**WHAT, rows_per_part=30_000, **COMMON).expand(
        key_range=plan.output
    )
    IntacctCommitExportOperator(task_id="commit", destination=DESTINATION, exports=export.output, **COMMON)
