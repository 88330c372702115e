"""Sensors: each mode asks the same question and ends the same way, run by Airflow against the sandbox."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http import transport
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.triggers import intervals, polling
from intacct_provider.triggers.intervals import MIN_INTERVAL
from intacct_provider.triggers.query import IntacctQueryTrigger

CUSTOMER = "accounts-receivable/customer"
MODES = ["poke", "reschedule", "deferrable"]
#: The event of a trigger that found what it waits for with the first answer.
FOUND = {"status": "success", "summary": {"object_name": CUSTOMER, "count": 1}, "transactions": 1}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """The first wait covers a race of Airflow's executors, which these runs do not have; short intervals save time."""
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(intervals, "MIN_INTERVAL", 0.05)
    monkeypatch.setattr(polling, "SPREAD", 0.0)
    monkeypatch.setattr(transport.random, "random", lambda: 0.0)


@pytest.fixture
def client(sandbox):
    config = IntacctConfig(
        client_id="sandbox-client",
        client_secret=sandbox.identity.client_secret,
        company_id="SANDBOX",
        user_id="airflow",
        base_url=sandbox.url,
    )
    with IntacctClient(config) as ours:
        yield ours


def states(run):
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def after_asking(sandbox, times, act):
    """Run ``act`` on a thread once the sensor has been answered so often."""

    def wait_and_act():
        while (
            sum(call.path.endswith("/query") and bool(call.status) for call in list(sandbox.requests)) < times
        ):
            if done.wait(0.01):
                return
        act()

    done = threading.Event()
    thread = threading.Thread(target=wait_and_act, daemon=True)
    thread.start()
    return done


@pytest.mark.parametrize("mode", MODES)
def test_query_sensor_waits_until_enough_records_match(run_dag, sandbox, client, mode):
    client.create(CUSTOMER, {"id": "W-1", "name": "Waited For"})
    client.create(CUSTOMER, {"id": "W-2", "name": "Waited For", "status": "inactive"})
    (key,) = [row["key"] for row in client.iter_rows(CUSTOMER, ["key"], filters=[{"$eq": {"id": "W-2"}}])]
    asked = sum(call.path.endswith("/query") for call in sandbox.requests)
    after_asking(sandbox, asked + 2, lambda: client.update(CUSTOMER, key, {"status": "active"}))
    run = run_dag(f"query_sensor_{mode}")
    assert states(run) == {"wait": "success"}
    (task,) = run.get_task_instances()
    assert task.xcom_pull(task_ids="wait") == {"object_name": CUSTOMER, "count": 2}
    questions = sum(call.path.endswith("/query") for call in sandbox.requests) - asked
    assert questions >= 3


@pytest.mark.parametrize("mode", MODES)
def test_record_sensor_waits_for_the_record_and_its_values(run_dag, sandbox, client, mode):
    record = {"id": "WAIT-1", "name": "Late", "status": "activeNonPosting"}
    after_asking(sandbox, 2, lambda: client.create(CUSTOMER, record))
    run = run_dag(f"record_sensor_{mode}")
    assert states(run) == {"wait": "success"}


@pytest.mark.parametrize("mode", ["plain", "deferrable"])
def test_each_mapped_sensor_waits_for_its_own_record(run_dag, mode):
    tasks = run_dag(f"mapped_sensor_{mode}", first="C-00001").get_task_instances()
    found = {
        task.map_index: task.xcom_pull(task_ids="wait", map_indexes=task.map_index)["id"] for task in tasks
    }
    assert found == {0: "C-00001", 1: "C-00002"}


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_in_every_mode(run_dag, mode):
    assert states(run_dag(f"soft_sensor_{mode}")) == {"wait": "skipped"}


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_field_fails_at_once_in_every_mode(run_dag, sandbox, mode):
    run = run_dag(f"bad_sensor_{mode}")
    (task,) = run.get_task_instances()
    # Three retries were allowed, and none was used, since a retry cannot fix this.
    assert (str(task.state), task.try_number) == ("failed", 1)


def first_event(trigger):
    async def one():
        return await anext(trigger.run())

    return asyncio.run(asyncio.wait_for(one(), 30)).payload


@pytest.fixture
def trigger():
    condition = IntacctQuerySensor(
        task_id="t", object_name=CUSTOMER, filters=[{"$eq": {"id": "C-00001"}}]
    ).condition()
    return IntacctQueryTrigger(
        intacct_conn_id="intacct_default", entity_id=None, condition=condition.to_dict(), poll_interval=0.05
    )


