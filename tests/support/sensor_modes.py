"""A sensor in each of its modes, run as Airflow runs it but without its processes.

What Airflow stores between two processes goes through its serialization, and each process has a sensor of its own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_parts import AirflowRescheduleException, deserialize, import_string, serialize

from intacct_provider.exceptions import IntacctError

MODES = ("poke", "reschedule", "deferrable")


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    :ivar state: ``success``, ``skipped``, ``failed`` (without a retry) or ``retried``.
    :ivar xcom: what it returned.
    :ivar error: the type of the original exception.
    :ivar message: of the exception.
    """

    state: str
    xcom: object = None
    error: str = ""
    message: str = ""


class TaskInstance:
    """What a rescheduled sensor asks of its task instance, and what names its idempotency keys."""

    dag_id, run_id, task_id, map_index, max_tries = "d", "r", "t", -1, 0

    def __init__(self):
        self.began = datetime.now(UTC)

    def get_first_reschedule_date(self, _context):
        return self.began


def run_sensor(make, mode):
    """Run a sensor to its end.

    :param make: returns it, made with the arguments of a mode; called once for each process.
    """
    how = {"deferrable": True} if mode == "deferrable" else {"mode": mode, "deferrable": False}
    try:
        xcom = _RUNS[mode](lambda: make(**how))
    except AirflowSkipException as err:
        return _build_outcome("skipped", err)
    except (AirflowFailException, AirflowSensorTimeout) as err:
        return _build_outcome("failed", err)
    except Exception as err:
        return _build_outcome("retried", err)
    return Outcome("success", json.loads(json.dumps(xcom)))


def _build_outcome(state, err):
    original = err
    while not isinstance(original, AirflowSensorTimeout | IntacctError) and original.__cause__ is not None:
        original = original.__cause__
    return Outcome(state, error=type(original).__name__, message=str(err))


def _run_in_one_process(make):
    return make().execute({})


def _run_rescheduled(make):
    task = TaskInstance()
    for count in range(100):
        try:
            return make().execute({"ti": task, "task_reschedule_count": count})
        except AirflowRescheduleException:
            continue
    raise AssertionError("it was rescheduled a hundred times")


def _run_deferred(make):
    try:
        return make().execute({})
    except TaskDeferred as deferred:
        event = run_trigger(deferred.trigger)
        return make().resume_execution(deferred.method_name, {**(deferred.kwargs or {}), "event": event}, {})


def run_trigger(trigger):
    """Return the payload of a trigger's event, after both were stored."""
    path, arguments = trigger.serialize()
    again = import_string(path)(**deserialize(json.loads(json.dumps(serialize(arguments)))))
    assert again.serialize() == (path, arguments)

    async def run():
        return [event.payload async for event in again.run()]

    [event] = asyncio.run(asyncio.wait_for(run(), 60))
    return json.loads(json.dumps(event))


_RUNS = dict(zip(MODES, (_run_in_one_process, _run_rescheduled, _run_deferred), strict=True))
