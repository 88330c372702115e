"""A task that Airflow tries again, for the tests of what that may do to a ledger."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, task

from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.records import IntacctCreateRecordOperator, IntacctUpdateRecordOperator

with DAG(
    dag_id="writes_with_retries",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 3, "retry_delay": timedelta(0)},
):
    create = IntacctCreateRecordOperator(
        task_id="create", object_name="accounts-receivable/customer", record={"name": "Numbered by Intacct"}
    )
    update = IntacctUpdateRecordOperator(
        task_id="update",
        object_name="accounts-receivable/customer",
        key=create.output["key"],
        changes={"contactList": [{"categoryName": "billing", "contact": {"id": "{{ params.contact }}"}}]},
        params={"contact": ""},
    )

PURPOSE = "general-ledger/account-group-purpose"


@task(retries=4, retry_delay=timedelta(0))
def write():
    """Create a record and change it, through a hook of its own each time."""
    made = IntacctHook().client.create(PURPOSE, {"id": "By a function"})
    IntacctHook().client.update(PURPOSE, made["key"], {"id": "By a function, again"})


@task(retries=1, retry_delay=timedelta(0))
def change_one_s_mind():
    """Make a change, undo it, and make it again."""
    made = IntacctHook().client.create(PURPOSE, {"id": "Mind 0"})
    for n in (1, 2, 1):
        IntacctHook().client.update(PURPOSE, made["key"], {"id": f"Mind {n}"})


for _dag_id, _function in (
    ("functions_with_retries", write),
    ("functions_that_change_their_mind", change_one_s_mind),
):
    with DAG(dag_id=_dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        _function()