def test_trigger_comes_back_from_its_stored_form_and_fires(sandbox, trigger):
    from airflow_parts import deserialize, import_string, serialize

    path, arguments = trigger.serialize()
    again = import_string(path)(**deserialize(serialize(arguments)))
    assert again.serialize() == (path, arguments)
    assert first_event(again) == FOUND


def test_trigger_lives_through_passing_trouble(sandbox, trigger):
    sandbox.fail(kind="html", times=2, path="/services/core/query")
    assert first_event(trigger) == FOUND


def test_trigger_tells_of_lasting_trouble(sandbox, trigger):
    sandbox.fail(times=99, path="/services/core/query", kind="html")
    event = first_event(trigger)
    assert (event["status"], event["error_type"], event["retryable"]) == (
        "error",
        "IntacctResponseError",
        True,
    )


def test_trigger_tells_at_once_what_waiting_cannot_mend(sandbox, trigger, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection().replace("SANDBOX", "SANDBOXX"))
    event = first_event(trigger)
    assert (event["error_type"], event["retryable"]) == ("IntacctAuthenticationError", False)
    assert sandbox.identity.client_secret not in event["message"]


def test_trigger_asks_a_last_time_when_time_is_up_and_not_an_interval_later(sandbox, trigger):
    trigger.condition = {**trigger.condition, "bounds": {"at_least": "2"}}
    trigger.poll_interval, trigger.deadline = 3600, time.time() + 0.2
    assert first_event(trigger) == {
        "status": "timeout",
        "message": f"{CUSTOMER}: matching records: 1, waiting for at least 2",
        "transactions": 1,
    }


@pytest.mark.parametrize("event", [None, {}, {"status": "finished"}, {"status": None}])
def test_an_unknown_event_is_a_failure(event):
    from airflow.providers.common.compat.sdk import AirflowException

    sensor = IntacctRecordSensor(task_id="t", object_name=CUSTOMER, record_id="C-1")
    with pytest.raises(AirflowException, match="an event with an unknown status"):
        sensor.execute_complete({}, event)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "1", "record_id": "C-1"}, "by key or by record_id, one of them"),
        ({}, "by key or by record_id, one of them"),
        ({"key": "1", "object_name": "customer"}, "Did you mean 'accounts-receivable/customer'"),
    ],
)
def test_record_sensor_says_what_is_wrong_with_its_arguments(sandbox, arguments, message):
    from airflow.providers.common.compat.sdk import AirflowFailException

    sensor = IntacctRecordSensor(**{"task_id": "t", "object_name": CUSTOMER, **arguments})
    with pytest.raises(AirflowFailException, match=message):
        sensor.poke({})
    assert sandbox.requests == []


@pytest.mark.parametrize("interval", [0, 0.9])
def test_an_interval_below_a_second_is_refused_without_a_call(sandbox, monkeypatch, interval):
    from airflow.providers.common.compat.sdk import AirflowFailException

    monkeypatch.setattr(intervals, "MIN_INTERVAL", MIN_INTERVAL)
    for deferrable in (False, True):
        sensor = IntacctQuerySensor(
            task_id="t", object_name=CUSTOMER, poke_interval=interval, deferrable=deferrable
        )
        with pytest.raises(
            AirflowFailException,
            match=rf"poke_interval must be at least 1 second, not {float(interval)}: each poll",
        ):
            sensor.execute({})
    with pytest.raises(IntacctArgumentError, match="poll_interval must be at least 1 second"):
        IntacctQueryTrigger(
            intacct_conn_id="intacct_default", entity_id=None, condition={}, poll_interval=interval
        )
    assert sandbox.requests == []


def test_at_least_must_be_a_count(sandbox):
    from airflow.providers.common.compat.sdk import AirflowFailException

    sensor = IntacctQuerySensor(task_id="t", object_name=CUSTOMER, at_least=0)
    with pytest.raises(AirflowFailException, match="at_least must be a whole number of 1 or more, not 0"):
        sensor.poke({})


@pytest.mark.parametrize("interval", ["5", None, True, float("nan")])
def test_the_trigger_rejects_an_interval_that_is_not_a_number_of_seconds(interval):
    with pytest.raises(IntacctArgumentError, match=r"poll_interval must be at least \S+ second, not"):
        IntacctQueryTrigger(
            intacct_conn_id="intacct_default", entity_id=None, condition={}, poll_interval=interval
        )
