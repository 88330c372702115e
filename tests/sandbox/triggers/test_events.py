"""The event queue over HTTP, on Airflow's shared streams: what is delivered, what is acknowledged, and when."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest
from airflow.triggers.base import BaseEventTrigger
from airflow_parts import NO_STREAMS
from sandbox_client import calls, running
from stream_runner import triggerer, until

from intacct_provider.client import RetryPolicy
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.sandbox.records import event_queue as sandbox_queue
from intacct_provider.triggers import shared_client
from intacct_provider.triggers.events import IntacctEventQueueTrigger

queue_stream = pytest.importorskip(
    "intacct_provider.triggers.queue_stream", reason=NO_STREAMS, exc_type=ImportError
)

CUSTOMER = "accounts-receivable/customer"
VENDOR = "accounts-payable/vendor"
GROUP = "accounts-receivable/customer-group"
QUEUE = "/services/delivery/event"
#: A context that does not say what happened.
UNREADABLE = "not JSON"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Waits have their length for the sake of other processes, which these tests do not have."""
    monkeypatch.setattr(queue_stream, "GATHER", 0.02)
    monkeypatch.setattr(shared_client, "REJECTED", 0.02)
    monkeypatch.setattr(queue_stream, "next_wait", lambda *_, **_how: 0.02)
    impatient = partial(IntacctHook, retry=RetryPolicy(attempts=2, base=0.01))
    monkeypatch.setattr(
        shared_client, "make_hook", lambda conn_id, entity_id: impatient(conn_id, entity_id=entity_id)
    )


@pytest.fixture
def sandbox(monkeypatch):
    with running() as company:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        yield company


def keys(events):
    return [event["key"] for event in events]


def acks(sandbox):
    return calls(sandbox, f"{QUEUE}/ack")


def lists(sandbox):
    return calls(sandbox, f"{QUEUE}/list")


def watch(*objects, **how):
    return IntacctEventQueueTrigger(object_name=list(objects) or None, **{"check_interval": 1, **how})


def test_an_event_says_what_happened(sandbox):
    async def run():
        async with triggerer(watch()) as runner:
            await until(lambda: runner.events[0])
            return runner.events[0]

    sandbox.events.add_trigger(CUSTOMER)
    [key] = sandbox.seed(CUSTOMER, [{"id": "C-1", "name": "Acme"}])
    [event] = asyncio.run(run())
    assert event.pop("event_id")
    assert event == {"object": "customer", "action": "create", "key": key, "id": "C-1", "known": True}


def test_nothing_is_acknowledged_before_it_is_stored(sandbox):
    async def run():
        async with triggerer(watch(CUSTOMER)) as runner:
            runner.storing = False
            await until(lambda: keys(runner.events[0]) == ["1", "2"])
            await asyncio.sleep(0.2)
            assert acks(sandbox) == []
            assert sandbox.events.count() == 2
            runner.store()
            await until(lambda: sandbox.events.count() == 0)
            await until(lambda: len(lists(sandbox)) > 4)
            assert keys(runner.events[0]) == ["1", "2"]
        assert len(acks(sandbox)) == 1

    for key in "12":
        sandbox.events.fire(CUSTOMER, "create", key=key)
    asyncio.run(run())


def test_a_triggerer_that_ends_before_they_are_stored_delivers_them_again(sandbox):
    async def run(*, storing):
        async with triggerer(watch(CUSTOMER)) as runner:
            runner.storing = storing
            await until(lambda: runner.events[0])
            if storing:
                await until(lambda: sandbox.events.count() == 0)
            return runner.events[0]

    sandbox.events.fire(CUSTOMER, "create", key="1")
    first = asyncio.run(run(storing=False))
    assert sandbox.events.count() == 1
    assert asyncio.run(run(storing=True)) == first


def test_watchers_get_what_they_want_for_the_cost_of_one(sandbox):
    watchers = [
        watch(CUSTOMER),
        watch(VENDOR),
        watch(actions="delete"),
        watch(CUSTOMER, VENDOR, actions="update"),
    ]

    async def run():
        async with triggerer(*watchers) as runner:
            await until(lambda: sandbox.events.count() == 0)
            return runner.events

    for n, (name, action) in enumerate(
        [(CUSTOMER, "create"), (VENDOR, "update"), (CUSTOMER, "update"), (VENDOR, "delete")]
    ):
        sandbox.events.fire(name, action, key=str(n))
    events = asyncio.run(run())
    assert {number: keys(found) for number, found in events.items()} == {
        0: ["0", "2"], 1: ["1", "3"], 2: ["3"], 3: ["1", "2"],
    }  # fmt: skip
    assert {event["object"] for event in events[0]} == {CUSTOMER}
    assert len(acks(sandbox)) == 1


