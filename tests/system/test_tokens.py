"""One token for tasks in a row, and no refresh token lost by tasks at once: in processes of a real Airflow."""

from __future__ import annotations

import pytest
from raw_client import token
from sandbox_client import calls

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TASKS = 20
TOKENS = "/oauth2/token"
QUERY = "/services/core/query"


def test_20_tasks_in_a_row_ask_for_one_token(airflow, sandbox, audit):
    conn = airflow.connect("in_a_row", sandbox, credential_store="variable")
    tasks = airflow.run("reads_in_a_row", conn=conn).succeed()
    assert len({task["pid"] for task in tasks}) == TASKS
    assert [call.status for call in calls(sandbox, QUERY)] == [200] * TASKS
    assert [call.status for call in calls(sandbox, TOKENS)] == [200]
    shown = airflow.read(f"/variables/intacct_token__{conn}")["value"]
    assert not [secret for secret in audit.secrets if secret in shown]


def test_20_tasks_at_once_share_a_refresh_token_that_works_once(airflow, sandbox, tmp_path):
    first = token(sandbox).json()["refresh_token"]
    sandbox.faults.rotation = "single-use"
    sandbox.faults.concurrency = 2 * TASKS
    # Long enough for all to ask before the first of them has the answer.
    sandbox.faults.latency = 1.0
    conn = airflow.connect(
        "at_once", sandbox, credential_store="variable", auth_type="refresh_token", refresh_token=first
    )
    run = airflow.run("reads_at_once", conn=conn, folder=str(tmp_path))

    let_go(run, tmp_path, "first")
    run.until("all have read once", lambda: len(list(tmp_path.glob("second-ready-*"))) == TASKS)
    sandbox.expire_tokens()
    let_go(run, tmp_path, "second")
    tasks = run.succeed()
    assert [task["state"] for task in tasks] == ["success"] * TASKS
    assert [task["try_number"] for task in tasks] == [1] * TASKS
    renewals = [call.status for call in calls(sandbox, TOKENS)][1:]
    # Each round is won by one of them; the others are refused, or come so late that they need not ask.
    assert renewals.count(200) == 2
    assert set(renewals) <= {200, 400}
    print(f"{len(renewals)} asked for a token")

    sandbox.expire_tokens()
    airflow.run("read_once", conn=conn).succeed()
    assert calls(sandbox, TOKENS)[-1].status == 200


def let_go(run, folder, step):
    """Wait until every task has got there, then let all of them go on."""
    run.until(
        f"all are ready for the {step} time", lambda: len(list(folder.glob(f"{step}-ready-*"))) == TASKS
    )
    (folder / f"{step}-go").touch()
