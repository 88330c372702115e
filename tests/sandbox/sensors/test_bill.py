"""What Intacct bills for polls in the triggerer is on the bill of the task that waits."""

import asyncio

import pytest
from airflow_parts import TaskDeferred
from sensor_modes import run_trigger

from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.triggers import intervals, polling
from intacct_provider.triggers.event_payloads import read_transactions

CUSTOMER = "accounts-receivable/customer"


@pytest.fixture(autouse=True)
def connected(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(intervals, "MIN_INTERVAL", 0.05)
    monkeypatch.setattr(polling, "SPREAD", 0.0)


def defer(**arguments):
    """Return a sensor that has deferred, and its trigger."""
    how = {"poke_interval": 0.1, "timeout": 20, "deferrable": True, **arguments}
    sensor = IntacctQuerySensor(task_id="t", object_name=CUSTOMER, **how)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    return sensor, deferred.value.trigger


def read_bill(capsys):
    printed = capsys.readouterr().out
    return [
        line.partition("] ")[2].partition(" [")[0] for line in printed.splitlines() if "billed API" in line
    ]


def test_the_line_of_the_task_counts_the_polls_of_the_triggerer(sandbox, client, capsys):
    sensor, trigger = defer(at_least=1)
    client.create(CUSTOMER, {"id": "C-1", "name": "One"})
    before = sandbox.transactions
    event = run_trigger(trigger)
    billed = sandbox.transactions - before
    assert event["transactions"] == billed >= 1
    capsys.readouterr()
    assert sensor.execute_complete({}, event)["count"] == 1
    assert read_bill(capsys) == [
        f"Intacct: billed API transactions: {billed}, {billed} of them by the triggerer."
    ]


def test_a_wait_that_fails_is_billed_as_well(sandbox, capsys):
    sensor, trigger = defer(at_least=1)
    sandbox.fail(status=403, path="/services/core/query")
    event = run_trigger(trigger)
    assert (event["status"], event["transactions"]) == ("error", 0)
    sensor, trigger = defer(at_least=1, timeout=0.3)
    before = sandbox.transactions
    event = run_trigger(trigger)
    assert (event["status"], event["transactions"]) == ("timeout", sandbox.transactions - before)
    assert event["transactions"] >= 1
    capsys.readouterr()
    with pytest.raises(Exception, match="Timed out"):
        sensor.execute_complete({}, event)
    assert len(read_bill(capsys)) == 1


def test_triggers_that_share_a_client_are_each_billed_for_their_own_polls(sandbox, client):
    """Their polls overlap, on the threads of one client."""
    client.create(CUSTOMER, {"id": "C-1", "name": "One"})
    triggers = [defer(at_least=2, timeout=0.2 + 0.1 * n)[1] for n in range(4)]
    before = sandbox.transactions

    async def run(trigger):
        return [event.payload async for event in trigger.run()]

    async def run_all():
        return await asyncio.gather(*map(run, triggers))

    events = [event for [event] in asyncio.run(run_all())]
    assert sum(event["transactions"] for event in events) == sandbox.transactions - before
    assert all(event["transactions"] >= 1 for event in events)


@pytest.mark.parametrize("event", [None, {}, {"transactions": None}, {"transactions": "many"}])
def test_an_event_of_an_older_triggerer_has_no_bill(event):
    assert read_transactions(event) == 0