def test_200_watchers_cost_as_many_calls_as_one(sandbox, monkeypatch):
    monkeypatch.setattr(queue_stream, "next_wait", lambda *_, **_how: 3600)

    async def run(count):
        before, listed = len(sandbox.requests), len(lists(sandbox))
        watchers = [watch(CUSTOMER, check_interval=n + 1) for n in range(count)]
        sandbox.events.fire(CUSTOMER, "create", key="1")
        async with triggerer(*watchers) as runner:
            await until(lambda: sandbox.events.count() == 0)
            await until(lambda: len(lists(sandbox)) == listed + 2 and sandbox.requests[-1].status)
            assert [len(found) for found in runner.events.values()] == [1] * count
        return [call.path for call in sandbox.requests[before:] if "oauth2" not in call.path]

    assert (
        asyncio.run(run(1))
        == asyncio.run(run(200))
        == [f"{QUEUE}/{what}" for what in ("list", "ack", "list")]
    )


def test_an_event_that_does_not_say_what_it_is_reaches_all_that_it_may_be_for(sandbox):
    async def run():
        async with triggerer(
            watch(CUSTOMER, actions="create"), watch(VENDOR), watch(actions="delete")
        ) as runner:
            await until(lambda: sandbox.events.count() == 0)
            return runner.events

    sandbox.events.fire("?", "?", context=UNREADABLE)
    sandbox.events.fire("?", "?", context={"object": "vendor", "event": "after_void", "key": "7"})
    sandbox.events.fire("?", "?", context={"event": "after_create", "key": "8"})
    events = asyncio.run(run())
    assert {number: keys(found) for number, found in events.items()} == {
        0: [None, "8"], 1: [None, "7", "8"], 2: [None, "7"],
    }  # fmt: skip
    assert not any(event["known"] for found in events.values() for event in found)


def test_what_no_watcher_wants_is_kept_then_logged_and_acknowledged(sandbox, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger=queue_stream.__name__)
    now = [0.0]
    monkeypatch.setattr(queue_stream, "monotonic", lambda: now[0])

    async def run():
        async with triggerer(watch(CUSTOMER)) as runner:
            await until(lambda: len(lists(sandbox)) > 5)
            assert keys(runner.events[0]) == ["1"], "each event once, though it is listed again"
            assert sandbox.events.count() == 2
            now[0] = queue_stream.HOLD
            await until(lambda: sandbox.events.count() == 0)
            # Nobody came for an event of this kind, so the next one keeps no other from being acknowledged.
            sandbox.events.fire(VENDOR, "create", key="3")
            await until(lambda: sandbox.events.count() == 0)

    sandbox.events.fire(CUSTOMER, "create", key="1")
    event = sandbox.events.fire(VENDOR, "create", key="2")
    asyncio.run(run())
    kept, first, second = (record.getMessage() for record in caplog.records)
    assert kept == "Intacct: keeping 2 events for up to 600 s, since no watcher wants create of vendor."
    named = f"create of vendor, key 2, id None, event {event}"
    assert first == f"Intacct: acknowledging 1 events that no watcher wants: {named}."
    assert "key 3" in second


def test_a_watcher_that_comes_while_they_are_kept_gets_them(sandbox):
    async def run():
        async with triggerer(watch(CUSTOMER)) as runner:
            await until(lambda: len(lists(sandbox)) > 2)
            runner.start(watch(VENDOR), 1)
            await until(lambda: sandbox.events.count() == 0)
            return runner.events

    sandbox.events.fire(CUSTOMER, "create", key="1")
    sandbox.events.fire(VENDOR, "create", key="2")
    assert {number: keys(found) for number, found in asyncio.run(run()).items()} == {0: ["1"], 1: ["2"]}


def test_a_watcher_that_leaves_in_the_middle_of_a_list_gets_the_rest_when_it_is_back(sandbox, monkeypatch):
    monkeypatch.setattr("intacct_provider.triggers.queue_parts.PART", 2)

    async def run():
        async with triggerer(watch(CUSTOMER), watch(CUSTOMER, actions="create")) as runner:
            runner.storing = False
            await until(lambda: len(runner.events[1]) == 2)
            await runner.leave(1)
            runner.store()
            await until(lambda: len(runner.events[0]) == 6)
            seen = len(lists(sandbox))
            await until(lambda: len(lists(sandbox)) > seen + 3)
            assert acks(sandbox) == []
            runner.start(watch(CUSTOMER, actions="create"), 1)
            await until(lambda: sandbox.events.count() == 0)
            return runner.events

    for n in range(6):
        sandbox.events.fire(CUSTOMER, "create", key=str(n))
    events = asyncio.run(run())
    assert keys(events[0]) == list("012345")
    assert keys(events[1])[:2] == list("01")
    # Those that it finds in the queue first may be the last ones of the list.
    assert sorted(keys(events[1])[2:]) == list("012345")


