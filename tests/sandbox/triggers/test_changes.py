"""Watches over HTTP: what polls cost, what they see of a company that changes, and one poll for 200 watchers."""

import asyncio
import datetime as dt
import logging
from collections import Counter

import pytest
from sandbox_client import QUERY, InterruptedClient, calls, client_of, running
from small_watch import SmallAirflow, SmallStore
from stream_runner import triggerer, until

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.triggers import intervals
from intacct_provider.triggers.changes import IntacctChangeTrigger
from intacct_provider.triggers.watching import stream
from intacct_provider.triggers.watching.poll import WatchedObject

PURPOSE = "general-ledger/account-group-purpose"
MODIFIED = "audit.modifiedDateTime"
BEGINNING = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)
PAGE = 10


class Clock:
    """The server's time, which passes when a test says so."""

    now = BEGINNING

    def __call__(self):
        return self.now

    def later(self, **by):
        self.now += dt.timedelta(**by)


class CompanyAirflow(SmallAirflow):
    """Watches a sandbox.

    :param query: of what is watched.
    """

    def __init__(self, client, query, **more):
        super().__init__(client, **more)
        self.watched = WatchedObject(query, MODIFIED, dt.timedelta(hours=2))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock):
    with running(f"{PURPOSE}=40", clock=clock) as company:
        yield company


@pytest.fixture
def client(sandbox):
    with client_of(sandbox, page_size=PAGE) as ours:
        yield ours


@pytest.fixture
def airflow(client):
    return CompanyAirflow(client, Query.build(PURPOSE, ["key", MODIFIED]))


def change(client, *keys, status="inactive"):
    for key in keys:
        client.update(PURPOSE, str(key), {"status": status})


def poll(airflow, times=1):
    """Poll; return what is in the events that were sent."""
    before = len(airflow.events)

    async def repeat():
        for _ in range(times):
            await airflow.poll()

    asyncio.run(repeat())
    return [key for event in airflow.events[before:] for key in event["keys"]]


# --- what a poll costs and sees


def test_a_quiet_poll_is_one_call_and_the_beginning_three(airflow, sandbox, client):
    client.query(PURPOSE, ["key"], size=1)
    before = len(calls(sandbox))
    poll(airflow)
    assert len(calls(sandbox)) - before == 3
    poll(airflow, 5)
    assert len(calls(sandbox)) - before == 8


def test_a_poll_of_many_changes_is_a_call_for_each_page(airflow, sandbox, client, clock):
    poll(airflow)
    clock.later(seconds=5)
    change(client, *range(1, 36))
    clock.later(seconds=2)
    before = len(calls(sandbox, QUERY))
    assert len(poll(airflow)) == 35
    assert len(calls(sandbox, QUERY)) - before == 5


def test_the_window_of_an_event_finds_its_records(airflow, client, clock):
    poll(airflow)
    clock.later(seconds=5)
    change(client, 3, 5)
    clock.later(minutes=5)
    assert poll(airflow) == ["3", "5"]
    clock.later(seconds=1)
    change(client, 7)
    [event] = airflow.events
    stamp = field(event["field"])
    rows = client.iter_rows(
        event["object"], ["key"], filters=(stamp >= event["lower"]) & (stamp <= event["upper"])
    )
    assert [row["key"] for row in rows] == event["keys"]


def test_records_with_the_same_timestamp_are_each_reported_once(airflow, client, clock):
    poll(airflow)
    clock.later(seconds=5)
    change(client, *range(1, 26))
    # The second is not over.
    assert poll(airflow) == []
    change(client, *range(26, 31))
    clock.later(seconds=2)
    assert Counter(poll(airflow, 3)) == Counter(map(str, range(1, 31)))


