"""A worker that is killed between the server's commit and the reading of its answer, and Airflow's next attempt.

The sandbox carries the write out and holds the answer back. The test sees the record there, kills the process that
waits, and lets Airflow try again: what was written must be there once, and the task must know of it.
"""

from __future__ import annotations

import psutil
import pytest
from sandbox_client import calls, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
#: Seconds; nothing of this is over before the test kills the task.
ENDLESS = 3600


@pytest.fixture
def killed(airflow, sandbox):
    """Return a function that runs a DAG's task, kills it after its write, and waits until its second attempt ends."""

    def run_and_kill(dag_id, method, object_name, is_done, **params):
        path = f"/objects/{object_name}"
        conn = airflow.connect(dag_id, sandbox, timeout=ENDLESS)
        sandbox.fail(kind="hang", done=True, seconds=ENDLESS, method=method, path=path)
        run = airflow.run(dag_id, conn=conn, **params)
        run.until("the write is done and its answer is held back", is_done)

        process = run.process("write")
        [call] = calls(sandbox, path, method)
        assert call.fault == "hang"
        assert call.seconds == 0, "the call has ended before the task was killed"
        waits_for = {
            c.raddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED
        }
        assert int(sandbox.site.rpartition(":")[2].strip("/")) in waits_for
        process.kill()

        run.succeed()
        first, second = run.tries("write")
        assert (first["state"], first["pid"]) == ("failed", process.pid)
        assert (second["state"], second["pid"] == process.pid) == ("success", False)
        assert "SIGKILL" in run.log("write", 1)
        return run, calls(sandbox, path, method)

    return run_and_kill


def assert_replayed(run, sent):
    """Check that the second attempt sent the same once more, and got what was kept of the first one's answer."""
    first, second = sent
    assert first.idempotency_key == second.idempotency_key is not None
    assert (second.status, second.transactions) == (first.status, 0)
    assert "its response is used" in run.log("write", 2)


def names(sandbox, start):
    return sorted(r["name"] for r in sandbox.records(CUSTOMER) if r["name"].startswith(start))


def test_a_customer_is_created_once(killed, sandbox):
    before = stored(sandbox, CUSTOMER)
    run, sent = killed("write_create_customer", "POST", CUSTOMER, lambda: stored(sandbox, CUSTOMER) != before)
    assert_replayed(run, sent)
    [made] = [r for r in sandbox.records(CUSTOMER) if r["name"] == "Written once 0"]
    assert len(stored(sandbox, CUSTOMER)) == len(before) + 1
    assert (run.xcom("write", "key"), run.xcom("write", "id")) == (made["key"], made["id"])


def test_a_customer_group_is_created_once_and_its_key_is_found(killed, sandbox):
    run, sent = killed("write_create_group", "POST", GROUP, lambda: "ONCE" in stored(sandbox, GROUP))
    assert_replayed(run, sent)
    [made] = [group for group in sandbox.records(GROUP) if group["id"] == "ONCE"]
    assert run.xcom("write", "key") == made["key"]


def test_many_customers_are_created_once(killed, sandbox):
    before = stored(sandbox, CUSTOMER)
    run, sent = killed("write_create_many", "POST", CUSTOMER, lambda: stored(sandbox, CUSTOMER) != before)
    assert_replayed(run, sent)
    made = [r for r in sandbox.records(CUSTOMER) if r["name"].startswith("Written once")]
    assert [r["name"] for r in made] == [f"Written once {n}" for n in range(3)]
    assert run.xcom("write") == [r["key"] for r in made]


def test_an_update_adds_its_element_once(killed, sandbox):
    customer = sandbox.records(CUSTOMER)[0]
    contact = sandbox.records("company-config/contact")[0]["id"]

    def added():
        [now] = [r for r in sandbox.records(CUSTOMER) if r["key"] == customer["key"]]
        return [e for e in now["contactList"] if e["categoryName"] == "once"]

    run, sent = killed(
        "write_update_customer", "PATCH", CUSTOMER, added, key=customer["key"], contact=contact
    )
    assert_replayed(run, sent)
    assert len(added()) == 1


def test_a_sync_plans_again_and_writes_nothing_twice(killed, sandbox):
    before = stored(sandbox, CUSTOMER)
    run, sent = killed("write_sync", "POST", CUSTOMER, lambda: stored(sandbox, CUSTOMER) != before)
    assert len(sent) == 1
    assert names(sandbox, "Written once") == [f"Written once {n}" for n in range(3)]
    counts = run.xcom("write")
    assert (counts["created"], counts["unchanged"], counts["rejected"]) == (0, 3, 0)


def test_a_deletion_is_done_when_the_record_is_gone(killed, sandbox):
    [key] = sandbox.seed(CUSTOMER, [{"id": "GOES", "name": "Goes"}])
    run, sent = killed(
        "write_delete_customer", "DELETE", CUSTOMER, lambda: "GOES" not in stored(sandbox, CUSTOMER), key=key
    )
    assert [call.status for call in sent] == [204, 404]
    assert run.xcom("write") == {"key": key, "deleted": False}
