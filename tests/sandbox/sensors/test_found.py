"""What a sensor finds, what that costs, and what it says at three in the morning."""

import time

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow_parts import AirflowRescheduleException
from sandbox_client import calls, client_of, running
from sensor_modes import TaskInstance, run_sensor, run_trigger

from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.triggers import intervals, polling

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"


@pytest.fixture(scope="module")
def company():
    with running("demo") as sandbox, client_of(sandbox) as client:
        for number, amount in ((1, 0.1), (2, 0.2)):
            record = {"id": f"M-{number}", "name": "Measured", "creditLimit": amount}
            client.create(CUSTOMER, record | ({"status": "inactive"} if number == 2 else {}))
        yield sandbox


@pytest.fixture(autouse=True)
def connected(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(polling, "SPREAD", 0.0)


def measured(**arguments):
    filters = arguments.pop("filters", [{"$eq": {"name": "Measured"}}])
    return IntacctQuerySensor(task_id="t", object_name=CUSTOMER, filters=filters, **arguments)


def one(**arguments):
    return IntacctRecordSensor(task_id="t", **{"object_name": CUSTOMER, **arguments})


@pytest.fixture
def poke(company):
    """Return whether a poll ends the wait, what it found, and the queries that it took."""

    def poke(sensor):
        before = len(calls(company, QUERY))
        polled = sensor.poke({})
        return bool(polled), polled.xcom_value, len(calls(company, QUERY)) - before

    return poke


@pytest.mark.parametrize(
    ("bounds", "met", "queries"),
    [
        ({}, True, 1),
        ({"at_least": 2}, True, 1),
        ({"at_least": 3}, False, 1),
        ({"at_most": 2}, True, 2),
        ({"at_most": 1}, False, 1),
        ({"exactly": 2}, True, 2),
        ({"exactly": 3}, False, 1),
        ({"at_least": 1, "at_most": 2}, True, 2),
    ],
    ids=repr,
)
def test_a_count_is_within_its_bounds_or_not(poke, bounds, met, queries):
    assert poke(measured(**bounds)) == (met, {"object_name": CUSTOMER, "count": 2}, queries)


@pytest.mark.parametrize(
    ("aggregate", "bounds", "met", "value"),
    [
        ("sum:creditLimit", {"exactly": "0.3"}, True, "0.30"),
        ("sum:creditLimit", {"exactly": 0.3}, True, "0.30"),
        ("sum:creditLimit", {"at_least": "0.31"}, False, "0.30"),
        ("max:creditLimit", {"at_most": "0.2"}, True, "0.20"),
        ("min:creditLimit", {"at_least": "0.2"}, False, "0.10"),
        ("count:id", {"exactly": 2}, True, "2"),
    ],
    ids=str,
)
def test_an_aggregate_is_compared_digit_by_digit(poke, aggregate, bounds, met, value):
    found, summary, _ = poke(measured(aggregate=aggregate, **bounds))
    assert (found, summary["aggregate"]) == (met, aggregate)
    assert float(summary["value"]) == float(value)


def test_a_sum_of_no_records_is_zero_and_other_aggregates_of_none_never_end_a_wait(poke):
    nobody = [{"$eq": {"name": "Nobody"}}]
    assert poke(measured(filters=nobody, aggregate="sum:creditLimit", at_most=0))[:2] == (
        True,
        {"object_name": CUSTOMER, "aggregate": "sum:creditLimit", "value": "0"},
    )
    for aggregate in ("min:creditLimit", "avg:creditLimit"):
        assert not poke(measured(filters=nobody, aggregate=aggregate, at_most=10**9))[0]


def test_an_aggregate_of_text_is_an_error_that_names_it():
    sensor = measured(aggregate="sum:name", at_least=1)
    with pytest.raises(AirflowFailException, match="name"):
        sensor.poke({})


def test_a_record_has_values_or_not(poke, capsys):
    assert poke(one(record_id="M-1", conditions={"status": "active"}))[0]
    sensor = one(record_id="M-2", conditions={"status": "active"})
    assert poke(sensor)[0::2] == (False, 2)
    assert poke(sensor)[0::2] == (False, 1)
    assert poke(one(record_id="M-3", conditions={"status": "active"}))[0] is False
    text = capsys.readouterr().out
    wanted = "waiting until it exists with status 'active' (connection 'intacct_default')."
    assert f"{CUSTOMER} with id 'M-1': found with status 'active', {wanted} Done." in text
    assert f"{CUSTOMER} with id 'M-2': found with status 'inactive', {wanted}" in text
    assert f"{CUSTOMER} with id 'M-2': not found with these values, {wanted}" in text
    assert f"{CUSTOMER} with id 'M-3': not found, {wanted}" in text


def test_a_record_is_gone_or_not(poke, capsys):
    assert poke(one(record_id="M-1", gone=True))[0::2] == (False, 1)
    assert poke(one(record_id="NEVER", gone=True)) == (
        True,
        {"object_name": CUSTOMER, "exists": False, "id": "NEVER"},
        2,
    )
    assert "with id 'M-1': found, waiting until it is gone (connection" in capsys.readouterr().out


def test_the_summary_of_a_record_has_its_key_and_values(poke, company):
    with client_of(company) as client:
        [key] = [row["key"] for row in client.iter_rows(CUSTOMER, ["key"], filters=[{"$eq": {"id": "M-1"}}])]
    conditions = {"status": ["active", "inactive"], "isOnHold": False}
    assert poke(one(key=key, conditions=conditions))[1] == {
        "object_name": CUSTOMER,
        "exists": True,
        "key": key,
        "values": {"status": "active", "isOnHold": False},
    }


def test_a_value_that_no_record_can_have_is_named_with_the_argument_that_the_user_wrote():
    with pytest.raises(AirflowFailException, match=r"conditions: status has no value 'Active'.*'active'"):
        one(record_id="M-1", conditions={"status": "Active"}).poke({})


def test_the_cost_is_logged_once_and_each_poll_says_when_the_next_one_is(capsys):
    sensor = measured(at_least=3, poke_interval=60, timeout=0)
    sensor.poke({})
    sensor.poke({})
    assert capsys.readouterr().out.count("Intacct: polling every 60 s: 1,440 a day, 43.2 % of tier 1.") == 1
    assert 60 <= sensor._get_next_poke_interval(None, lambda: -1000.0, 1) <= 66
    assert "Next poll in 6" in capsys.readouterr().out


def test_a_deferred_sensor_says_what_it_found_on_both_sides(capsys):
    sensor = measured(at_least=3, deferrable=True, timeout=0.3)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    before = capsys.readouterr().out
    assert "waiting for at least 3 (connection 'intacct_default')" in before
    assert "Next poll in 0 s" in before
    trigger = deferred.value.trigger
    trigger.condition = {**trigger.condition, "bounds": {"at_least": "2"}}
    event = run_trigger(trigger)
    assert measured(at_least=3).execute_complete({}, event) == {"object_name": CUSTOMER, "count": 2}
    text = capsys.readouterr().out
    assert (
        "Intacct: polling with connection 'intacct_default' every 300 s: 288 a day, 8.6 % of tier 1." in text
    )
    assert f"{CUSTOMER}: matching records: 2, waiting for at least 2. Done." in text
    assert f"the trigger found what t waits for: {{'object_name': '{CUSTOMER}', 'count': 2}}" in text


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
def test_a_timeout_says_in_each_mode_what_was_found_last_and_by_which_connection(mode, soft_fail, state):
    outcome = run_sensor(
        lambda **how: one(
            record_id="M-2",
            conditions={"status": "active"},
            poke_interval=1,
            timeout=0,
            soft_fail=soft_fail,
            **how,
        ),
        mode,
    )
    assert outcome.state == state
    assert "Timed out after 0 s: " in outcome.message
    assert f"{CUSTOMER} with id 'M-2': found with status 'inactive', waiting until" in outcome.message
    assert outcome.message.endswith("(connection 'intacct_default').")


def test_the_first_question_is_asked_before_deferring(company):
    before = len(calls(company, QUERY))
    assert measured(deferrable=True).execute({}) == {"object_name": CUSTOMER, "count": 2}
    assert len(calls(company, QUERY)) - before == 1


@pytest.mark.parametrize("how", [{"deferrable": True}, {"mode": "reschedule", "silent_fail": True}], ids=str)
def test_a_pause_that_intacct_asks_for_is_kept_in_every_mode(company, how):
    # More than a request waits, so it is sent once.
    company.fail(path=QUERY, status=429, headers={"Retry-After": "600"})
    with pytest.raises((TaskDeferred, AirflowRescheduleException)) as caught:
        measured(poke_interval=60, **how).execute({"ti": TaskInstance()})
    if how.get("deferrable"):
        pause = caught.value.trigger.first_poll - time.time()
    else:
        pause = caught.value.reschedule_date.timestamp() - time.time()
    assert 500 < pause < 700


def test_a_connection_that_the_triggerer_does_not_have_fails_the_task_for_good():
    sensor = one(record_id="M-1", deferrable=True)
    event = run_trigger(sensor.build_trigger(intacct_conn_id="workers_only", poll_interval=1))
    with pytest.raises(AirflowFailException, match="workers_only"):
        sensor.execute_complete({}, event)


BACKING_OFF = {"at_least": 3, "poke_interval": 60, "exponential_backoff": True, "max_wait": 300}


@pytest.mark.parametrize(("polls", "seconds"), [(0, 60), (1, 120), (2, 240), (3, 300), (9, 300)])
def test_a_rescheduled_sensor_backs_off_by_the_polls_so_far(polls, seconds):
    with pytest.raises(AirflowRescheduleException) as caught:
        measured(**BACKING_OFF, mode="reschedule").execute(
            {"ti": TaskInstance(), "task_reschedule_count": polls}
        )
    pause = caught.value.reschedule_date.timestamp() - time.time()
    assert 0.8 * seconds < pause < 1.2 * seconds


def test_a_deferred_sensor_tells_its_trigger_how_to_wait():
    with pytest.raises(TaskDeferred) as caught:
        measured(**BACKING_OFF, deferrable=True, max_consecutive_failures=7, timeout=900).execute({})
    _, arguments = caught.value.trigger.serialize()
    assert arguments["deadline"] == pytest.approx(time.time() + 900, abs=60)
    assert arguments["first_poll"] == pytest.approx(time.time() + 63, abs=60)
    told = ("poll_interval", "exponential_backoff", "max_wait", "max_failures", "polls", "failures")
    assert [arguments[name] for name in told] == [60, True, 300, 7, 1, 0]


@pytest.mark.parametrize("left", [0.5, 100.0])
def test_a_rescheduled_sensor_does_not_run_again_before_airflow_knows_that_it_has_ended(monkeypatch, left):
    monkeypatch.setattr(intervals, "FIRST_WAIT", 6.0)

    def choose_pause(mode):
        sensor = measured(poke_interval=1, timeout=100, mode=mode)
        return sensor._get_next_poke_interval(None, lambda: 100 - left, 1)

    assert choose_pause("reschedule") == 6
    assert choose_pause("poke") < 2


def test_an_amount_is_the_same_text_whether_the_worker_or_the_trigger_has_found_it():
    arguments = {"record_id": "M-1", "conditions": {"creditLimit": "0.1"}}
    here = one(**arguments).execute({})
    event = run_trigger(
        one(**arguments, deferrable=True).build_trigger(intacct_conn_id="intacct_default", poll_interval=1)
    )
    there = one(**arguments).execute_complete({}, event)
    assert here == there
    assert [type(value) for value in here["values"].values()] == [str]
