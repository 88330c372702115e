"""Change Intacct's customer groups as an Excel workbook says, after a person has approved the plan.

The workbook has the form of Intacct's own import templates: upper-case headers, a row that describes them, and ``#`` in
the column ``DONOTIMPORT`` of rows that do not count. Rows of other teams do not count either.

If rows have problems, the task ``plan`` fails, lists all of them, and writes the records to a file next to the plan.
Correct the workbook, or that file, and run the DAG again with it. To see that, set ``desired`` to
``customer_groups.xlsx`` in the folder of the sample.

Needs the extra ``xlsx`` and a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param

from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator

WORKBOOK = Path(__file__).parent / "data" / "customer_groups_corrected.xlsx"

with DAG(
    dag_id="intacct_sync_from_spreadsheet",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(days=2),
    params={
        "desired": Param(f"file://{WORKBOOK}", type="string", description="Path or URI of the workbook."),
        "folder": Param(
            f"file://{Path.home()}/intacct_plans",
            type="string",
            description="Folder or bucket for the plans.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        object_name="accounts-receivable/customer-group",
        desired="{{ params.desired }}",
        plan_path="{{ params.folder }}/{{ dag_run.run_id | replace(':', '-') }}/groups.plan.json",
        columns={
            "GROUP_ID": "id",
            "TYPE": "groupType",
            "MEMBERS": "groupMembers[].id",
            "DIMENSION_STRUCTURE": "isDimensionStructure",
            "TEAM": None,
        },
        where={"TEAM": "Finance"},
        value_maps={"TYPE": {"All": "all", "Specific": "specific"}},
        trim=True,
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Change Intacct's customer groups?",
        body="{{ ti.xcom_pull(task_ids='plan')['markdown'] }}",
    )
    apply = IntacctApplySyncOperator(
        task_id="apply",
        plan=plan.output,
    )
    plan >> approve >> apply
