"""What an Airflow retry, and a person who clears a task, do to a ledger."""

from __future__ import annotations

import pytest

from intacct_provider.client import transport
from intacct_provider.client.retry import RetryPolicy
from intacct_provider.operators.base import idempotency_scopes

CUSTOMER = "accounts-receivable/customer"


@pytest.fixture(autouse=True)
def one_sending(monkeypatch):
    """Leave all patience to Airflow, so that a lost answer is a lost attempt."""
    monkeypatch.setattr(transport, "RetryPolicy", lambda: RetryPolicy(attempts=1))


def stored(sandbox, sql, *values):
    with sandbox.store.transaction() as conn:
        return [tuple(row) for row in conn.execute(sql, values).fetchall()]


def test_writes_whose_answers_are_lost_are_not_made_twice_by_airflows_retries(run_dag, sandbox):
    (contact,) = stored(sandbox, 'SELECT "id" FROM "company-config/contact" ORDER BY "key" LIMIT 1')[0]
    for method in ("POST", "PATCH"):
        sandbox.fail(kind="after", times=2, method=method, path=f"/objects/{CUSTOMER}")
    run = run_dag("writes_with_retries", contact=contact)
    tries = {task.task_id: (str(task.state), task.try_number) for task in run.get_task_instances()}
    assert tries == {"create": ("success", 3), "update": ("success", 3)}
    made = stored(sandbox, f'SELECT "contactList" FROM "{CUSTOMER}" WHERE "name" = ?', "Numbered by Intacct")  # noqa: S608
    assert len(made) == 1
    # An element without a key is added by each PATCH that is carried out: one of three was.
    assert made[0][0].count('"categoryName"') == 1
    keys = [
        call.idempotency_key
        for call in sandbox.requests
        if call.method in ("POST", "PATCH") and "/objects/" in call.path
    ]
    assert len(keys) == 6
    assert len(set(keys)) == 2


def test_clearing_a_task_makes_changes_anew_and_creations_only_once():
    class Task:
        dag_id, run_id, task_id, map_index = "d", "r", "t", -1

        def __init__(self, max_tries):
            self.max_tries = max_tries

    first, cleared = (idempotency_scopes({"ti": Task(tries)}) for tries in (2, 5))
    assert first["POST"] == cleared["POST"]
    assert first["PATCH"] != cleared["PATCH"]
    assert idempotency_scopes({}) == {}
