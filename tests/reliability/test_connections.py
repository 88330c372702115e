"""Connections that are refused, break at any byte, or stay silent."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
from reliability_work import (
    CUSTOMER,
    PAGE,
    PURPOSE,
    QUERY,
    SEED,
    TOKEN,
    count_work_calls,
    do_work,
    events,
    work_at_every_call,
)
from sandbox_client import calls, client_of, config_of

from intacct_provider.client import IntacctClient
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import IntacctConnectionError, IntacctNotFoundError
from intacct_provider.sandbox import Sandbox

SECTION = "Connections"
AGAIN = "retries, a write with the same idempotency key"
PATH = f"/objects/{PURPOSE}"


def line(fault, does=AGAIN, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


# --- refused


class Retries(logging.Handler):
    """A log handler that signals when the client has noticed that it must retry."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.noticed = threading.Event()

    def emit(self, record):
        if "retrying in" in record.getMessage():
            self.noticed.set()


class AbandonedClient(IntacctClient):
    """A client whose server stops before a call, and starts again once the client has noticed."""

    def __init__(self, first, second, number):
        patient = RetryPolicy(attempts=1000, base=0.05, longest=0.05, budget=60)
        super().__init__(config_of(first, page_size=PAGE), retry=patient)
        self._first, self._second, self._left = first, second, number
        self._back = threading.Thread(target=self._come_back)
        self.retries = Retries()
        self._send, self._session.send = self._session.send, self._stop_and_send

    def _stop_and_send(self, request):
        if self._left == 0:
            self._first.stop()
            self._back.start()
        self._left -= 1
        return self._send(request)

    def _come_back(self):
        assert self.retries.noticed.wait(60)
        wait_for_port(urlsplit(self._first.url).port)
        self._second.start()


