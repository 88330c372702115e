"""Export all account groups to a dated Parquet file, every day.

The file appears complete or not at all. The manifest next to it lists rows, columns, keys, SHA-256 and cost. The event
of the asset ``intacct_account_groups`` has the file's path, row count and schema, so a DAG scheduled on the asset knows
what to load: ``triggering_asset_events[asset][0].extra["path"]``.

Needs a connection ``intacct_default`` of type ``intacct``, and the extra ``parquet`` of the provider. The folder is a
DAG param and can be on any object storage that Airflow supports.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

account_groups = Asset("intacct_account_groups")

with DAG(
    dag_id="intacct_export_account_groups",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder for the files."
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctToObjectStorageOperator(
        task_id="export_account_groups",
        object_name="general-ledger/account-group",
        fields=[
            "key",
            "id",
            "title",
            "displayTotalLineAs",
            "groupType",
            "normalBalance",
            "calculationMethod",
            "accountGroupPurpose.id",
            "isKPI",
            "includeChildAmount",
            "manager",
            "audit.modifiedDateTime",
        ],
        destination="{{ params.folder }}/account_groups_{{ dag_run.run_after | ds }}.parquet",
        file_format="parquet",
        outlets=[account_groups],
    )
