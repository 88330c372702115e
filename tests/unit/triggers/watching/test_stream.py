"""The stream of polls: when the next one comes, from which time on, and for whom."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from small_watch import NOON, SECOND, SmallAirflow, SmallCompany, text

from intacct_provider.exceptions import IntacctConnectionError
from intacct_provider.triggers.watching import stream as module
from intacct_provider.triggers.watching.cursor import Cursor
from intacct_provider.triggers.watching.stream import PollStream, find_oldest


@pytest.fixture
def company():
    return SmallCompany()


@pytest.fixture
def waits(monkeypatch):
    """Let no time pass; return the waits that there would be."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    return waits


def make_stream(monkeypatch, ask):
    """Return a stream whose questions go to ``ask``, and a watcher that asks for a poll every minute."""

    @asynccontextmanager
    async def share(_conn_id, _entity_id):
        yield ask

    monkeypatch.setattr(module, "share_client", share)
    airflow = SmallAirflow(SmallCompany())
    asyncio.run(airflow.start())
    airflow.watcher.check_interval = 60.0
    return PollStream("intacct_default", None, airflow.watched), airflow.watcher


def take(stream, group, number):
    """Return the first polls of a stream."""

    async def run():
        polls = stream.polls(group)
        found = [await anext(polls) for _ in range(number)]
        await polls.aclose()
        return found

    return asyncio.run(run())


def test_failed_polls_are_logged_and_come_ever_later_until_one_succeeds(company, waits, monkeypatch, caplog):
    fails = iter([True] * 6 + [False, True, False])

    async def ask(question):
        if next(fails):
            raise IntacctConnectionError("Intacct could not be reached.")
        return question(company)

    stream, watcher = make_stream(monkeypatch, ask)
    with caplog.at_level(logging.INFO):
        take(stream, {watcher}, 2)
    assert waits == [6.0, 120, 240, 480, 900, 900, 900, 60, 120]
    lines = [line for line in caplog.text.splitlines() if "could not be read" in line]
    assert "(6 in a row): IntacctConnectionError: Intacct could not be reached." in lines[5]
    assert "Next poll in 900 s, at " in lines[5]
    assert "every 60 s: 1,440 a day, 43.2 % of tier 1" in caplog.text


def test_whatever_fails_does_not_end_the_stream(company, waits, monkeypatch, caplog):
    errors = iter([ValueError("a bug"), OSError("no connection of that id"), None])

    async def ask(question):
        if error := next(errors):
            raise error
        return question(company)

    stream, watcher = make_stream(monkeypatch, ask)
    take(stream, {watcher}, 1)
    assert "ValueError: a bug" in caplog.text


def test_the_shortest_interval_and_the_oldest_cursor_of_a_group_count(company, waits, monkeypatch):
    async def ask(question):
        return question(company)

    stream, watcher = make_stream(monkeypatch, ask)
    _, other = make_stream(monkeypatch, ask)
    watcher.cursor, other.cursor = (Cursor(text(NOON), text(NOON - n * SECOND)) for n in (0, 5))
    other.check_interval = 30.0
    [poll, _] = take(stream, {watcher, other}, 2)
    assert poll.floor == text(NOON - 5 * SECOND)
    assert waits == [6.0, 30]
    assert find_oldest(set()) is None


def test_nobody_in_the_group_means_no_poll(company, waits, monkeypatch):
    async def ask(question):
        return question(company)

    stream, watcher = make_stream(monkeypatch, ask)
    group = set()
    joined = iter([False, False, True])

    async def sleep(seconds):
        waits.append(seconds)
        if next(joined):
            group.add(watcher)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    take(stream, group, 1)
    assert waits == [6.0, 1.0, 1.0]


def test_a_watcher_with_a_longer_interval_passes_over_polls_of_others(company):
    airflow = SmallAirflow(company)

    async def run():
        await airflow.start()
        airflow.watcher.check_interval = 100
        taken = []
        for moment in (0, 50, 89, 91, 100, 181.5):
            poll = airflow.watched.read(company, text(NOON))
            poll.read_at = moment
            await airflow.watcher.take(poll)
            taken.append(airflow.watcher._taken == moment)
        return taken

    assert asyncio.run(run()) == [True, False, False, True, False, True]