def wait_for_port(port):
    """Wait until nobody has a port: for a moment, a connection of another process may have it as its own."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)


@pytest.mark.slow
@line("connection refused at any call of a run, including the token request", "waits and reconnects")
def test_a_server_that_is_away_for_a_while(tmp_path):
    log = logging.getLogger("intacct_provider.client.http.transport")
    options = {"db": str(tmp_path / "company.db"), "client_secret": "kept between the starts"}
    with Sandbox(seed=SEED, **options) as sandbox:
        options["port"], total = urlsplit(sandbox.url).port, count_work_calls(sandbox)
    for number in range(total):
        kept, first, second = Sandbox(**options), Sandbox(**options), Sandbox(**options)
        first.start()
        client = AbandonedClient(first, second, number)
        log.addHandler(client.retries)
        if number:
            client.query(PURPOSE, ["key"], size=1)
        do_work(kept, client, f"T{number:03d}")
        log.removeHandler(client.retries)
        client.close()
        second.stop()
        kept.store.close()
        assert client.retries.noticed.is_set()
        assert second.requests


# --- broken


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            {"kind": "reset"}, marks=line("connection reset before the response; the call was not executed")
        ),
        pytest.param(
            {"kind": "reset", "done": True},
            marks=line("connection reset before the response; the call was executed"),
        ),
        pytest.param(
            {"kind": "cut", "ending": "reset"},
            marks=line("connection reset during the response; the call was not executed"),
        ),
        pytest.param(
            {"kind": "cut", "ending": "reset", "done": True},
            marks=line("connection reset during the response; the call was executed"),
        ),
        pytest.param(
            {"kind": "cut", "ending": "reset", "done": True, "at": 10**9},
            marks=line(
                "connection reset after the complete response",
                "uses the response, and reconnects for the next call",
            ),
        ),
    ],
)
def test_a_connection_that_is_reset_at_any_call_of_a_run(sandbox, fault):
    work_at_every_call(sandbox, fault)


FRAMINGS = {
    "length": "body truncated at every byte, with Content-Length",
    "chunked": "body truncated at every byte, with chunked encoding",
    "close": "body truncated at every byte, ended only by closing the connection",
}
framings = pytest.mark.parametrize(
    "framing", [pytest.param(name, marks=line(text)) for name, text in FRAMINGS.items()]
)


#: HTTP itself detects a truncated response with a known length, so not every byte is tried there.
STEPS = {"length": 16, "chunked": 16, "close": 1}


@pytest.fixture
def quick(sandbox):
    """A client that retries without waiting."""
    with client_of(sandbox, RetryPolicy(base=0)) as client:
        client.query(PURPOSE, ["key"], size=1)
        client.model(CUSTOMER)  # asked for before a creation is repeated
        yield client


def cut_everywhere(sandbox, framing, method, path, call, step=1):
    """Truncate the response to an executed call at each of its bytes, and return how often that was."""
    for at in range(0, 2000, step):
        before = len(sandbox.requests)
        sandbox.fail(kind="cut", done=True, at=at, framing=framing, method=method, path=path)
        call(at)
        if len(sandbox.requests) == before + 1:
            return at // step  # the response was complete, so the client did not retry
        assert len(sandbox.requests) == before + 2
    raise AssertionError("the response is too large")


@framings
def test_the_answer_to_a_query_cut_anywhere(sandbox, quick, framing):
    def read(_at):
        assert quick.query(PURPOSE, ["key"], order_by=[{"key": "asc"}], size=1).rows == [{"key": "1"}]

    assert cut_everywhere(sandbox, framing, "POST", QUERY, read) > 100


@framings
def test_the_answer_to_a_creation_cut_anywhere(sandbox, quick, framing):
    made = []

    def create(at):
        made.append((quick.create(CUSTOMER, {"name": f"Cut at {at}"})["key"], f"Cut at {at}"))

    step = STEPS[framing]
    assert cut_everywhere(sandbox, framing, "POST", f"/objects/{CUSTOMER}", create, step) > 100 / step
    assert [(record["key"], record["name"]) for record in sandbox.records(CUSTOMER)] == made
    assert events(sandbox) == {(key, "created"): 1 for key, _ in made}


@framings
def test_a_refusal_cut_anywhere_keeps_its_reason(sandbox, quick, framing):
    def get(_at):
        with pytest.raises(IntacctNotFoundError) as caught:
            quick.get(PURPOSE, "999999")
        assert caught.value.support_id

    step = STEPS[framing]
    assert cut_everywhere(sandbox, framing, "GET", f"{PATH}/999999", get, step) > 100 / step


@framings
def test_an_expired_token_is_renewed_wherever_the_response_that_reports_it_is_truncated(
    sandbox, quick, framing
):
    body = b'{"ia::error":{"errorId":"REST-1206"}}'
    for at in range(0, len(body), 4):
        asked = len(calls(sandbox, TOKEN))
        sandbox.fail(kind="cut", status=400, body=body, at=at, framing=framing, path=PATH)
        sandbox.fail(status=400, body=body, path=PATH)
        assert quick.get(PURPOSE, "1")["id"] == "Purpose 00001"
        assert len(calls(sandbox, TOKEN)) == asked + 1


# --- silent


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            {"kind": "hang"}, marks=line("no response until the timeout; the call was not executed")
        ),
        pytest.param(
            {"kind": "hang", "done": True}, marks=line("no response until the timeout; the call was executed")
        ),
    ],
)
def test_silence_at_any_call_of_a_run(sandbox, fault):
    work_at_every_call(sandbox, fault, timeout=0.2)


@line(
    "no response to any attempt",
    "gives up after the configured number of attempts",
    "an error that Airflow retries",
)
def test_silence_that_never_ends(sandbox):
    with client_of(sandbox, RetryPolicy(attempts=3, base=0.01), timeout=0.1) as client:
        client.query(PURPOSE, ["key"], size=1)
        sandbox.fail(kind="hang", times=0, path=PATH)
        with pytest.raises(IntacctConnectionError, match=r"no response within 0\.1 s after 3 attempts"):
            client.create(PURPOSE, {"id": "P"})


# --- killed


WRITER = """
import sys
from intacct_provider.client import IntacctClient, IntacctConfig
config = IntacctConfig(base_url=sys.argv[1], client_id=sys.argv[2], client_secret=sys.stdin.readline().strip(),
                       company_id="SANDBOX", user_id="airflow")
with IntacctClient(config) as client:
    client.idempotency.scopes = {"POST": "dag run task", "PATCH": "dag run task"}
    one = client.create("accounts-receivable/customer", {"name": "One"})
    many = client.create_many("accounts-receivable/customer", [{"name": f"Many {n}"} for n in range(3)])
    client.update("accounts-receivable/customer", one["key"], {"name": "One, changed"})
    print(one["key"], *(result.key for result in many))
"""


def start_writer(sandbox):
    command = [sys.executable, "-c", WRITER, sandbox.url, sandbox.identity.client_id]
    pipe = subprocess.PIPE
    writer = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    writer.stdin.write(sandbox.identity.client_secret + "\n")
    writer.stdin.close()
    return writer


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
@line(
    "worker killed after the server's commit, before it reads the response",
    "the next attempt sends the same idempotency keys and gets the responses of the first",
)
def test_a_killed_worker_is_followed_by_another(sandbox, number):
    sandbox.fail(kind="hang", done=True, path="/objects", skip=number)
    killed = start_writer(sandbox)
    deadline = time.monotonic() + 60
    while not any(call.fault and call.status for call in sandbox.requests):
        assert time.monotonic() < deadline, "the writer did not get that far"
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    second = start_writer(sandbox)
    keys = second.stdout.read().split()
    assert second.wait() == 0
    assert [(record["key"], record["name"]) for record in sandbox.records(CUSTOMER)] == [
        *zip(keys, ["One, changed", "Many 0", "Many 1", "Many 2"], strict=True)
    ]
    assert events(sandbox) == {(key, "created"): 1 for key in keys} | {(keys[0], "modified"): 1}
