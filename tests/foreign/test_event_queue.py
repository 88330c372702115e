"""Event queues that contradict the sandbox in everything that Sage does not document: the trigger loses nothing."""

from __future__ import annotations

import asyncio
import base64
import json
from itertools import count

import pytest
from airflow_parts import NO_STREAMS
from raw_server import SECRET, raw_server, response
from stream_runner import triggerer, until

from intacct_provider.triggers.events import IntacctEventQueueTrigger

queue_stream = pytest.importorskip(
    "intacct_provider.triggers.queue_stream", reason=NO_STREAMS, exc_type=ImportError
)


def encode(content):
    return base64.b64encode(json.dumps(content).encode()).decode()


def as_sage_writes_webhooks(n):
    """Upper-case names, the name of the XML API beside that of the REST API, an id and no key."""
    context = {
        "OBJECTNAME": "CUSTOMER",
        "RESTOBJECTNAME": "accounts-receivable/customer",
        "EVENT": "after_create",
        "ID": n,
    }
    return {"eventId": f"e{n}", "clientContext": encode(context), "payload": encode({"key": str(n)})}


def with_everything_elsewhere(n):
    """A context under another name, a number for a key, and a payload that is not JSON."""
    context = {"object": "customer", "event": "After.Create", "recordNo": n}
    return {"eventId": n, "context": encode(context), "payload": base64.b64encode(b"<xml/>").decode()}


def as_in_the_published_example(n):
    """A context that is not valid JSON, broken over lines in base64 as in mails."""
    context = f'{{ "object" : "customer", "event" : "after.create", "key" : "{n}" : "id" : "C{n}" }}'
    lines = base64.encodebytes(context.encode()).decode()
    return {"eventId": f"e{n}", "clientContext": lines, "contentType": "text/plain"}


class Queue:
    """A queue with five events.

    :param size: events of a list.
    :param fixed: whether a list keeps its ``ackId`` until it is acknowledged; else each has a new one.
    :param deaf: how many acknowledgements are confirmed and have no effect.
    """

    def __init__(self, write, size=2, *, fixed=True, deaf=0, confirm=None):
        self.events = [write(n) for n in range(1, 6)]
        self.size, self.fixed, self.deaf, self.confirm = size, fixed, deaf, confirm
        self.acknowledged, self.lists = [], 0
        self._ids, self._open = count(1), {}

    def answer(self, head, body):
        if "/list " in head:
            self.lists += 1
            return response({"ia::result": self._list()})
        return self._acknowledge(json.loads(body)["ackId"])

    def _list(self):
        if not self.events:
            return []
        if not (self.fixed and self._open):
            self._open[str(next(self._ids))] = self.events[: self.size]
        ack_id = next(reversed(self._open))
        return {"events": self._open[ack_id], "ackId": ack_id}

    def _acknowledge(self, ack_id):
        if self.deaf:
            self.deaf -= 1
        elif ack_id in self._open:
            gone = self._open.pop(ack_id)
            self.events = [event for event in self.events if event not in gone]
            self.acknowledged += gone
        else:
            return response({"ia::error": {"code": "notFound", "message": "unknown"}}, 404)
        return response(self.confirm or {"ia::result": {"ackId": ack_id, "status": "success"}})


def watch(queue, monkeypatch):
    """Return what a watcher sends until the queue is empty."""
    monkeypatch.setattr(queue_stream, "GATHER", 0.01)
    waits = []

    def wait(_interval, failures, **_how):
        waits.append(failures)
        return 0.02

    monkeypatch.setattr(queue_stream, "next_wait", wait)

    async def run():
        async with triggerer(IntacctEventQueueTrigger(object_name="accounts-receivable/customer")) as runner:
            await until(lambda: not queue.events)
            seen = queue.lists
            await until(lambda: queue.lists > seen + 1)
            assert runner.failures == {}
            return runner.events[0]

    with raw_server(queue.answer) as server:
        connection = {
            "conn_type": "intacct",
            "host": server.url,
            "login": "client",
            "password": SECRET,
            "extra": {"company_id": "C", "user_id": "U"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        return asyncio.run(run()), waits


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    ("write", "id_"),
    [(as_sage_writes_webhooks, "1"), (with_everything_elsewhere, None), (as_in_the_published_example, "C1")],
)
def test_each_event_is_read_however_it_is_written(write, id_, size, monkeypatch):
    events, _ = watch(Queue(write, size), monkeypatch)
    assert [event["key"] for event in events] == list("12345")
    assert events[0] == {
        "event_id": events[0]["event_id"],
        "object": "accounts-receivable/customer",
        "action": "create",
        "key": "1",
        "id": id_,
        "known": True,
    }


def test_a_queue_that_gives_each_list_another_id(monkeypatch):
    events, _ = watch(Queue(as_in_the_published_example, fixed=False), monkeypatch)
    assert [event["key"] for event in events] == list("12345")


@pytest.mark.parametrize("ack_id", [1, None])
def test_a_confirmation_that_names_the_list_in_another_way_is_one(ack_id, monkeypatch):
    queue = Queue(
        as_in_the_published_example, 5, confirm={"ia::result": {"ackId": ack_id, "status": "success"}}
    )
    events, waits = watch(queue, monkeypatch)
    assert [event["key"] for event in events] == list("12345")
    assert max(waits) == 0


def test_a_queue_that_lists_acknowledged_events_again_is_asked_ever_later(monkeypatch):
    events, waits = watch(Queue(as_in_the_published_example, deaf=4), monkeypatch)
    assert [event["key"] for event in events] == list("12345")
    assert max(waits) >= 3


@pytest.mark.parametrize(
    "confirm", [{"ia::result": {"status": "failed"}}, {"ia::result": {"ackId": "other"}}, {}]
)
def test_an_acknowledgement_that_is_not_confirmed_is_made_again(confirm, monkeypatch):
    events, _ = watch(Queue(as_in_the_published_example, confirm=confirm), monkeypatch)
    assert [event["key"] for event in events] == list("12345")
