"""A client in a process that was forked, as Airflow forks tasks, whatever other threads were doing at that moment."""

import logging
import os
import threading
import time
from contextlib import contextmanager

import pytest
from moving_company import OBJECT, Company
from moving_server import Behavior, MovingServer
from sandbox_client import calls, client_of, running, until

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http import auth
from intacct_provider.client.idempotency import IdempotencyKeys

PURPOSE = "general-ledger/account-group-purpose"
MODEL = "/services/core/model"
ENTITY = "company-config/entity"
#: Seconds after which a child counts as hanging.
HANGS = 20

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    # The threads of other fixtures are just what this is about.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _no_token_is_left():
    auth.forget_tokens()


def in_child(work):
    """Return what a forked process says about some work; it must not hang."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Another thread of the tests may have been writing to their log, whose lock nobody releases here.
        logging.disable(logging.CRITICAL)
        try:
            os.write(writer, str(work()).encode())
        except BaseException as err:
            os.write(writer, repr(err).encode())
        finally:
            os._exit(0)
    os.close(writer)
    ended = threading.Timer(HANGS, os.kill, (child, 9))
    ended.start()
    with os.fdopen(reader) as said:
        text = said.read()
    os.waitpid(child, 0)
    ended.cancel()
    return text


@contextmanager
def in_thread(work):
    """Let a thread work meanwhile."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def read(client):
    return len(client.list(ENTITY))


def test_a_client_works_in_parent_and_child(sandbox):
    client = client_of(sandbox)
    entities = read(client)
    assert in_child(lambda: read(client)) == str(entities)
    assert read(client) == entities
    assert len(calls(sandbox, "/oauth2/token")) == 1, "the child has the token of its parent"


def test_a_child_does_not_wait_for_a_token_that_its_parent_is_asking_for():
    with running(faults={"latency": 0.5}) as sandbox:
        client = client_of(sandbox)
        with in_thread(lambda: read(client)):
            until(token_is_asked_for, seconds=10)
            said = in_child(lambda: read(client))
        assert said == str(read(client))


def token_is_asked_for():
    """Whether a thread holds the lock of a grant."""
    grants = list(auth._grants.values())
    free = all(grant.lock.acquire(blocking=False) for grant in grants)
    if free:
        for grant in grants:
            grant.lock.release()
    return not free


def test_a_child_does_not_wait_for_requests_in_flight_nor_for_a_model_being_read():
    with running(faults={"latency": 0.5}) as sandbox:
        client = client_of(sandbox, max_concurrency=1)
        client.list(ENTITY)
        with in_thread(lambda: client.fields(PURPOSE)):
            until(lambda: calls(sandbox, MODEL), seconds=10)
            time.sleep(0.1)
            said = in_child(lambda: (read(client), len(client.fields(PURPOSE))))
        assert said == str((read(client), len(client.fields(PURPOSE))))


def test_parent_and_child_share_no_connection():
    """With one connection for both, each would get answers of the other."""
    with MovingServer(Company(2000), Behavior(latency=0.01)) as server:
        config = IntacctConfig(
            client_id="moving",
            client_secret=server.secret,
            company_id="Forks",
            user_id="reader",
            base_url=server.url,
            page_size=100,
        )
        client = IntacctClient(config)

        def keys():
            return [row["key"] for row in client.iter_rows(OBJECT, ["key"])]

        def keys_soon():
            time.sleep(0.2)
            return [keys() for _ in range(3)]

        expected = keys()
        found = []
        with in_thread(lambda: found.extend(keys_soon())):
            said = in_child(lambda: keys_soon() == [expected] * 3)
        assert (said, found) == ("True", [expected] * 3)


def test_a_child_writes_under_keys_of_its_own_unless_they_belong_to_a_task():
    own, task = IdempotencyKeys(), IdempotencyKeys(scopes={"POST": "dag/run/task"})
    what = ("POST", "/x", b"{}")
    assert in_child(lambda: own.make(*what)) != own.make(*what)
    assert in_child(lambda: task.make(*what)) == task.make(*what)


def test_what_a_child_and_its_parent_create_exists_twice(sandbox):
    client = client_of(sandbox)
    before = len(sandbox.records(PURPOSE))
    assert in_child(lambda: client.create(PURPOSE, {"id": "child"})["id"]) == "child"
    client.create(PURPOSE, {"id": "parent"})
    assert len(sandbox.records(PURPOSE)) == before + 2
