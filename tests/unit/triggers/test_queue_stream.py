"""Whatever happens to the queue and to the triggerer: nothing is acknowledged before it is stored, and nothing is lost.

The queue is in this process and nothing waits for a clock, so the same steps always have the same course.
"""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from airflow_parts import NO_STREAMS
from hypothesis import given
from hypothesis import strategies as st
from stream_runner import StreamRunner

from intacct_provider.client import EventBatch, QueuedEvent
from intacct_provider.exceptions import IntacctConnectionError, IntacctNotFoundError
from intacct_provider.triggers import queue_parts
from intacct_provider.triggers.events import IntacctEventQueueTrigger

queue_stream = pytest.importorskip(
    "intacct_provider.triggers.queue_stream", reason=NO_STREAMS, exc_type=ImportError
)

#: What each watcher wants.
WATCHED = {0: {"customer"}, 1: {"customer", "vendor"}, 2: {"vendor"}}
SIZE = 3


class Queue:
    """A queue that knows what is stored, and fails on request.

    :ivar early: what was acknowledged before every watcher had it.
    """

    def __init__(self):
        self.events, self.open, self.fired = [], None, []
        self.failures, self.early, self.stored = [], [], set()

    def fire(self, object_name):
        event = QueuedEvent(f"e{len(self.fired)}", object_name, "create", str(len(self.fired)))
        self.fired.append(event)
        self.events.append(event)

    def list_events(self):
        self._fail("list")
        if self.open is None and self.events:
            self.open = EventBatch(tuple(self.events[:SIZE]), self.events[0].id)
        return self.open or EventBatch()

    def acknowledge_events(self, ack_id):
        self._fail("ack")
        if self.open is None or self.open.ack_id != ack_id:
            raise IntacctNotFoundError("unknown", status=404)
        for event in self.open.events:
            self.early += [(n, event.id) for n in wanting(event) if (n, event.id) not in self.stored]
        del self.events[: len(self.open.events)]
        self.open = None
        self._fail("answer")

    def _fail(self, where):
        if where in self.failures:
            self.failures.remove(where)
            raise IntacctConnectionError(where)


def wanting(event):
    return [n for n, objects in WATCHED.items() if event.object_name in objects]


class StoringRunner(StreamRunner):
    """A triggerer whose database outlives it."""

    def note(self, queue):
        """Record what is stored by now."""
        queue.stored |= {(n, event["event_id"]) for n, found in self.events.items() for event in found}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(queue_stream, "GATHER", 0)
    monkeypatch.setattr(queue_stream, "next_wait", lambda *_, **_how: 0)
    monkeypatch.setattr(queue_stream, "monotonic", lambda: 0.0)
    monkeypatch.setattr(queue_parts, "PART", 2)


class Play:
    """What happens to a queue, step by step."""

    def __init__(self, queue):
        self.queue = queue
        self.runner = StoringRunner()

    async def run(self, steps):
        """Let it happen, then everything be stored."""
        await self.kill()
        for step, times in steps:
            await self.take(step)
            await self.tick(times)
        self.store()
        self.queue.failures.clear()
        for _ in range(100):
            await self.tick(20)
            if not self.queue.events:
                break
        assert self.runner.failures == {}
        await self.runner.stop()

    async def take(self, step):
        if step in ("customer", "vendor"):
            self.queue.fire(step)
        elif step == "kill":
            await self.kill()
        elif step == "pause":
            self.runner.storing = False
        elif step == "store":
            self.store()
        else:
            self.queue.failures.append(step)

    async def kill(self):
        await self.runner.stop()
        self.runner = StoringRunner()
        for n, objects in WATCHED.items():
            self.runner.start(IntacctEventQueueTrigger(object_name=sorted(objects)), n)

    def store(self):
        self.runner.note(self.queue)
        self.runner.store()

    async def tick(self, times):
        for _ in range(times):
            await asyncio.sleep(0)
            if self.runner.storing:
                self.runner.note(self.queue)


def share_with(queue):
    """Return what gives the stream this queue instead of a client."""

    @asynccontextmanager
    async def share_client(_conn_id):
        async def ask(question):
            await asyncio.sleep(0)
            return question(queue)

        yield ask

    return share_client


STEPS = st.tuples(
    st.sampled_from(["customer", "vendor", "customer", "kill", "pause", "store", "list", "ack", "answer"]),
    st.integers(0, 25),
)


@given(st.lists(STEPS, max_size=14))
def test_nothing_is_acknowledged_before_it_is_stored_and_nothing_is_lost(steps):
    queue = Queue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_stream, "share_client", share_with(queue))
        asyncio.run(Play(queue).run(steps))
    assert queue.early == []
    assert queue.events == []
    assert queue.stored >= {(n, event.id) for event in queue.fired for n in wanting(event)}


def test_the_queue_is_read_when_no_watcher_has_come_for_ten_seconds(monkeypatch):
    now, watchers = [0.0], set()
    coming = {0.0: "customer", 0.5: "vendor", 7.0: "item"}

    async def sleep(seconds):
        now[0] += seconds
        watchers.update(
            IntacctEventQueueTrigger(object_name=coming.pop(at)) for at in [*coming] if at <= now[0]
        )

    monkeypatch.setattr(queue_stream, "GATHER", 10)
    monkeypatch.setattr(queue_stream, "asyncio", SimpleNamespace(sleep=sleep))
    asyncio.run(queue_stream.EventQueueStream("intacct_default", 300.0, watchers)._gather())
    assert 17 <= now[0] <= 18


@pytest.fixture
def play(monkeypatch):
    """Return a play on a queue that the stream reads."""
    queue = Queue()

    monkeypatch.setattr(queue_stream, "share_client", share_with(queue))
    return Play(queue)


UPDATE = QueuedEvent("content-5", "customer", "update", "12")
REUSED = [QueuedEvent("e", "customer", action, "12") for action in ("update", "delete")]


@pytest.mark.parametrize("size", [1, 2], ids=["two lists", "one list"])
@pytest.mark.parametrize("events", [[UPDATE, UPDATE], REUSED], ids=["no id", "an id that comes again"])
def test_events_that_look_like_earlier_ones_are_passed_on(play, monkeypatch, events, size):
    monkeypatch.setitem(globals(), "SIZE", size)
    play.queue.events = [*events]

    async def run():
        play.runner.start(IntacctEventQueueTrigger(object_name="customer"), 0)
        await play.tick(200)
        await play.runner.stop()

    asyncio.run(run())
    assert [event["action"] for event in play.runner.events[0]] == [event.action for event in events]
    assert play.queue.events == []


def test_a_watcher_that_is_replaced_gets_what_the_one_before_has_not_seen_acknowledged(play):
    play.queue.fire("vendor")

    async def run():
        runner = play.runner
        runner.storing = False
        runner.start(IntacctEventQueueTrigger(object_name="customer", actions="delete"), 0)
        runner.start(IntacctEventQueueTrigger(object_name=["customer", "vendor"]), 1)
        runner.start(IntacctEventQueueTrigger(object_name="vendor"), 2)
        await play.tick(100)
        await runner.leave(2)
        runner.store()
        await play.tick(10)
        runner.start(IntacctEventQueueTrigger(object_name="vendor", actions="create"), 3)
        await play.tick(200)
        await runner.stop()
        return runner.events

    events = asyncio.run(run())
    assert [event["key"] for event in events[3]] == ["0"]
    assert play.queue.events == []
