"""Tasks whose retries IntacctRetryPolicy decides; by themselves they would wait for an hour."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, get_current_context, task

from intacct_provider.client import IntacctClient, RetryPolicy
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.policies.retry import IntacctRetryPolicy

with DAG(
    dag_id="limited",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"conn": ""},
):

    @task(retries=3, retry_delay=timedelta(hours=1), retry_policy=IntacctRetryPolicy())
    def read() -> int:
        """Read once, without the client's own retries."""
        hook = IntacctHook(get_current_context()["params"]["conn"])
        with IntacctClient(hook.config, retry=RetryPolicy(attempts=1)) as client:
            return len(client.query("company-config/user", ["key"]).rows)

    read()
