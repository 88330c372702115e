"""The trigger of the sensors: polls Intacct until enough records match."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from intacct_provider.exceptions import IntacctArgumentError, IntacctError
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.triggers.condition import Condition

#: Failed polls in a row after which the task fails; fewer are treated as temporary.
MAX_FAILURES = 5
#: Seconds before the first poll. The sensor has just polled, and Airflow 3.3 loses a task whose trigger fires before
#: its worker has reported the deferral (apache/airflow #66374, #71580).
FIRST_WAIT = 6.0
#: Seconds between polls at least, since each is a billed call.
MIN_INTERVAL = 1.0

# Intacct allows about six requests in flight per application, however many triggers wait.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="intacct-trigger")


def _renew_after_fork() -> None:
    global _threads  # the threads of the parent process are not here
    _threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="intacct-trigger")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


def check_interval(argument: str, seconds: float) -> None:
    """Reject an interval that would poll without a pause.

    :raises IntacctArgumentError: if it is not a number, or below 1 second.
    """
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (number and seconds >= MIN_INTERVAL):
        raise IntacctArgumentError(
            f"{argument} must be at least {MIN_INTERVAL:g} second, not {seconds!r}: each poll is a billed API "
            "transaction."
        )


class IntacctQueryTrigger(BaseTrigger):
    """Wait until at least ``at_least`` records match, then fire once.

    Only reads, so it may be started twice or restarted at any time. The connection is read once per start; the client
    is the same as in operators and runs on a small thread pool of the triggers.

    :param intacct_conn_id: id of the Airflow connection.
    :param entity_id: entity to work in; None takes the connection's.
    :param condition: parts of a :class:`~intacct_provider.triggers.condition.Condition`.
    :param poll_interval: seconds between polls, at least 1; up to a tenth is added at random.
    :param deadline: wall-clock time, in seconds since 1970, after which it polls no more.
    :raises IntacctArgumentError: for a ``poll_interval`` below 1 second.
    """

    def __init__(
        self,
        *,
        intacct_conn_id: str,
        entity_id: str | None,
        condition: dict[str, Any],
        poll_interval: float,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_interval("poll_interval", poll_interval)
        self.intacct_conn_id = intacct_conn_id
        self.entity_id = entity_id
        self.condition = condition
        self.poll_interval = poll_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments."""
        return (
            "intacct_provider.triggers.query.IntacctQueryTrigger",
            {
                "intacct_conn_id": self.intacct_conn_id,
                "entity_id": self.entity_id,
                "condition": self.condition,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield success with the count, a timeout, or an error."""
        condition = Condition(**self.condition)
        hook = IntacctHook(self.intacct_conn_id, entity_id=self.entity_id)
        failures, wait = 0, max(self.poll_interval, FIRST_WAIT)
        while True:
            pause = wait * random.uniform(1, 1.1)  # noqa: S311
            if self.deadline is not None:
                # The last poll is at the deadline, not an interval later.
                pause = min(pause, max(0.0, self.deadline - time.time()))
            await asyncio.sleep(pause)
            wait = self.poll_interval
            try:
                count = await self._run_on_thread(lambda: condition.count(hook.client))
            except IntacctError as err:
                failures += 1
                self.log.warning("Intacct: %s (%d in a row)", err, failures)
                if not err.retryable or failures >= MAX_FAILURES:
                    yield _build_error_event(err, retryable=err.retryable)
                    return
                continue
            except Exception as err:  # If a trigger raises, the task does not learn the reason.
                yield _build_error_event(err, retryable=True)
                return
            failures = 0
            if count >= condition.at_least:
                yield TriggerEvent({"status": "success", "count": count})
                return
            found = f"{condition.object_name}: matching records: {count}, waiting for {condition.at_least}"
            self.log.info("%s.", found)
            if self.deadline is not None and time.time() >= self.deadline:
                yield TriggerEvent({"status": "timeout", "message": found})
                return

    async def _run_on_thread(self, poll: Any) -> int:
        """Poll on a thread, where Airflow can also read a connection without blocking its event loop."""
        count: int = await asyncio.get_running_loop().run_in_executor(_threads, poll)
        return count


def _build_error_event(err: Exception, *, retryable: bool) -> TriggerEvent:
    text = {"error_type": type(err).__name__, "message": str(err)}
    return TriggerEvent({"status": "error", "retryable": retryable, **text})
