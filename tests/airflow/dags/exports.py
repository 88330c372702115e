"""Exports that remember the last one."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
changes = Asset("intacct_changes")

with DAG(
    dag_id="export_changes",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    render_template_as_native_obj=True,
):
    IntacctToObjectStorageOperator(
        task_id="export",
        object_name=CUSTOMER,
        fields="{{ dag_run.conf.get('fields') or '*' }}",
        incremental="audit.modifiedDateTime",
        detect_deletes="{{ dag_run.conf['detect'] }}",
        full_refresh="{{ dag_run.conf.get('full', False) }}",
        schema_drift="{{ dag_run.conf.get('drift', 'warn') }}",
        destination="{{ dag_run.conf['folder'] }}/{{ dag_run.conf['name'] }}.jsonl",
        outlets=[changes],
    )

with DAG(
    dag_id="export_changes_to_variable", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")
):
    IntacctToObjectStorageOperator(
        task_id="export",
        object_name=CUSTOMER,
        fields=["key", "id", "name"],
        incremental="audit.modifiedDateTime",
        detect_deletes="keys",
        destination="{{ dag_run.conf['folder'] }}/{{ dag_run.conf['name'] }}.jsonl",
    )

with DAG(dag_id="export_changed_records", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
    IntacctToObjectStorageOperator(
        task_id="export",
        object_name="accounts-receivable/customer-group",
        detail=True,
        incremental="audit.modifiedDateTime",
        detect_deletes="auto",
        destination="{{ dag_run.conf['folder'] }}/{{ dag_run.conf['name'] }}.jsonl",
    )
