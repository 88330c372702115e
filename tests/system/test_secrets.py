"""What tasks of a real Airflow leave behind: logs, XComs and the metadata database, all without a secret or a body."""

from __future__ import annotations

import secrets

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"


def test_tasks_that_fail_and_recover_leave_no_secret_behind(airflow, sandbox, audit):
    before = set(audit.secrets)
    made_up = {secrets.token_urlsafe(24) for _ in range(2)}
    password, refresh_token = made_up
    stored = {"credential_store": "variable"}
    good = airflow.connect("good", sandbox, **stored)
    wrong = airflow.connect("wrong", sandbox, password=password, **stored)
    ended = airflow.connect(
        "ended", sandbox, auth_type="refresh_token", refresh_token=refresh_token, **stored
    )
    key = sandbox.records(CUSTOMER)[0]["key"]
    for fault in ({"kind": "after"}, {"status": 429, "headers": {"Retry-After": "0"}}, {"kind": "cut"}):
        sandbox.fail(method="POST", path=f"/objects/{CUSTOMER}", **fault)
    sandbox.fail(kind="html", path=QUERY, times=0)

    recovers = airflow.run("write_create_many", conn=good)
    failing = [
        ("read", airflow.run("read_once", conn=good), "is text/html (HTTP 200), not JSON"),
        ("read", airflow.run("read_once", conn=wrong), "Intacct rejected client id"),
        ("read", airflow.run("read_once", conn=ended), "Run `python -m intacct_provider.authorize`"),
        (
            "write",
            airflow.run("write_update_customer", conn=good, key=key, contact="Nobody"),
            "IntacctValidation",
        ),
    ]
    recovers.succeed()
    for task_id, run, reason in failing:
        [task] = run.wait()
        assert task["state"] == "failed"
        assert reason in run.log(task_id, task["try_number"])

    written = dict(airflow.left_behind())
    database = "".join(text for place, text in written.items() if place.startswith("airflow.db"))
    # Where the audit looks, there is something to find.
    assert f"intacct_token__{good}" in database
    assert any("Intacct: billed API transactions" in text for place, text in written.items() if "/" in place)
    assert any(place.startswith("XCom") for place in written)
    assert airflow.leaks(made_up | {sandbox.identity.client_secret} | (audit.secrets - before)) == []
