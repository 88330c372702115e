"""An export by mapped tasks, whose workers are counted."""

from __future__ import annotations

from airflow.sdk import DAG

from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

OBJECT = "general-ledger/account"
FIELDS = [
    "key",
    "id",
    "name",
    "accountType",
    "normalBalance",
    "status",
    "closingType",
    "isTaxable",
    "category",
]
DESTINATION = "file://{{ params.folder }}/accounts.jsonl"

with DAG(dag_id="ranges", schedule=None, params={"folder": ""}):
    plan = IntacctKeyRangesOperator(task_id="plan", object_name=OBJECT, ranges=8)
    export = IntacctToObjectStorageOperator.partial(
        task_id="export",
        object_name=OBJECT,
        fields=FIELDS,
        destination=DESTINATION,
        rows_per_part=1_000_000,
    ).expand(key_range=plan.output)
    IntacctCommitExportOperator(task_id="commit", destination=DESTINATION, exports=export.output)
