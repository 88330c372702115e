"""The event queue and a triggerer that is killed: no event is lost, and none is acknowledged before it is stored."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial

import pytest

from intacct_provider.sandbox.errors import ApiError
from intacct_provider.sandbox.records import event_queue

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
WATCHED = ("customer_events", "deletion_events")


def read_stored(airflow):
    """Return the payloads of the events of these assets in the metadata database, by the name of the asset.

    Other tests have others in the same Airflow.
    """
    sql = (
        "SELECT a.name, e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name IN (?, ?) "
        "ORDER BY e.id"
    )
    with closing(sqlite3.connect(f"file:{airflow.database}?mode=ro", uri=True, timeout=60)) as conn:
        return [(name, json.loads(extra)["payload"]) for name, extra in conn.execute(sql, WATCHED)]


def test_a_triggerer_that_is_killed_loses_no_event(airflow, sandbox, monkeypatch):
    monkeypatch.setattr(event_queue, "BATCH", 30)
    real = {name: getattr(event_queue, name) for name in ("list_events", "acknowledge")}
    calls, early = Counter(), []

    def list_events(conn):
        calls["list"] += 1
        if calls["list"] == 1:
            triggerer.kill()
        return real["list_events"](conn)

    def acknowledge(conn, body):
        calls["ack"] += 1
        sql = 'SELECT id FROM "ia::event" WHERE batch = ?'
        batch = {row["id"] for row in conn.execute(sql, (body["ackId"],))}
        early.extend(batch - {payload["event_id"] for _, payload in read_stored(airflow)})
        if calls["ack"] == 1:
            triggerer.kill()
            raise ApiError(404, "notFound", "killed before it was carried out")
        done = real["acknowledge"](conn, body)
        if calls["ack"] == 3:
            triggerer.kill()
        return done

    monkeypatch.setattr(event_queue, "list_events", list_events)
    monkeypatch.setattr(event_queue, "acknowledge", acknowledge)
    airflow.connect("event_queue", sandbox)
    fired = [sandbox.events.fire(CUSTOMER, "create", key=str(n)) for n in range(70)]
    fired += [sandbox.events.fire(PURPOSE, "delete", key=str(n)) for n in range(70, 80)]

    with airflow.triggerer() as triggerer:

        def was_started(times):
            triggerer.keep_running()
            return triggerer.starts == times

        def is_empty():
            triggerer.keep_running()
            return sandbox.events.count() == 0

        for times in (2, 3, 4):
            airflow.until(f"the triggerer is killed and started {times} times", partial(was_started, times))
        airflow.until("all events are acknowledged", is_empty)
        fired.append(sandbox.events.fire(CUSTOMER, "delete", key="80"))
        airflow.until("the last event is acknowledged", is_empty)
        assert triggerer.starts == 4

    assert early == []
    stored = read_stored(airflow)
    found = Counter((name, payload["event_id"]) for name, payload in stored)
    wanted = {("customer_events", one) for one in [*fired[:70], fired[80]]}
    wanted |= {("deletion_events", one) for one in fired[70:]}
    assert set(found) == wanted
    # Each list that was not acknowledged came once more.
    assert max(found.values()) <= triggerer.starts

    def runs():
        found = airflow.read("/dags/customer_events/dagRuns")["dag_runs"]
        return found and all(run["state"] == "success" for run in found)

    airflow.until("the DAG ran", runs)
