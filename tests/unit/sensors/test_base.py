"""Arguments of sensors, and that they wait in the same way in every mode."""

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from numbers import Integral

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"


def make(**arguments):
    return IntacctQuerySensor(**{"task_id": "t", "object_name": CUSTOMER, **arguments})


#: Prints which of the classes that can defer do so by default.
WHO_DEFERS = """
from intacct_provider.operators.jobs import IntacctBulkJobOperator
from intacct_provider.sensors.jobs import IntacctBulkJobSensor
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor

tasks = [
    IntacctBulkJobOperator(task_id="a", object_name="a/b", operation="create"),
    IntacctBulkJobSensor(task_id="b", job_id="1"),
    IntacctQuerySensor(task_id="c", object_name="a/b"),
    IntacctRecordSensor(task_id="d", object_name="a/b", key="1"),
]
print("deferrable:", *(task.deferrable for task in tasks))
"""


@pytest.mark.parametrize("default", [True, False])
def test_airflow_s_default_decides_who_defers(default):
    done = subprocess.run(
        [sys.executable, "-c", WHO_DEFERS],
        env={**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": str(default)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"deferrable: {' '.join([str(default)] * 4)}" in done.stdout


def test_a_sensor_polls_every_five_minutes_by_default():
    assert make().poke_interval == 300


@pytest.mark.parametrize("interval", [90, 90.0, timedelta(seconds=90)])
def test_the_interval_is_seconds_or_a_timedelta(interval):
    assert make(poke_interval=interval).poke_interval == 90


@pytest.mark.parametrize("interval", [None, float("nan"), float("inf"), -1, "60"], ids=repr)
def test_an_interval_that_is_not_a_number_is_refused_where_the_dag_is_written(interval):
    # Which of them, Airflow decides.
    with pytest.raises((ValueError, AirflowException), match="poke_interval"):
        make(poke_interval=interval)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"poke_interval": 0.5}, r"poke_interval must be at least 1 second, not 0\.5"),
        ({"max_wait": 0.5}, "max_wait must be at least 1 second"),
        ({"max_consecutive_failures": 0}, "max_consecutive_failures must be a whole number of 1 or more"),
        ({"max_consecutive_failures": None}, "max_consecutive_failures must be a whole number of 1 or more"),
        ({"at_least": "None"}, "at_least must be a whole number, not 'None'"),
        ({"exactly": 3, "at_least": 2}, "exactly=3 and at_least=2: give one of them"),
        ({"aggregate": "sum:totalDue"}, "aggregate='sum:totalDue' needs a value to compare with"),
        ({"aggregate": "totalDue", "at_least": 1}, "aggregate must be a function of a field"),
        ({"aggregate": "total:totalDue", "at_least": 1}, "aggregate must be a function of a field"),
        ({"aggregate": "sum:", "at_least": 1}, "aggregate must be a function of a field"),
        ({"aggregate": "sum:totalDue", "exactly": "lots"}, "exactly must be a number"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wrong_argument_is_named_before_anything_is_sent(monkeypatch, arguments, message, deferrable):
    connect(monkeypatch)
    with pytest.raises(AirflowFailException, match=message):
        make(deferrable=deferrable, **arguments).execute({})


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("{'status': 'active'}", "conditions must be a mapping of fields to values"),
        ([{"$eq": {"status": "active"}}], "conditions must be a mapping of fields to values"),
        ({"": "active"}, "conditions names the field '', which is not a field name"),
        ({"status": {"$ne": "active"}}, r"conditions\['status'\] must be text, a number"),
        ({"status": []}, r"conditions\['status'\] must be text, a number"),
        ({"status": [None]}, r"conditions\['status'\] must be text, a number"),
        ({"total": float("nan")}, r"conditions\['total'\] must be text, a number"),
    ],
    ids=repr,
)
def test_a_wrong_condition_is_named_as_the_user_wrote_it(monkeypatch, conditions, message):
    connect(monkeypatch)
    sensor = IntacctRecordSensor(task_id="t", object_name=CUSTOMER, record_id="C-1", conditions=conditions)
    with pytest.raises(AirflowFailException, match=message) as raised:
        sensor.execute({})
    assert "filters" not in str(raised.value)


def test_a_record_that_is_gone_has_no_values(monkeypatch):
    connect(monkeypatch)
    sensor = IntacctRecordSensor(
        task_id="t", object_name=CUSTOMER, key="1", conditions={"status": "active"}, gone=True
    )
    with pytest.raises(AirflowFailException, match="conditions do not go with gone=True"):
        sensor.execute({})


def test_bounds_may_be_templates():
    assert {"at_least", "at_most", "exactly", "aggregate"} <= set(IntacctQuerySensor.template_fields)
    assert make(at_least="3").condition().bounds == {"at_least": "3"}
    assert make().condition().bounds == {"at_least": "1"}
    assert make(at_most=2).condition().bounds == {"at_most": "2"}
    assert make(aggregate="sum:totalDue", exactly=Decimal("1E+3")).condition().bounds == {"exactly": "1000"}


def test_a_sensor_that_an_earlier_version_deferred_waits_on():
    from intacct_provider.triggers.condition import load_condition

    old = {
        "object_name": CUSTOMER,
        "filters": [{"$eq": {"status": "active"}}],
        "filter_expression": "and",
        "filter_parameters": None,
        "at_least": 2,
        "checked": True,
    }
    condition = load_condition(old)
    assert (condition.bounds, condition.checked) == ({"at_least": "2"}, True)


def test_flags_that_are_neither_true_nor_false_are_refused(monkeypatch):
    with pytest.raises(IntacctArgumentError, match="deferrable must be True or False, not 'no'"):
        make(deferrable="no")
    assert make(deferrable="False").deferrable is False
    assert (
        IntacctRecordSensor(task_id="t", object_name=CUSTOMER, key="1", gone="true").condition().gone is True
    )
    with pytest.raises(IntacctArgumentError, match="gone must be True or False, not 1"):
        IntacctRecordSensor(task_id="t", object_name=CUSTOMER, key="1", gone=1).condition()


def test_numbers_of_other_libraries_are_numbers():
    @Integral.register
    class Int64:
        def __init__(self, value):
            self.value = value

        def __int__(self):
            return self.value

        def __str__(self):
            return str(self.value)

    assert make(at_least=Int64(3)).condition().bounds == {"at_least": "3"}
    sensor = IntacctRecordSensor(task_id="t", object_name=CUSTOMER, key=Int64(24))
    assert sensor.condition().record == {"key": "24"}


def test_soft_fail_and_never_fail_exclude_each_other():
    with pytest.raises(ValueError, match="mutually exclusive"):
        make(soft_fail=True, never_fail=True)


def connect(monkeypatch):
    """Give the sensor a connection to nowhere: what reaches it fails in another way."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_INTACCT_DEFAULT",
        '{"conn_type": "intacct", "host": "http://127.0.0.1:9/ia/api/v1", "login": "a", "password": "secret-of-nobody",'
        ' "extra": {"company_id": "c", "user_id": "u"}}',
    )
