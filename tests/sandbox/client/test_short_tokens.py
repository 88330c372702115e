"""Tokens that end early: used up, ended by another process, dead at once; over HTTP, by threads and by processes."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from moving_company import OBJECT, Company
from moving_server import Behavior, MovingServer
from sandbox_client import RETRY, calls

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http import auth
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import IntacctAuthenticationError, IntacctTokenError

ENTITY = "company-config/entity"
TOKEN = "/oauth2/token"
FIELDS = ["key", "name"]


@pytest.fixture(autouse=True)
def _no_token_is_left():
    auth.forget_tokens()


def settings_of(server, **changes):
    given = {
        "client_id": "moving",
        "client_secret": server.secret,
        "company_id": "Moving",
        "user_id": "reader",
    }
    return {**given, "base_url": server.url, "page_size": 100, "max_concurrency": 4, **changes}


def client_of(server, retry=None, **changes):
    return IntacctClient(IntacctConfig(**settings_of(server, **changes)), retry=retry)


@pytest.mark.parametrize(
    "behavior",
    [
        pytest.param(Behavior(token_uses=3), id="good for 3 requests"),
        pytest.param(Behavior(token_uses=1, latency=0.002), id="good for 1 request"),
        pytest.param(Behavior(one_token=True, stolen=3, latency=0.002), id="ended by somebody else"),
        pytest.param(Behavior(one_token=True, stolen=1), id="ended after each request"),
    ],
)
def test_reads_by_several_workers_end_although_their_tokens_do_not_last(behavior):
    """A token that another worker has used up meanwhile is not a reason to give up."""
    with MovingServer(Company(500), behavior) as server, client_of(server) as client:
        with ThreadPoolExecutor(4) as workers:
            reads = [workers.submit(lambda: len([*client.iter_rows(OBJECT, FIELDS)])) for _ in range(4)]
        assert [read.result() for read in reads] == [500] * 4
        assert server.counted.refused > 5


PROGRAM = """
import json, sys
from intacct_provider.client import IntacctClient, IntacctConfig
client = IntacctClient(IntacctConfig(**json.loads(sys.stdin.readline())))
print("ready", flush=True)
sys.stdin.readline()
print(len([*client.iter_rows("accounts-receivable/customer", ["key", "name"])]), flush=True)
"""


def start_process(stack, settings):
    """Start a process that reads when it gets a line."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = stack.enter_context(
        subprocess.Popen([sys.executable, "-c", PROGRAM], text=True, env=env, **pipes)
    )
    stack.callback(process.kill)
    process.stdin.write(json.dumps(settings) + "\n")
    process.stdin.flush()
    return process


@pytest.mark.slow
@pytest.mark.parametrize("latency", [0.0, 0.02])
def test_three_processes_finish_where_each_new_token_ends_the_one_before(latency):
    with (
        MovingServer(Company(3000), Behavior(one_token=True, latency=latency)) as server,
        ExitStack() as stack,
    ):
        processes = [start_process(stack, settings_of(server)) for _ in range(3)]
        assert {process.stdout.readline() for process in processes} == {"ready\n"}
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [process.communicate(timeout=120) for process in processes]
        assert [said.strip() for said, _problem in ends] == ["3000"] * 3, ends
        assert server.counted.refused > 0, "they never met, so that this has proved nothing"


def test_a_user_whose_new_tokens_are_all_rejected_fails_soon_and_may_be_retried(sandbox):
    from intacct_provider.operators.base import airflow_errors

    sandbox.fail(status=401, path="/objects", times=999)
    begun = time.monotonic()
    client = IntacctClient(
        IntacctConfig(**_settings_of_sandbox(sandbox)), retry=RetryPolicy(base=0.1, attempts=4)
    )
    with pytest.raises(IntacctTokenError, match="signs in as this user"), airflow_errors():
        client.list(ENTITY)
    assert time.monotonic() - begun < 30
    assert len(calls(sandbox, TOKEN)) == 4


def _settings_of_sandbox(sandbox):
    own = sandbox.identity
    return {
        "client_id": own.client_id,
        "client_secret": own.client_secret,
        "company_id": own.company,
        "user_id": own.user,
        "base_url": sandbox.url,
    }


def test_credentials_that_are_revoked_during_a_run_fail_at_once_and_for_good(sandbox):
    from airflow.providers.common.compat.sdk import AirflowFailException

    from intacct_provider.operators.base import airflow_errors

    client = IntacctClient(IntacctConfig(**_settings_of_sandbox(sandbox)), retry=RETRY)
    client.list(ENTITY)
    sandbox.expire_tokens()
    sandbox.fail(
        path=TOKEN, status=400, times=99, body={"error": "invalid_grant", "error_description": "Revoked"}
    )
    with pytest.raises(AirflowFailException, match="Revoked") as caught, airflow_errors():
        client.list(ENTITY)
    assert type(caught.value.__cause__) is IntacctAuthenticationError
    assert len(calls(sandbox, TOKEN)) == 2
