"""What an Airflow retry, and a person who clears a task, do to a ledger."""

from __future__ import annotations

import pytest

from intacct_provider.client.http import transport
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.hooks.idempotency import assign_to_task, current_context

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"


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
    made = [one for one in sandbox.records(CUSTOMER) if one["name"] == "Numbered by Intacct"]
    assert len(made) == 1
    # An element without a key is added by each PATCH that is carried out: one of three was.
    sql = 'SELECT "categoryName" FROM "accounts-receivable/customer-contact" WHERE "customer.key" = ?'
    assert len(stored(sandbox, sql, made[0]["key"])) == 1
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

    first, cleared, nobody_s = IdempotencyKeys(), IdempotencyKeys(), IdempotencyKeys()
    assign_to_task(first, {"ti": Task(2)})
    assign_to_task(cleared, {"ti": Task(5)})
    assign_to_task(nobody_s, current_context())
    assert first.make("POST", "/x", b"1") == cleared.make("POST", "/x", b"1")
    assert first.make("PATCH", "/x", b"1") != cleared.make("PATCH", "/x", b"1")
    assert nobody_s.scopes == {}


def test_functions_that_write_through_a_hook_are_kept_from_writing_twice_too(run_dag, sandbox):
    for method in ("POST", "PATCH"):
        sandbox.fail(kind="after", times=2, method=method, path=f"/objects/{PURPOSE}")
    run = run_dag("functions_with_retries")
    tries = {task.task_id: (str(task.state), task.try_number) for task in run.get_task_instances()}
    assert tries == {"write": ("success", 5)}
    made = [one for one in sandbox.records(PURPOSE) if one["id"].startswith("By a function")]
    assert [one["id"] for one in made] == ["By a function, again"]


def test_what_a_function_changes_and_changes_back_is_changed_each_time(run_dag, sandbox):
    sandbox.fail(kind="after", method="PATCH", skip=2)
    run = run_dag("functions_that_change_their_mind")
    (task,) = run.get_task_instances()
    assert (str(task.state), task.try_number) == ("success", 2)
    (made,) = [one for one in sandbox.records(PURPOSE) if one["id"].startswith("Mind")]
    assert made["id"] == "Mind 1"
    changes = [call for call in sandbox.requests if call.method == "PATCH" and call.status == 200]
    assert len({call.idempotency_key for call in changes}) == 3
