"""The base of the sensors: one way of polling in each mode, and the same outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from intacct_provider._compat import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    conf,
)
from intacct_provider.exceptions import (
    IntacctError,
    IntacctTriggerError,
    IntacctTriggerTimeoutError,
)
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.base import IntacctOperator, airflow_errors, read_flag
from intacct_provider.triggers import intervals
from intacct_provider.triggers.intervals import (
    MAX_FAILURES,
    TIMEOUT_GRACE,
    check_interval,
    describe_cost,
    describe_pause,
    next_wait,
)

# Conditions and triggers are imported when a sensor runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.triggers.condition import Condition
    from intacct_provider.triggers.polling import Finding, PollingTrigger
    from intacct_provider.triggers.record_condition import RecordCondition

#: Seconds between polls by default. Airflow's own default of 60 would be 43 % of Intacct's first tier for one sensor.
POKE_INTERVAL = 300.0
#: Seconds between two polls of one reschedule at most, while polls fail.
LONGEST_PAUSE = 60.0
#: How Airflow's message about a timeout begins, which says neither what was waited for nor what was found.
_AIRFLOWS_TIMEOUT = "Sensor has timed out"


class IntacctConditionSensor(IntacctOperator, BaseSensorOperator):
    """Wait for a condition. Poke, reschedule and deferrable mode poll in the same way and end in the same way.

    A wait that Intacct refuses, because of credentials, a permission or a wrong field, fails the task at once, without
    a retry, and under ``soft_fail`` too, which skips the task for a timeout only. ``never_fail`` skips it for anything.

    :param intacct_conn_id: id of the Airflow connection. (templated)
    :param entity_id: entity to work in; ``""`` is the top level; None takes the connection's. (templated)
    :param poke_interval: seconds between polls, or a timedelta; at least 1, 300 by default. Up to a tenth is added at
        random. In reschedule mode, polls are at least 6 seconds apart.
    :param exponential_backoff: double the interval with each poll, up to ``max_wait``.
    :param max_consecutive_failures: polls that may fail in a row, for reasons that may pass, before the task does; the
        last of them fails it. With ``silent_fail`` there is no limit.
    :param deferrable: wait in the triggerer instead of on a worker.
    :param multiple_outputs: push each part of the summary as an XCom of its own, too, so that
        ``sensor.output["key"]`` is the key of the record.
    """

    def __init__(
        self,
        *,
        poke_interval: timedelta | float = POKE_INTERVAL,
        max_consecutive_failures: int = MAX_FAILURES,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        multiple_outputs: bool = True,
        **kwargs: Any,
    ) -> None:
        try:
            super().__init__(poke_interval=poke_interval, multiple_outputs=multiple_outputs, **kwargs)
        except OverflowError:
            # Airflow does not say which argument is infinite.
            for name, seconds in {"poke_interval": poke_interval, **kwargs}.items():
                if name in ("poke_interval", "timeout", "max_wait") and seconds is not None:
                    check_interval(name, seconds)
            raise
        self.max_consecutive_failures = max_consecutive_failures
        self.deferrable = read_flag("deferrable", deferrable)
        self._polls = self._failures = 0
        self._begun = 0.0
        #: What the last poll found, or why it failed.
        self._found = ""
        #: Seconds that Intacct asked to wait when the last poll failed.
        self._asked: float | None = None

    def condition(self) -> Condition | RecordCondition:
        """Return the condition to wait for, checked."""
        raise NotImplementedError

    def build_trigger(self, **how: Any) -> PollingTrigger:
        """Return the trigger that waits for the condition.

        :param how: arguments of :class:`~intacct_provider.triggers.polling.PollingTrigger`.
        """
        from intacct_provider.triggers.query import IntacctQueryTrigger

        condition = replace(self.condition(), checked=self._polls > 0)
        return IntacctQueryTrigger(condition=condition.to_dict(), **how)

    def poll(self, client: Any) -> Finding:
        """Return what there is now."""
        return replace(self.condition(), checked=self._polls > 0).poll(client)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; a summary of what was found is the XCom value."""
        finding = self._try_poll(context)
        # A rescheduled task would have forgotten that polls failed, so it waits on the worker where that counts.
        while finding is None and self.reschedule and not (self.deferrable or self.silent_fail):
            left = self._count_seconds_left(context)
            if left <= 0:
                break
            pause = min(self._choose_pause(), max(LONGEST_PAUSE, self._asked or 0.0), left)
            self.log.info(describe_pause(pause))
            time.sleep(pause)
            finding = self._try_poll(context)
        if finding is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(finding.met, xcom_value=dict(finding.summary))

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or poll once and then defer to the triggerer."""
        self._begun = time.time()
        with self._decide_outcome():
            return self._poll_or_defer(context) if self.deferrable else super().execute(context)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the summary that the trigger reports; a missing or unknown event is a failure.

        :raises AirflowSensorTimeout: if the condition was not met in time.
        :raises AirflowFailException: if a retry cannot help.
        :raises IntacctError: for errors that may pass, of their own type.
        :raises AirflowException: for all other errors.
        """
        from intacct_provider.triggers.event_payloads import read_event, read_transactions

        self.log_bill(0, read_transactions(event))
        with airflow_errors(self.intacct_conn_id):
            try:
                summary = read_event(event)
            except IntacctTriggerTimeoutError as err:
                self._found = str(err)
                raise AirflowSensorTimeout(self._describe_timeout()) from err
            except IntacctTriggerError as err:
                if not err.retryable:
                    raise
                raise AirflowException(f"{self.task_id}: {err}") from err
        self.log.info("Intacct: the trigger found what %s waits for: %s", self.task_id, summary)
        return summary

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the trigger, and end as the other modes do."""
        with self._decide_outcome():
            return super().resume_execution(next_method, next_kwargs, context)

    @cached_property
    def hook(self) -> IntacctHook:
        """The hook of polls, which retries requests for a minute at most: the next poll is a retry, too."""
        from intacct_provider.triggers.shared_client import make_hook

        return make_hook(self.intacct_conn_id, self.entity_id)

    def _try_poll(self, context: Context) -> Finding | None:
        """Poll; return None if that failed for a reason that may pass, and not too often in a row."""
        self._polls = max(self._polls, int(context.get("task_reschedule_count") or 0))
        try:
            with self.client(context) as client:
                self._check_intervals()
                if not self._polls and not self._failures:
                    self._log_cost()
                finding = self.poll(client)
        except AirflowNotFoundException as err:
            # Airflow's modes differ: with silent_fail, some would wait for the connection until the timeout.
            raise AirflowFailException(f"{self.task_id}: {err}") from err
        except IntacctError as err:
            self._failures += 1
            self._asked = err.retry_after
            if not self.silent_fail and self._failures >= self.max_consecutive_failures:
                raise
            self._found = f"poll failed, {self._failures} in a row: {err}"
            self.log.warning("Intacct: %s", self._found)
            return None
        self._polls, self._failures, self._asked = self._polls + 1, 0, None
        self._found = finding.text
        self.log.info("%s (connection %r).%s", finding.text, self.intacct_conn_id, " Done." * finding.met)
        return finding

    def _count_seconds_left(self, context: Context) -> float:
        """Return the seconds until the timeout of a wait that is rescheduled."""
        first = context["ti"].get_first_reschedule_date(context)
        begun = self._begun if first is None else first.timestamp()
        return begun + self.timeout - time.time()

    def _poll_or_defer(self, context: Context) -> Any:
        finding = self._try_poll(context)
        if finding is not None and finding.met:
            return dict(finding.summary)
        left = self._begun + self.timeout - time.time()
        if left <= 0:
            raise AirflowSensorTimeout(self._describe_timeout())
        pause = min(self._choose_pause(), left)
        self.log.info(describe_pause(pause))
        return self.defer(
            # The trigger keeps the deadline; this timeout is for a triggerer that is down.
            timeout=timedelta(seconds=self.timeout + TIMEOUT_GRACE),
            trigger=self.build_trigger(
                intacct_conn_id=self.intacct_conn_id,
                entity_id=self.entity_id,
                poll_interval=float(self.poke_interval),
                deadline=self._begun + self.timeout,
                exponential_backoff=self.exponential_backoff,
                max_wait=self._longest_wait,
                max_failures=None if self.silent_fail else self.max_consecutive_failures,
                polls=self._polls,
                failures=self._failures,
                first_poll=time.time() + pause,
            ),
            method_name="execute_complete",
        )

    def _check_intervals(self) -> None:
        from intacct_provider.client.arguments import check_whole_number

        check_interval("poke_interval", self.poke_interval)
        if self.max_wait is not None:
            check_interval("max_wait", self.max_wait)
        check_whole_number("max_consecutive_failures", self.max_consecutive_failures)

    def _log_cost(self) -> None:
        cost = describe_cost(
            self.poke_interval, exponential_backoff=self.exponential_backoff, max_wait=self._longest_wait
        )
        self.log.info("Intacct: polling %s.", cost)

    def _describe_timeout(self) -> str:
        """Return what Airflow's own message lacks: what was found last, and by which connection."""
        found = f": {self._found}" if self._found else ""
        return f"Timed out after {self.timeout:g} s{found} (connection {self.intacct_conn_id!r})."

    @property
    def _longest_wait(self) -> float | None:
        return None if self.max_wait is None else self.max_wait.total_seconds()

    def _choose_pause(self) -> float:
        return next_wait(
            self.poke_interval,
            self._failures,
            polls=self._polls,
            exponential_backoff=self.exponential_backoff,
            max_wait=self._longest_wait,
            asked=self._asked,
        )

    def _get_next_poke_interval(
        self,
        started_at: Any,  # noqa: ARG002
        run_duration: Callable[[], float],
        poke_count: int,  # noqa: ARG002
    ) -> float:
        """Return the seconds until the next poll, in place of Airflow's own: the last one is at the timeout."""
        pause = min(self._choose_pause(), max(0.0, self.timeout - run_duration()))
        if self.reschedule:
            # Airflow fails a task that runs again before its scheduler knows that the last run has ended.
            pause = max(pause, intervals.FIRST_WAIT)
        self.log.info(describe_pause(pause))
        return pause

    @contextmanager
    def _decide_outcome(self) -> Iterator[None]:
        """Skip the task for what ``soft_fail`` and ``never_fail`` mean, in every mode.

        Airflow's own modes differ: deferred or not, they skip refusals, errors and timeouts in different cases.
        """
        try:
            yield
        except AirflowSkipException as skip:
            cause = skip.__cause__
            if (
                self.soft_fail
                and isinstance(cause, Exception)
                and not isinstance(cause, AirflowSensorTimeout)
            ):
                raise cause from cause.__cause__
            if cause is None and str(skip).startswith(_AIRFLOWS_TIMEOUT):
                raise AirflowSkipException(f"Skipped instead of failed: {self._describe_timeout()}") from skip
            raise
        except AirflowSensorTimeout as err:
            if str(err).startswith(_AIRFLOWS_TIMEOUT):
                err = AirflowSensorTimeout(self._describe_timeout())
            if not (self.soft_fail or self.never_fail):
                raise err from err.__cause__
            raise AirflowSkipException(f"Skipped instead of failed: {err}") from err
        except Exception as err:
            # Otherwise Airflow has seen to it, and this may be what it reschedules a task with.
            if not (self.never_fail and self.deferrable):
                raise
            raise AirflowSkipException(f"Skipped instead of failed: {err}") from err
