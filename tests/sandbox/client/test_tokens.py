"""Tokens over real HTTP, shared by threads and by real processes: as few as can be, and none is ever lost."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import raw_client
from sandbox_client import RETRY, calls, config_of, running
from token_stores import FileStore

from intacct_provider.client import IntacctClient
from intacct_provider.client.http import auth
from intacct_provider.exceptions import IntacctAuthenticationError

TOKEN = "/oauth2/token"
ENTITY = "company-config/entity"
STORE = "token_stores.FileStore"


@pytest.fixture(autouse=True)
def _stores(tmp_path, monkeypatch):
    """Give each test a folder of its own for stores, and no token of another."""
    monkeypatch.setenv("INTACCT_TEST_STORES", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__INTACCT__CREDENTIAL_STORE_PREFIXES", "token_stores")
    auth.forget_tokens()


def first_refresh_token(sandbox):
    token = raw_client.token(sandbox).json()["refresh_token"]
    sandbox._state.calls.clear()
    return token


def statuses(sandbox, path=TOKEN):
    return [call.status for call in calls(sandbox, path)]


def worker(sandbox, store=None, **changes):
    """Return a client as another process would make it: it knows what the store knows."""
    auth.forget_tokens()
    return IntacctClient(config_of(sandbox, **changes), retry=RETRY, store=store)


def rotating(sandbox, token):
    return {"auth_type": "refresh_token", "refresh_token": token}


# --- in one process


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", STORE])
def test_a_thousand_hooks_on_fifty_threads_at_once_ask_for_one_token(monkeypatch, store):
    from intacct_provider.hooks.intacct import IntacctHook

    with running(faults={"concurrency": 100, "latency": 0.05}) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(credential_store=store))
        hooks = [IntacctHook() for _ in range(1000)]

        def read(hook):
            with hook.client as client:
                return len(client.list(ENTITY))

        with ThreadPoolExecutor(50) as threads:
            assert set(threads.map(read, hooks)) == {len(sandbox.records(ENTITY))}
        assert statuses(sandbox) == [200]
        assert len(calls(sandbox, "/objects")) == 1000


def test_fifty_threads_whose_token_is_refused_at_once_renew_it_once(sandbox):
    sandbox.faults.concurrency = 100
    with worker(sandbox, max_concurrency=20) as client, ThreadPoolExecutor(50) as threads:
        for renewals in (1, 2, 3):
            assert len(list(threads.map(lambda _: client.list(ENTITY), range(50)))) == 50
            assert statuses(sandbox) == [200] * renewals
            sandbox.expire_tokens()


# --- one worker after another


def test_twenty_workers_in_a_row_share_one_token_through_a_store(sandbox):
    for _ in range(20):
        with worker(sandbox, FileStore("shared")) as client:
            client.list(ENTITY)
    assert statuses(sandbox) == [200]
    assert json.loads(FileStore("shared").load())["refresh_token"] == "", (
        "which this grant gets and needs not"
    )


def test_twenty_workers_in_a_row_spend_one_refresh_token(sandbox):
    given = rotating(sandbox, first_refresh_token(sandbox))
    for _ in range(20):
        with worker(sandbox, FileStore("shared"), **given) as client:
            client.list(ENTITY)
    assert statuses(sandbox) == [200]


@pytest.mark.parametrize("rotation", ["single-use", "reusable", "silent"])
def test_every_way_of_rotating_goes_on_from_worker_to_worker(sandbox, rotation):
    sandbox.faults.rotation = rotation
    given = rotating(sandbox, first_refresh_token(sandbox))
    for _ in range(5):
        with worker(sandbox, FileStore("shared"), **given) as client:
            client.list(ENTITY)
            sandbox.expire_tokens()
            client.list(ENTITY)
    assert set(statuses(sandbox)) == {200}
    assert len(statuses(sandbox)) == 6
    kept = json.loads(FileStore("shared").load())["refresh_token"]
    assert (kept == given["refresh_token"]) is (rotation == "silent")


def test_without_a_store_the_next_worker_has_a_spent_token_and_is_told_what_to_do(sandbox):
    given = rotating(sandbox, first_refresh_token(sandbox))
    with worker(sandbox, **given) as client:
        client.list(ENTITY)
    with worker(sandbox, **given) as client, pytest.raises(IntacctAuthenticationError) as caught:
        client.list(ENTITY)
    assert "for the refresh token" in str(caught.value)
    assert "python -m intacct_provider.authorize" in str(caught.value)
    assert statuses(sandbox) == [200, 400]


def test_a_right_secret_that_is_refused_now_and_then_loses_no_refresh_token(sandbox):
    given = rotating(sandbox, first_refresh_token(sandbox))
    body = {"error": "invalid_client", "error_description": "No"}
    sandbox.fail(path=TOKEN, status=401, body=body)
    with worker(sandbox, FileStore("shared"), **given) as client:
        client.list(ENTITY)
    assert statuses(sandbox) == [401, 200]


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"kind": "reset"}, {"kind": "cut"}])
def test_a_token_request_that_fails_before_it_is_carried_out_loses_no_refresh_token(sandbox, fault):
    given = rotating(sandbox, first_refresh_token(sandbox))
    sandbox.fail(path=TOKEN, times=2, **fault)
    with worker(sandbox, FileStore("shared"), **given) as client:
        client.list(ENTITY)
    assert statuses(sandbox)[-1] == 200


@pytest.mark.parametrize("rotation", ["single-use", "reusable"])
def test_an_answer_that_is_lost_costs_a_person_s_consent_only_when_it_ended_the_token(
    sandbox, monkeypatch, rotation
):
    """Nobody can know the new token then, and the old one is gone."""
    monkeypatch.setattr(auth, "LOOK_AGAIN", (0.0, 0.0))
    sandbox.faults.rotation = rotation
    given = rotating(sandbox, first_refresh_token(sandbox))
    sandbox.fail(path=TOKEN, kind="after")
    with worker(sandbox, FileStore("shared"), **given) as client:
        if rotation == "single-use":
            with pytest.raises(IntacctAuthenticationError, match=r"python -m intacct_provider\.authorize"):
                client.list(ENTITY)
        else:
            assert client.list(ENTITY) != []
    assert statuses(sandbox) == [200, 400 if rotation == "single-use" else 200]


@pytest.mark.parametrize("wrong", [-300, 300])
def test_a_worker_whose_clock_is_five_minutes_wrong_loses_one_call_at_most(monkeypatch, wrong):
    moments = [datetime(2026, 7, 1, tzinfo=UTC)]
    passed = [0.0]

    def set_clock(seconds, error=0.0):
        passed[0] = seconds
        moments[0] = datetime(2026, 7, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        ours = SimpleNamespace(
            monotonic=lambda: passed[0], time=lambda: 1e9 + passed[0] + error, sleep=time.sleep
        )
        monkeypatch.setattr(auth, "time", ours)

    with running(clock=lambda: moments[0], faults={"token_life": 600}) as sandbox:
        set_clock(0)
        with worker(sandbox, FileStore("shared")) as client:
            client.list(ENTITY)
        for seconds in (200, 400, 580, 620, 640):
            set_clock(seconds, wrong)
            with worker(sandbox, FileStore("shared")) as client:
                client.list(ENTITY)
        answered = statuses(sandbox, "/objects")
        assert answered.count(200) == 6
        assert answered.count(401) == (1 if wrong < 0 else 0)
        assert len(statuses(sandbox)) <= 4


# --- the connection test


def test_testing_a_connection_spends_no_refresh_token(sandbox, monkeypatch):
    from intacct_provider.hooks.intacct import IntacctHook

    given = rotating(sandbox, first_refresh_token(sandbox))
    for store in ("memory", STORE):
        monkeypatch.setenv(
            "AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(**given, credential_store=store)
        )
        passed, said = IntacctHook().test_connection()
        assert (passed, "would spend the refresh token" in said) == (False, True)
    assert calls(sandbox) == []
    with worker(sandbox, **given) as client:
        assert client.list(ENTITY) != []


def test_testing_a_connection_asks_with_its_credentials_whatever_is_stored(sandbox, monkeypatch):
    from intacct_provider.hooks.intacct import IntacctHook

    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(credential_store=STORE))
    with IntacctHook().client as client:
        client.list(ENTITY)
    stored = FileStore("intacct_default").load()
    assert IntacctHook().test_connection()[0] is True
    assert (len(statuses(sandbox)), FileStore("intacct_default").load()) == (2, stored)


def test_a_store_of_ones_own_that_is_not_there_is_named(sandbox, monkeypatch):
    from intacct_provider.hooks.intacct import IntacctHook

    monkeypatch.setenv(
        "AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(credential_store="token_stores.Nothing")
    )
    with pytest.raises(ValueError, match=r"credential_store 'token_stores\.Nothing' must be"):
        _ = IntacctHook().client


# --- many processes at once


PROGRAM = """
import json, sys
from intacct_provider.client import IntacctClient, IntacctConfig
from token_stores import FileStore
given = json.loads(sys.stdin.readline())
client = IntacctClient(IntacctConfig(**given), store=FileStore("shared"))
print("ready", flush=True)
for line in sys.stdin:
    print(len(client.list("company-config/entity")), flush=True)