def test_a_change_that_appears_later_than_others_with_later_timestamps_is_reported(
    airflow, sandbox, client, clock
):
    poll(airflow)
    clock.later(hours=1)
    change(client, 1)
    clock.later(seconds=2)
    assert poll(airflow) == ["1"]
    began = (clock.now - dt.timedelta(minutes=50)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with sandbox.store.transaction() as conn:
        conn.execute(f'UPDATE "{PURPOSE}" SET "{MODIFIED}" = ? WHERE "key" = 2', (began,))  # noqa: S608
    assert poll(airflow, 3) == ["2"]
    assert airflow.events[-1]["lower"] == began


def test_records_that_begin_to_match_are_reported_and_those_that_no_longer_do_are_not(client, clock):
    active = Query.build(PURPOSE, ["key", MODIFIED], filters=field("status") == "active")
    airflow = CompanyAirflow(client, active)
    poll(airflow)
    clock.later(seconds=5)
    change(client, 1, 2)
    clock.later(seconds=5)
    assert poll(airflow) == []
    change(client, 2, status="active")
    clock.later(seconds=2)
    assert poll(airflow, 2) == ["2"]


@pytest.mark.parametrize("filtered", [False, True])
def test_changes_while_a_poll_reads_are_in_some_event_and_no_record_is_twice_for_one_change(
    sandbox, clock, filtered
):
    """After every answer another record changes, and time passes; records enter and leave the filter."""
    order = iter([(7 * n) % 40 + 1 for n in range(60)])
    last = {}
    with client_of(sandbox) as writer:

        def go_on():
            if (key := next(order, None)) is not None:
                clock.later(seconds=1)
                status = "active" if len(last) % 2 else "inactive"
                change(writer, key, status=status)
                last[str(key)] = (status, clock.now.strftime("%Y-%m-%dT%H:%M:%SZ"))

        with InterruptedClient(sandbox, go_on, page_size=PAGE) as client:
            query = Query.build(
                PURPOSE, ["key", MODIFIED], filters=field("status") == "active" if filtered else None
            )
            airflow = CompanyAirflow(client, query)
            reported = poll(airflow, 30)
            clock.later(seconds=2)
            reported += poll(airflow, 2)
    expected = {key for key, (status, _) in last.items() if status == "active" or not filtered}
    assert expected <= set(reported)
    assert all(event["count"] == len(event["keys"]) for event in airflow.events)
    # The order has 60 changes, of which some fall into one poll: none is reported more often than it changed.
    often = Counter(str((7 * n) % 40 + 1) for n in range(60))
    assert all(count <= often[key] for key, count in Counter(reported).items())


# --- triggers in a triggerer


class Polls(list):
    """The polls so far, without a pause between them until a test wants one."""

    def __init__(self, read):
        self._read, self._wait, self.asked = read, 0.05, []

    def read(self, watched, client, floor):
        """Poll."""
        poll = self._read(watched, client, floor)
        self.append(poll)
        return poll

    def next_wait(self, *_args, asked=None):
        """Return the seconds until the next poll."""
        self.asked.append(asked)
        return self._wait

    async def pause(self):
        """Let no poll be in flight, nor begin."""
        self._wait = 3600
        before = len(self)
        await until(lambda: len(self) > before)

    def go_on(self):
        """Begin again from no polls."""
        self._wait = 0.05
        self.clear()


@pytest.fixture
def quick(monkeypatch, sandbox):
    """Let triggers poll without a pause; return the polls."""
    polls = Polls(WatchedObject.read)
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    monkeypatch.setattr(intervals, "MIN_INTERVAL", 0.01)
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.3)
    monkeypatch.setattr(stream, "next_wait", polls.next_wait)
    monkeypatch.setattr(WatchedObject, "read", lambda *args: polls.read(*args))
    return polls


def watch(triggers, stores, act, *, storing=True):
    """Run triggers in a triggerer while something happens; return the events of each.

    :param storing: whether events are stored before the end, which is sudden.
    """

    async def run():
        for trigger, store in zip(triggers, stores, strict=True):
            trigger.asset_state_store = store
        async with triggerer(*triggers) as runner:
            runner.storing = storing
            await act(runner.events)
            return runner.events

    return asyncio.run(run())


@pytest.mark.slow
def test_two_hundred_watchers_cost_as_many_calls_as_one(sandbox, client, clock, quick):
    """They differ in what they may; equal ones are one trigger for Airflow."""
    costs = []
    for number, keys in ((1, [1, 2, 3]), (200, [4, 5, 6])):
        triggers = [
            IntacctChangeTrigger(PURPOSE, max_keys=n, check_interval=0.01) for n in range(1, number + 1)
        ]
        quick.go_on()
        before = len(calls(sandbox, QUERY))

        async def change_three(events, keys=keys):
            await until(lambda: len(quick) > 2)
            await asyncio.to_thread(change, client, *keys)
            clock.later(seconds=2)
            await until(lambda: all(events.values()))
            await quick.pause()

        events = watch(triggers, [SmallStore() for _ in triggers], change_three)
        assert {len(one) for one in events.values()} == {1}
        assert all(event["keys"] == list(map(str, keys))[: n + 1] for n, [event] in events.items())
        assert len({(one["lower"], one["upper"], one["count"]) for [one] in events.values()}) == 1
        costs.append(len(calls(sandbox, QUERY)) - before - len(quick))
    assert costs == [1, 1], "the latest change, besides one for each poll"


