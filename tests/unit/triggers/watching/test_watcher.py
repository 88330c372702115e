"""Watchers: each change is in an event, in one unless a death explains more, and events are the same after it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_watch import MODIFIED, NOON, SECOND, SmallAirflow, SmallCompany, SmallStore, text

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.watching.cursor import Cursor, format_stamp, unpack
from intacct_provider.triggers.watching.poll import Change, Poll

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def company():
    return SmallCompany()


@pytest.fixture
def airflow(company):
    return SmallAirflow(company)


def run(*polls):
    """Run polls one after the other; return what they return."""

    async def run_all():
        return [await poll() if callable(poll) else await poll for poll in polls]

    return asyncio.run(run_all())


def test_what_was_there_before_makes_no_event_and_what_changes_then_makes_one(company, airflow):
    company.change(1)
    company.now += HOUR
    run(airflow.poll())
    company.now += 10 * SECOND
    company.change(2)
    company.now += 2 * SECOND
    company.change(3)
    company.now += 10 * SECOND
    run(airflow.poll(), airflow.poll())
    assert airflow.events == [
        {
            "object": "accounts-receivable/customer",
            "field": "audit.modifiedDateTime",
            "lower": text(NOON + HOUR + 10 * SECOND),
            "upper": text(NOON + HOUR + 21 * SECOND),
            "count": 2,
            "largest": text(NOON + HOUR + 12 * SECOND),
            "keys": ["2", "3"],
        }
    ]


def test_an_event_names_some_keys_and_counts_all(company):
    airflow = SmallAirflow(company, max_keys=2)
    run(airflow.poll())
    for key in (10, 9, 8):
        company.change(key)
    company.now += SECOND
    run(airflow.poll())
    assert [(one["count"], one["keys"]) for one in airflow.events] == [(3, ["8", "9"])]


def test_a_change_of_the_second_that_is_not_over_is_left_to_the_next_poll(company, airflow):
    run(airflow.poll())
    company.change(1)
    assert run(airflow.poll()) == [None]
    company.change(1)
    company.now += SECOND
    run(airflow.poll())
    assert airflow.reported() == {"1": 1}


def test_a_change_that_appears_late_is_reported_and_only_that(company, airflow):
    run(airflow.poll())
    company.change(2, appears=NOON + HOUR)
    company.now += 5 * SECOND
    company.change(1)
    company.now += 5 * SECOND
    run(airflow.poll(), airflow.poll())
    company.now = NOON + HOUR
    run(airflow.poll(), airflow.poll())
    assert [one["keys"] for one in airflow.events] == [["1"], ["2"]]
    assert airflow.events[1]["lower"] == airflow.events[1]["largest"] == text(NOON)


def test_a_record_that_changes_again_is_reported_again(company, airflow):
    run(airflow.poll())
    for _ in range(2):
        company.change(1)
        company.now += SECOND
        run(airflow.poll())
    assert airflow.reported() == {"1": 2}


def test_a_record_stamped_in_the_future_is_reported_once_and_does_not_stop_the_watch(company, airflow):
    run(airflow.poll())
    company.change(1, stamp=NOON + 1000 * HOUR)
    company.now += SECOND
    run(airflow.poll(), airflow.poll())
    company.change(2)
    company.now += SECOND
    run(airflow.poll())
    assert [one["keys"] for one in airflow.events] == [["1"], ["2"]]
    assert airflow.events[0]["upper"] == airflow.events[0]["largest"] == text(NOON + 1000 * HOUR)
    company.now = NOON + 1001 * HOUR
    company.change(3)
    company.now += SECOND
    run(airflow.poll())
    assert airflow.events[2]["keys"] == ["3"]


def test_a_watch_begins_although_a_record_is_stamped_in_the_future(company, airflow):
    company.change(1, stamp=NOON + 1000 * HOUR)
    run(airflow.poll())
    company.change(2)
    company.now += SECOND
    run(airflow.poll())
    assert airflow.reported() == {"2": 1}


def test_a_server_whose_clock_is_ahead_once_does_not_make_the_watch_skip_changes(
    company, airflow, monkeypatch
):
    company.now = start = dt.datetime.now(dt.UTC).replace(microsecond=0)
    company.change(0)
    company.now += SECOND
    run(airflow.poll())
    monkeypatch.setattr(company, "server_time", lambda _before=0.0: text(start + 1000 * HOUR))
    company.now += SECOND
    run(airflow.poll())
    monkeypatch.undo()
    company.change(1)
    company.now += SECOND
    run(airflow.poll())
    assert airflow.reported() == {"1": 1}


def test_quiet_polls_ask_for_the_latest_change_only_and_write_nothing(company, airflow):
    company.change(1, stamp=NOON - 1000 * HOUR)
    company.change(2, stamp=NOON - 100 * HOUR)
    run(airflow.poll())
    writes = airflow.stores[0].writes
    company.now += 24 * HOUR
    run(airflow.poll(), airflow.poll())
    assert [one.filters[-1]["$gte"] for one in company.queries[-2:]] == [
        {"audit.modifiedDateTime": text(NOON - 100 * HOUR)}
    ] * 2
    assert airflow.stores[0].writes == writes


def test_what_has_left_the_look_back_is_forgotten(company, airflow):
    run(airflow.poll())
    for key in range(500):
        company.change(key)
    company.now += SECOND
    run(airflow.poll())
    company.now += 3 * HOUR
    company.change(1000)
    company.now += SECOND
    run(airflow.poll())
    assert airflow.events[-1]["keys"] == ["1000"]
    kept = Cursor.from_text(airflow.stores[0].kept["state"])
    assert unpack(kept.reported) == {text(company.now - SECOND): {"1000"}}


DEATHS = ["before", "after", "broken", "sent", "stored"]


@pytest.mark.parametrize("death", DEATHS)
def test_the_event_after_a_death_is_the_same_and_comes_twice_only_if_it_was_stored(company, airflow, death):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    if death in ("sent", "stored"):
        first = run(airflow.poll(death))
    else:
        airflow.stores[0].deaths = [death]
        first = run(airflow.poll())
    assert first == [None]
    stored = list(airflow.events)
    if death not in ("before", "broken"):
        # By now there is more, which does not go into the window that was sent.
        company.change(2)
        company.now += SECOND
    run(airflow.poll())
    if stored:
        assert airflow.events == stored * 2
    assert [one["keys"] for one in airflow.events][-1] == ["1"]
    assert airflow.reported() == {"1": 2 if death == "stored" else 1}
    run(airflow.poll(), airflow.poll())
    assert airflow.reported()["1"] == (2 if death == "stored" else 1)


def test_a_death_after_airflow_has_stored_an_event_is_at_worst_one_event_more(company, airflow):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    airflow.stores[0].deaths = [None, "before"]
    run(airflow.poll(), airflow.poll(), airflow.poll())
    assert airflow.events == airflow.events[:1] * 2


def test_an_event_that_is_not_certainly_stored_is_sent_again(company, airflow):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND

    async def send():
        poll = airflow.watched.read(company, airflow.watcher.cursor.floor)
        first = await airflow.watcher.take(poll)
        # Polls that come before it is known are passed over.
        assert await airflow.watcher.take(airflow.watched.read(company, text(NOON))) is None
        await poll.settle(stored=False)
        return first

    [first] = run(send())
    assert run(airflow.poll()) == [first]
    assert run(airflow.poll()) == [None]


def test_a_store_that_fails_delays_the_event_and_the_log_says_so(company, airflow, caplog):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    airflow.stores[0].deaths = ["broken"]
    assert run(airflow.poll()) == [None]
    assert "left to the next poll" in caplog.text
    run(airflow.poll())
    assert airflow.reported() == {"1": 1}


def test_a_store_that_cannot_say_that_an_event_is_stored_does_not_stop_the_watch(company, airflow, caplog):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    airflow.stores[0].deaths = [None, "broken"]
    run(airflow.poll(), airflow.poll())
    assert airflow.reported() == {"1": 1}
    assert "A restart now would send it again" in caplog.text
    # The next poll has stored it.
    run(airflow.start(), airflow.poll())
    assert airflow.reported() == {"1": 1}


def test_a_beginning_that_could_not_be_stored_is_stored_by_the_next_poll(company, airflow):
    airflow.stores[0].deaths = ["broken"]
    run(airflow.poll(), airflow.poll())
    company.change(1)
    company.now += SECOND
    run(airflow.start(), airflow.poll())
    assert airflow.reported() == {"1": 1}


def test_a_trigger_of_several_assets_resumes_where_the_oldest_one_stands(company):
    paused = SmallStore()
    stores = [SmallStore(), paused]
    airflow = SmallAirflow(company, stores=stores)
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    airflow.stores = stores[:1]
    run(airflow.start(), airflow.poll())
    airflow.stores = stores
    run(airflow.start(), airflow.poll(), airflow.poll())
    assert airflow.reported() == {"1": 2}
    assert len({*(one.kept["state"] for one in stores)}) == 1


def test_an_asset_that_is_new_joins_the_others(company):
    stores = [SmallStore()]
    airflow = SmallAirflow(company, stores=stores)
    run(airflow.poll())
    stores.append(SmallStore())
    company.change(1)
    company.now += SECOND
    run(airflow.start(), airflow.poll())
    assert airflow.reported() == {"1": 1}
    assert stores[0].kept == stores[1].kept


def test_without_a_store_the_watch_starts_from_now_and_says_so(company, caplog):
    airflow = SmallAirflow(company)
    airflow.stores = []
    with caplog.at_level(logging.INFO):
        run(airflow.poll())
        company.change(1)
        company.now += SECOND
        run(airflow.start(), airflow.poll())
    assert airflow.events == []
    assert "starts from now" in caplog.text
    assert "no asset state store" in caplog.text


def test_a_state_that_cannot_be_read_is_an_error_in_the_log(company, airflow, caplog):
    airflow.stores[0].kept["state"] = "{}"
    run(airflow.poll())
    assert "cannot be read by this version" in caplog.text
    assert Cursor.from_text(airflow.stores[0].kept["state"])


def test_a_date_is_rejected_since_it_does_not_show_a_second_change_of_the_day(company, airflow, monkeypatch):
    model = company.fields(None)
    next(iter(model.values())).format = "date"
    monkeypatch.setattr(company, "fields", lambda _name: model)
    with pytest.raises(IntacctArgumentError, match="is not a date and time of accounts-receivable/customer"):
        run(airflow.poll())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 5), st.sampled_from([0, 0, 300, 900])),
        st.tuples(st.just("wait"), st.integers(0, 1000), st.just(0)),
        st.tuples(st.just("poll"), st.sampled_from([None, None, *DEATHS]), st.integers(0, 3)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_change_is_in_an_event_and_none_in_more_than_deaths_explain(steps):
    """Changes appear up to 15 minutes late; the look-back is 30 minutes. Two assets have the watcher."""
    company = SmallCompany()
    airflow = SmallAirflow(company, lookback=1800, stores=[SmallStore(), SmallStore()])
    run(airflow.poll())
    company.now += SECOND
    changes = Counter()
    for step, what, more in steps:
        if step == "change":
            # A record of its own for each: its earlier version is not what it is about here.
            key = f"{what}{sum(changes.values()):04}"
            company.change(key, appears=company.now + more * SECOND)
            changes[key] += 1
        elif step == "wait":
            company.now += what * SECOND
        elif what in ("sent", "stored"):
            run(airflow.poll(what))
        else:
            # In the store of one asset, when the event is to be sent or when it is stored.
            airflow.stores[more % 2].deaths = [None] * (more // 2) + [what]
            run(airflow.poll())
    for store in airflow.stores:
        store.deaths = []
    company.now += 901 * SECOND
    run(airflow.poll(), airflow.poll(), airflow.poll())
    reported = airflow.reported()
    assert set(reported) == set(changes)
    assert all(count <= airflow.starts for count in reported.values())
    assert all(one["count"] == len(one["keys"]) for one in airflow.events)


def test_a_poll_that_others_began_at_a_later_place_is_left_to_them(company, airflow):
    run(airflow.poll())
    company.change(1)
    company.now += 3 * HOUR
    company.change(2)
    company.now += SECOND
    of_others = airflow.watched.read(company, text(company.now - SECOND))
    assert run(airflow.watcher.take(of_others)) == [None]
    run(airflow.poll())
    assert airflow.reported() == {"1": 1, "2": 1}


def test_a_window_ends_with_its_latest_change_even_within_a_second(airflow):
    run(airflow.poll())
    moment = NOON + SECOND / 2
    change = Change(moment, format_stamp(moment), "1", {})
    [payload] = run(airflow.watcher.take(Poll(airflow.watched, [change], text(NOON), NOON + SECOND)))
    assert payload["lower"] == payload["upper"] == payload["largest"] == "2026-06-30T12:00:00.500000Z"


@pytest.mark.parametrize("stamp", [None, "soon", ""])
def test_a_record_whose_timestamp_cannot_be_read_does_not_hold_up_the_others(
    company, airflow, monkeypatch, caplog, stamp
):
    run(airflow.poll())
    company.change(1)
    company.now += SECOND
    rows = company.iter_rows
    monkeypatch.setattr(company, "iter_rows", lambda query: [*rows(query), {"key": "9", MODIFIED: stamp}])
    run(airflow.poll())
    assert airflow.reported() == {"1": 1}
    assert "1 records of accounts-receivable/customer have a audit.modifiedDateTime" in caplog.text
    assert "the first keys: 9." in caplog.text


def test_a_trigger_of_several_assets_warns_that_one_of_them_may_miss_changes(company, caplog):
    run(SmallAirflow(company, stores=[SmallStore()]).start())
    assert "equal watchers" not in caplog.text
    run(SmallAirflow(company, stores=[SmallStore(), SmallStore()]).start())
    assert "2 assets have equal watchers of accounts-receivable/customer" in caplog.text


def test_an_asset_that_is_removed_does_not_keep_events_from_the_others(company, caplog):
    stores = [SmallStore(), SmallStore()]
    airflow = SmallAirflow(company, stores=stores)
    run(airflow.poll())
    stores[1].deaths = ["broken"] * 9
    for key in (1, 2):
        company.change(key)
        company.now += SECOND
        run(airflow.poll())
    assert airflow.reported() == {"1": 1, "2": 1}
    assert caplog.text.count("cannot be kept with 1 of its 2 assets: the metadata database is locked") == 1
    # If it exists after all, it gets what it has missed.
    stores[1].deaths = []
    airflow.watcher = None
    run(airflow.poll())
    assert airflow.reported() == {"1": 2, "2": 2}
