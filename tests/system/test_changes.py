"""Watchers in a real Airflow: 10,000 changes while its triggerer is down and killed, and one poll for 200 watchers.

What Airflow has stored is read from its REST API, and what Intacct was asked from the sandbox.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sandbox_client import QUERY, calls, client_of, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
MODIFIED = "audit.modifiedDateTime"
ROWS = 10_000
WATCHERS = 200


@pytest.fixture
def company():
    with running(f"{CUSTOMER}={ROWS},{GROUP}=20") as one:
        yield one


def find_events(airflow, pattern):
    """Return the payloads of the events of assets, the first one first, and the names of their assets."""
    found = []
    while True:
        some = airflow.read("/assets/events", name_pattern=pattern, limit=100, offset=len(found))[
            "asset_events"
        ]
        if not some:
            return found
        found += [(one["name"], one["extra"]["payload"]) for one in some]


def list_triggers(airflow, conn_id):
    """Return the ids of the triggers that Airflow has for a connection."""
    with closing(sqlite3.connect(airflow.database)) as conn:
        query = (
            "SELECT DISTINCT trigger_id FROM asset_watcher JOIN asset ON asset.id = asset_id "
            "WHERE asset.name LIKE ? ORDER BY 1"
        )
        return [row[0] for row in conn.execute(query, (f"{conn_id}%",))]


def find_state(airflow, asset):
    """Return the cursor that is kept with an asset; None before it is."""
    query = (
        "SELECT value FROM asset_state_store JOIN asset ON asset.id = asset_id "
        "WHERE asset.name = ? AND key LIKE 'intacct_changes__%'"
    )
    with closing(sqlite3.connect(airflow.database)) as conn:
        row = conn.execute(query, (asset,)).fetchone()
    return json.loads(json.loads(row[0])) if row else None


def touch(company, first, last):
    """Change customers, in seconds that are over when it returns; return their timestamps."""
    stamps = []
    for start in range(first, last + 1, 1000):
        stamps.append(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        with company.store.transaction() as conn:
            change = f'UPDATE "{CUSTOMER}" SET "{MODIFIED}" = ? WHERE "key" BETWEEN ? AND ?'  # noqa: S608
            conn.execute(change, (stamps[-1], start, min(start + 999, last)))
        time.sleep(0.4)
    time.sleep(1.1)
    return stamps


def test_ten_thousand_changes_while_the_triggerer_is_down_and_killed_twice(airflow, company):
    airflow.connect("many_changes", company)
    with airflow.triggerer() as triggerer:
        airflow.until("the watch has begun", lambda: find_state(airflow, "many_changes"))
        triggerer.kill()
        stamps = touch(company, 1, 4000)

        # Killed while it reads, before anything is sent.
        begun = len(calls(company, QUERY))
        company.fail(kind="hang", path=QUERY, seconds=30)
        triggerer.keep_running()
        airflow.until("it reads", lambda: len(calls(company, QUERY)) > begun)
        triggerer.kill()
        assert find_events(airflow, "many_changes") == []
        stamps += touch(company, 4001, 7000)

        # Killed when Airflow has stored the event, about when the trigger learns that.
        triggerer.keep_running()
        airflow.until("an event is stored", lambda: find_events(airflow, "many_changes"))
        triggerer.kill()
        stamps += touch(company, 7001, ROWS)

        def count():
            events = [payload for _, payload in find_events(airflow, "many_changes")]
            distinct = {(one["lower"], one["upper"]): one["count"] for one in events}
            return sum(distinct.values())

        triggerer.keep_running()
        airflow.until("all changes are in events", lambda: count() >= ROWS)
        airflow.until(
            "the last event is confirmed", lambda: "pending" not in find_state(airflow, "many_changes")
        )
    events = [payload for _, payload in find_events(airflow, "many_changes")]
    # Each is in exactly one window, however often that was sent, and a window that was sent again is the same.
    assert count() == ROWS
    assert all(any(one["lower"] <= stamp <= one["upper"] for one in events) for stamp in stamps)
    often = Counter(json.dumps(one, sort_keys=True) for one in events)
    assert len(often) == len({(one["lower"], one["upper"]) for one in events})
    assert len(events) - len(often) <= 1, "one of the kills was after an event"
    assert len(json.dumps(find_state(airflow, "many_changes"))) < 65_535
    print(f"{len(events)} events of {len(often)} windows, {[one['count'] for one in events]}")


@pytest.fixture
def crowd(airflow):
    """Let the 200 watchers run; return the ids of their triggers."""
    airflow.pause("crowd", paused=False)
    yield airflow.until("there are watchers", lambda: list_triggers(airflow, "crowd"))
    airflow.pause("crowd")
    airflow.until("there are no watchers", lambda: not list_triggers(airflow, "crowd"))


def test_two_hundred_watchers_cost_one_poll_and_start_one_run(airflow, company, crowd):
    airflow.connect("crowd", company)
    assert len(crowd) == 20, "equal ones are one"
    with airflow.triggerer(), client_of(company) as client:
        airflow.until(
            "all watches have begun",
            lambda: all(find_state(airflow, f"crowd_{n:03}") for n in (0, 50, 100, 150, 199)),
        )
        client.update(GROUP, "3", {"description": "changed"})
        before, began = len(calls(company, QUERY)), time.monotonic()
        airflow.until("each has its event", lambda: len(find_events(airflow, "crowd_%")) == WATCHERS)
        polls, passed = len(calls(company, QUERY)) - before, time.monotonic() - began
        run_id = airflow.until("a run is started", lambda: airflow.read("/dags/crowd/dagRuns")["dag_runs"])[
            0
        ]["dag_run_id"]
        airflow.until(
            "it has ended",
            lambda: airflow.read(f"/dags/crowd/dagRuns/{run_id}")["state"] in ("success", "failed"),
        )
    assert list_triggers(airflow, "crowd") == crowd, "what is parsed again is still the same"
    events = find_events(airflow, "crowd_%")
    assert len({name for name, _ in events}) == len(events) == WATCHERS
    assert {json.dumps(payload["keys"]) for _, payload in events} == {'["3"]'}
    # One poll every 2 seconds; 200 watchers that each poll would have asked 200 times as often.
    assert polls <= passed / 2 + 2
    extras = airflow.read(f"/dags/crowd/dagRuns/{run_id}/taskInstances/report/xcomEntries/return_value")[
        "value"
    ]
    assert len(extras) == WATCHERS
    assert all(one["from_trigger"] and one["payload"]["object"] == GROUP for one in extras)