def test_equal_watchers_are_one_trigger_for_airflow():
    one, other = (IntacctChangeTrigger(PURPOSE, filters=field("status") == "active") for _ in range(2))
    assert one.serialize() == other.serialize()
    assert one.hash(*one.serialize()) == other.hash(*other.serialize())


def test_nothing_ends_a_watch_and_the_log_says_what_and_when_next(sandbox, client, clock, quick, caplog):
    async def break_and_change(events):
        await until(lambda: quick)
        for fault in ({"status": 403}, {"status": 400}):
            sandbox.fail(path=QUERY, times=2, **fault)
        await until(lambda: caplog.text.count("could not be read") >= 2)
        sandbox.clear_faults()
        await asyncio.to_thread(change, client, 1)
        clock.later(seconds=2)
        await until(lambda: events[0])

    with caplog.at_level(logging.INFO):
        events = watch([IntacctChangeTrigger(PURPOSE, check_interval=0.01)], [SmallStore()], break_and_change)
    assert [event["keys"] for event in events[0]] == [["1"]]
    assert "Next poll in" in caplog.text


def test_a_pause_that_intacct_asks_for_is_kept_once(sandbox, quick):
    async def act(_events):
        await until(lambda: len(quick) > 1)

    # More than a request waits, so it is sent once.
    sandbox.fail(path=QUERY, status=429, headers={"Retry-After": "600"})
    watch([IntacctChangeTrigger(PURPOSE, check_interval=0.01)], [SmallStore()], act)
    assert quick.asked[:2] == [600.0, None]


def test_a_watch_of_an_unknown_field_says_so_in_the_log(sandbox, quick, caplog):
    trigger = IntacctChangeTrigger(PURPOSE, modified_field="audit.changed", check_interval=0.01)

    async def wait(_events):
        await until(lambda: "audit.modifiedDateTime" in caplog.text)

    assert watch([trigger], [SmallStore()], wait) == {0: []}


def test_what_changes_between_two_triggerers_is_in_the_first_event_of_the_second(
    sandbox, client, clock, quick
):
    trigger, store = IntacctChangeTrigger(PURPOSE, fields=["id"], check_interval=0.01), SmallStore()

    async def begin(_events):
        await until(lambda: store.kept)

    assert watch([trigger], [store], begin) == {0: []}
    change(client, *range(1, 31))
    clock.later(hours=5)

    async def wait(events):
        await until(lambda: events[0])

    [event] = watch([trigger], [store], wait)[0]
    assert event["count"] == 30
    assert [one["key"] for one in event["records"]] == event["keys"]
    assert {*event["records"][0]} == {"key", "id", MODIFIED}


def test_an_event_that_a_killed_triggerer_did_not_store_is_the_same_after_the_restart(
    sandbox, client, clock, quick
):
    trigger, store = IntacctChangeTrigger(PURPOSE, check_interval=0.01), SmallStore()

    async def change_and_die(events):
        await until(lambda: store.kept)
        await asyncio.to_thread(change, client, 1)
        clock.later(seconds=2)
        await until(lambda: events[0])

    [lost] = watch([trigger], [store], change_and_die, storing=False)[0]
    change(client, 2)
    clock.later(seconds=2)

    async def wait(events):
        await until(lambda: len(events[0]) == 2)

    first, second = watch([trigger], [store], wait)[0]
    assert first == lost
    assert (first["keys"], second["keys"]) == (["1"], ["2"])


def test_without_shared_streams_each_watcher_polls_and_its_event_is_kept_until_it_must_be_stored(
    sandbox, client, clock, quick, monkeypatch
):
    monkeypatch.setattr("intacct_provider.triggers.changes.STORED_AFTER", 0.2)
    monkeypatch.delattr("airflow.triggers.base.BaseEventTrigger.create_shared_stream_producer")
    trigger, store = IntacctChangeTrigger(PURPOSE, check_interval=0.01), SmallStore()
    assert trigger.shared_stream_key() is None
    trigger.asset_state_store = store

    async def run():
        events = trigger.run()
        following = asyncio.ensure_future(anext(events))
        await until(lambda: store.kept)
        await asyncio.to_thread(change, client, 1)
        clock.later(seconds=2)
        event = await asyncio.wait_for(following, 20)
        assert '"pending":{' in store.kept[trigger.state_name]
        following = asyncio.ensure_future(anext(events))
        await until(lambda: '"pending":{' not in store.kept[trigger.state_name])
        following.cancel()
        return event.payload

    assert asyncio.run(run())["keys"] == ["1"]