def test_a_watcher_whose_events_are_not_stored_in_time_gets_them_again(sandbox):
    async def run():
        async with triggerer(watch(CUSTOMER), ack_timeout=0.2) as runner:
            runner.storing = False
            await until(lambda: runner.failures)
            assert acks(sandbox) == []
            runner.storing = True
            runner.start(watch(CUSTOMER), 0)
            await until(lambda: sandbox.events.count() == 0)
            return runner.events[0]

    sandbox.events.fire(CUSTOMER, "create", key="1")
    first, second = asyncio.run(run())
    assert first == second


def test_a_list_longer_than_airflows_queue_of_events(sandbox, monkeypatch):
    monkeypatch.setattr(sandbox_queue, "BATCH", 2500)

    async def run():
        async with triggerer(watch(CUSTOMER), max_subscriber_queue=16) as runner:
            await until(lambda: sandbox.events.count() == 0)
            return runner.events[0]

    with sandbox.store.transaction():
        for n in range(2500):
            sandbox.events.fire(CUSTOMER, "update", key=str(n))
    assert keys(asyncio.run(run())) == [str(n) for n in range(2500)]
    assert len(acks(sandbox)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 401},
        {"status": 403},
        {"status": 404},
        {"kind": "html"},
        {"kind": "reset"},
        {"kind": "after"},
        {"body": b'{"ia::result": 7}'},
        {"body": b'{"ia::result": {"events": [{}]}}'},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["list", "ack"])
def test_nothing_ends_it_and_nothing_is_lost(sandbox, path, fault):
    async def run():
        async with triggerer(watch(CUSTOMER)) as runner:
            await until(lambda: len(lists(sandbox)) > 1)
            sandbox.fail(
                path=f"{QUEUE}/{path}", times=7, **{"status": 200, **fault} if "body" in fault else fault
            )
            for n in range(3):
                sandbox.events.fire(CUSTOMER, "create", key=str(n))
            await until(lambda: sandbox.events.count() == 0)
            await until(lambda: len(runner.events[0]) == 3)
            assert runner.failures == {}
            return runner.events[0]

    assert keys(asyncio.run(run())) == ["0", "1", "2"]


@pytest.mark.parametrize("path", ["list", "ack"])
def test_a_pause_that_intacct_asks_for_is_kept_once(sandbox, monkeypatch, path):
    asked = []

    def next_wait(*_args, **how):
        asked.append(how["asked"])
        return 0.02

    async def run():
        async with triggerer(watch(CUSTOMER)):
            await until(lambda: sandbox.events.count() == 0)
            await until(lambda: len(asked) > 2)

    monkeypatch.setattr(queue_stream, "next_wait", next_wait)
    # More than a request waits, so it is sent once.
    sandbox.fail(path=f"{QUEUE}/{path}", times=1, status=429, headers={"Retry-After": "600"})
    sandbox.events.fire(CUSTOMER, "create", key="1")
    asyncio.run(run())
    assert asked[:2] == [600.0, None]


def test_wrong_credentials_do_not_end_it(sandbox, monkeypatch):
    right = sandbox.connection()
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", right.replace(sandbox.identity.client_secret, "wrong"))

    async def run():
        async with triggerer(watch(CUSTOMER)) as runner:
            await until(lambda: len(calls(sandbox, "/oauth2/token")) > 2)
            monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", right)
            await until(lambda: runner.events[0])
            assert runner.failures == {}

    sandbox.events.fire(CUSTOMER, "create", key="1")
    asyncio.run(run())


def test_what_the_document_template_made_is_added_on_request(sandbox):
    async def run():
        async with triggerer(watch(), watch(include_payload=True)) as runner:
            await until(lambda: runner.events[0] and runner.events[1])
            return runner.events

    sandbox.events.fire(CUSTOMER, "create", key="1")
    events = asyncio.run(run())
    assert "payload" not in events[0][0]
    assert events[1][0]["payload"] == '{"key":"1"}'


def test_it_logs_what_it_costs(sandbox, caplog):
    caplog.set_level(logging.INFO, logger=queue_stream.__name__)

    async def run():
        async with triggerer(IntacctEventQueueTrigger(), IntacctEventQueueTrigger(check_interval=600)):
            await until(lambda: lists(sandbox))

    asyncio.run(run())
    assert "reading the event queue, every 300 s: 288 a day, 8.6 % of tier 1" in caplog.text


def test_an_airflow_that_does_not_say_what_is_stored_is_refused(monkeypatch):
    monkeypatch.delattr(BaseEventTrigger, "create_shared_stream_producer")
    with pytest.raises(IntacctArgumentError, match=r"Airflow 3\.3.*IntacctChangeTrigger"):
        IntacctEventQueueTrigger()
