"""The base of the sensors: polling on a worker or, deferred, in the triggerer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from intacct_provider.operators.base import IntacctOperator

# Conditions and triggers are imported when a sensor runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from intacct_provider.triggers.condition import Condition

#: Seconds that the scheduler waits beyond a deferred sensor's own timeout.
TIMEOUT_GRACE = 60


class IntacctConditionSensor(IntacctOperator, BaseSensorOperator):
    """Waits for a condition; poke, reschedule and deferrable mode poll in the same way.

    :param intacct_conn_id: id of the Airflow connection. (templated)
    :param entity_id: entity to work in; ``""`` is the top level; None takes the connection's. (templated)
    :param deferrable: wait in the triggerer instead of on a worker.
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self._polled = False

    def condition(self) -> Condition:
        """Return the condition to wait for, checked."""
        raise NotImplementedError

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; the number of matching records is the XCom value."""
        from intacct_provider.triggers.query import check_interval

        with self.client(context) as client:
            check_interval("poke_interval", self.poke_interval)
            condition = replace(self.condition(), checked=self._is_checked(context))
            count = condition.count(client)
        self._polled = True
        self.log.info(
            "%s: matching records: %d, waiting for %d.", condition.object_name, count, condition.at_least
        )
        return PokeReturnValue(count >= condition.at_least, xcom_value=count)

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or poll once and then defer to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        from intacct_provider.triggers.query import IntacctQueryTrigger

        polled = self.poke(context)
        if polled.is_done:
            return polled.xcom_value
        return self.defer(
            # The trigger keeps the deadline; this timeout is for a triggerer that is down.
            timeout=timedelta(seconds=self.timeout + TIMEOUT_GRACE),
            trigger=IntacctQueryTrigger(
                intacct_conn_id=self.intacct_conn_id,
                entity_id=self.entity_id,
                condition=replace(self.condition(), checked=True).to_dict(),
                poll_interval=float(self.poke_interval),
                deadline=time.time() + self.timeout,
            ),
            method_name="execute_complete",
        )

    def _is_checked(self, context: Context) -> bool:
        """Whether an earlier poll of this attempt has checked the values of the condition, which costs calls."""
        return self._polled or bool(context.get("task_reschedule_count"))

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> int:  # noqa: ARG002
        """Return the count that the trigger reports; a missing or unknown event is a failure.

        Errors are Airflow's, or ``soft_fail`` would not apply to them.

        :raises AirflowSensorTimeout: if the condition was not met in time.
        :raises AirflowFailException: if a retry cannot help.
        :raises AirflowException: for all other errors.
        """
        status = (event or {}).get("status")
        if event and status == "success":
            return int(event["count"])
        if event and status == "timeout":
            raise AirflowSensorTimeout(f"Timed out after {self.timeout:g} s: {event.get('message')}")
        if event and status == "error":
            failure = AirflowException if event.get("retryable") else AirflowFailException
            raise failure(f"{event.get('error_type')}: {event.get('message')}")
        raise AirflowException(
            f"The trigger of {self.task_id} sent an event with an unknown status: {status!r}."
        )
