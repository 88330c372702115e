"""Copy customer groups from one Intacct company to another, for example from a test company to production.

Groups that are missing in the second company are created, groups that differ are updated, and all other groups are left
alone. Members are referenced by id, so the customers must exist in the second company; a group with a missing member is
reported before anything is written. The task itself calls ``read_groups``, so no records pass through Airflow's
database.

Needs two connections of type ``intacct``: ``intacct_staging`` to read from, and ``intacct_default`` to write to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, get_current_context

from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.sync import IntacctSyncOperator

GROUP = "accounts-receivable/customer-group"


def read_groups() -> list[dict[str, Any]]:
    """Return the desired groups, without the fields that are specific to the first company."""
    client = IntacctHook("intacct_staging").client
    wanted = {"$in": {"id": get_current_context()["params"]["groups"]}}
    rows = client.iter_rows(GROUP, ["key", "id"], filters=[wanted])
    records = client.get_many(GROUP, [row["key"] for row in rows])
    kept = ("id", "name", "description", "groupType", "memberFilter")
    return [
        {name: record.get(name) for name in kept}
        | {"groupMembers": [{"id": member["id"]} for member in record.get("groupMembers") or ()]}
        for record in records
    ]


with DAG(
    dag_id="intacct_promote_groups",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "groups": Param(
            ["HIGH-BALANCE", "KEY-ACCOUNTS"], type="array", description="Ids of the groups to copy."
        ),
        "folder": Param(
            f"file://{Path.home()}/intacct_plans",
            type="string",
            description="Folder or bucket for the plans.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctSyncOperator(
        task_id="promote_groups",
        object_name=GROUP,
        desired=read_groups,
        plan_path="{{ params.folder }}/promote/{{ dag_run.run_id | replace(':', '-') }}/groups.plan.json",
        max_creates=50,
        max_updates=50,
    )