"""


class Processes:
    """Real processes that read at once whenever they are told to."""

    def __init__(self, stack, config, count):
        path = os.pathsep.join(one for one in sys.path if one)
        env = {**os.environ, "PYTHONPATH": path}
        self.all = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=env,
                )
            )
            for _ in range(count)
        ]
        stack.callback(self.kill)
        for process in self.all:
            self._send(process, json.dumps(config))
        assert {process.stdout.readline() for process in self.all} == {"ready\n"}

    def read(self):
        """Let every process read; return what each printed."""
        for process in self.all:
            self._send(process, "go")
        return [process.stdout.readline().strip() for process in self.all]

    def finish(self):
        """End them; return what they said of problems, with their exit codes."""
        ends = [process.communicate(timeout=60)[1] for process in self.all]
        return [(process.returncode, end) for process, end in zip(self.all, ends, strict=True)]

    def kill(self):
        for process in self.all:
            process.kill()

    def _send(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()


def settings_of(sandbox, **changes):
    """Return the configuration as JSON for another process."""
    config = config_of(sandbox, **changes)
    names = (
        "client_id",
        "client_secret",
        "company_id",
        "user_id",
        "base_url",
        "auth_type",
        "refresh_token",
        "credential_store",
    )
    return {name: getattr(config, name) for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["in the connection", "in the store"])
def test_twenty_processes_at_once_on_one_single_use_refresh_token_all_succeed(kept):
    """And again when their access token dies under all of them; only one rotation wins each time."""
    faults = {"concurrency": 100, "latency": 0.2, "jitter": 0.2, "rotation": "single-use"}
    with running(faults=faults) as sandbox, ExitStack() as stack:
        token = first_refresh_token(sandbox)
        given = rotating(sandbox, token)
        if kept == "in the store":
            FileStore("shared").save(token)
            given |= {"refresh_token": "", "credential_store": STORE}
        processes = Processes(stack, settings_of(sandbox, **given), 20)
        entities = str(len(sandbox.records(ENTITY)))
        for rotations in (1, 2, 3):
            assert processes.read() == [entities] * 20
            assert statuses(sandbox).count(200) == rotations
            assert set(statuses(sandbox)) <= {200, 400}
            sandbox.expire_tokens()
        assert processes.finish() == [(0, "")] * 20
        assert statuses(sandbox).count(400) > 0, "nobody was too late, so that this has proved nothing"
        last = json.loads(FileStore("shared").load())["refresh_token"]
        assert raw_client.token(sandbox, grant_type="refresh_token", refresh_token=last).status_code == 200
        assert (
            raw_client.token(sandbox, grant_type="refresh_token", refresh_token=token).status_code == 400
        ), "the first token was not single-use"


@pytest.mark.slow
def test_processes_that_live_for_one_read_pass_their_tokens_on():
    with running(faults={"concurrency": 100, "latency": 0.05}) as sandbox:
        given = settings_of(sandbox, **rotating(sandbox, first_refresh_token(sandbox)))
        for _ in range(3):
            with ExitStack() as stack:
                processes = Processes(stack, given, 4)
                assert len(set(processes.read())) == 1
                assert processes.finish() == [(0, "")] * 4
            sandbox.expire_tokens()
        assert statuses(sandbox).count(200) == 3
    assert [path.name for path in Path(os.environ["INTACCT_TEST_STORES"]).iterdir()] == ["shared"]
