"""IntacctRetryPolicy in a real Airflow: the scheduler waits as long as Intacct asks, or not at all."""

from __future__ import annotations

import secrets
from datetime import datetime

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUERY = "/services/core/query"


def test_a_rate_limit_waits_as_long_as_intacct_asks(airflow, sandbox):
    conn = airflow.connect("limited", sandbox)
    sandbox.fail(status=429, path=QUERY, headers={"Retry-After": "8"})
    run = airflow.run("limited", conn=conn)
    run.succeed()
    first, second = run.tries("read")
    waited = datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])
    assert 8 <= waited.total_seconds() < 600
    assert "IntacctRateLimitError: Intacct asks to wait 8 s" in run.log("read", 1)


def test_wrong_credentials_are_not_tried_again(airflow, sandbox):
    conn = airflow.connect("limited_wrong", sandbox, password=secrets.token_urlsafe(24))
    run = airflow.run("limited", conn=conn)
    [task] = run.wait()
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 3)
    assert "IntacctAuthenticationError: a retry cannot fix this" in run.log("read", 1)
