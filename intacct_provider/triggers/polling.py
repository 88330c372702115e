"""The base of the triggers that wait for something: polls until it is found, then fires once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from intacct_provider.exceptions import IntacctError
from intacct_provider.triggers import intervals
from intacct_provider.triggers.event_payloads import (
    build_error_event,
    build_success_event,
    build_timeout_event,
)
from intacct_provider.triggers.intervals import (
    MAX_FAILURES,
    check_interval,
    describe_cost,
    describe_pause,
    next_wait,
)
from intacct_provider.triggers.shared_client import Ask, share_client

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: Seconds over which triggers that a restarted triggerer takes up spread their first polls at most.
SPREAD = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a poll found.

    :param met: whether the wait is over.
    :param text: what was found and what is waited for, for logs.
    :param summary: what was found, as plain JSON; the XCom of the task.
    """

    met: bool
    text: str
    summary: Mapping[str, Any] = field(default_factory=dict)


class PollingTrigger(BaseTrigger):
    """Poll until something is found, then fire once.

    Only reads, so it may be started twice or restarted at any time. It fires exactly one event: a success with a
    summary, a timeout, or an error with its type. All triggers of a connection share one client and at most
    ``max_concurrency`` threads.

    A subclass has :meth:`poll`, and adds its own arguments to those of :meth:`serialize`.

    :param intacct_conn_id: id of the Airflow connection.
    :param entity_id: entity to work in; None takes the connection's.
    :param poll_interval: seconds between polls, at least 1; up to a tenth is added at random.
    :param deadline: wall-clock time, in seconds since 1970, of the last poll; None to wait for ever.
    :param exponential_backoff: double the interval with each poll.
    :param max_wait: seconds between polls at most, with ``exponential_backoff``.
    :param max_failures: polls that fail in a row, for reasons that may pass, until the wait fails; None for any number.
    :param polls: polls that the operator has had answered, and
    :param failures: that failed last, before it deferred.
    :param first_poll: wall-clock time of the first poll; it is not repeated at once when the triggerer is restarted.
    :raises IntacctArgumentError: for a ``poll_interval`` below 1 second.
    """

    def __init__(
        self,
        *,
        intacct_conn_id: str,
        entity_id: str | None = None,
        poll_interval: float,
        deadline: float | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_failures: int | None = MAX_FAILURES,
        polls: int = 0,
        failures: int = 0,
        first_poll: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.intacct_conn_id = intacct_conn_id
        self.entity_id = entity_id
        self.poll_interval = check_interval("poll_interval", poll_interval)
        self.deadline = deadline
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_failures = max_failures
        self.polls = polls
        self.failures = failures
        self.first_poll = first_poll
        self._billed = 0

    def poll(self, client: IntacctClient) -> Finding:
        """Return what there is now; called on a thread."""
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "intacct_conn_id": self.intacct_conn_id,
                "entity_id": self.entity_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "max_failures": self.max_failures,
                "polls": self.polls,
                "failures": self.failures,
                "first_poll": self.first_poll,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the event that ends the wait."""
        cost = describe_cost(
            self.poll_interval, exponential_backoff=self.exponential_backoff, max_wait=self.max_wait
        )
        self.log.info("Intacct: polling with connection %r %s.", self.intacct_conn_id, cost)
        async with share_client(self.intacct_conn_id, self.entity_id) as ask:
            event = await self._wait(ask)
        event.payload["transactions"] = self._billed
        yield event

    async def _wait(self, ask: Ask) -> TriggerEvent:
        polls, failures, pause = self.polls, self.failures, self._choose_first_pause()
        while True:
            asked = None
            await asyncio.sleep(pause)
            try:
                found = await ask(self._poll_and_count)
            except IntacctError as err:
                failures, asked = failures + 1, err.retry_after
                text = f"poll failed, {failures} in a row: {err}"
                if not err.retryable or (self.max_failures is not None and failures >= self.max_failures):
                    self.log.error("Intacct: %s", text)
                    return build_error_event(err)
            except Exception as err:  # If a trigger raises, the task does not learn the reason.
                return build_error_event(err)
            else:
                polls, failures, text = polls + 1, 0, found.text
                if found.met:
                    self.log.info("%s. Done.", text)
                    return build_success_event(found.summary)
                del found  # A trigger that waits holds little: see _Share.
            if self.deadline is not None and time.time() >= self.deadline:
                return build_timeout_event(text)
            pause = self._bound(
                next_wait(
                    self.poll_interval,
                    failures,
                    polls=polls,
                    exponential_backoff=self.exponential_backoff,
                    max_wait=self.max_wait,
                    asked=asked,
                )
            )
            self.log.info("%s (connection %r). %s", text, self.intacct_conn_id, describe_pause(pause))

    def _poll_and_count(self, client: IntacctClient) -> Finding:
        """Poll, and count what Intacct bills for it: the task adds that to its own when it goes on."""
        before = client.transactions_here
        try:
            return self.poll(client)
        finally:
            self._billed += client.transactions_here - before

    def _choose_first_pause(self) -> float:
        """Return the seconds until the first poll: as the operator announced it, or soon if that is over."""
        pause = next_wait(self.poll_interval) if self.first_poll is None else self.first_poll - time.time()
        if pause <= 0:
            pause = intervals.FIRST_WAIT + random.uniform(0, min(self.poll_interval, SPREAD))  # noqa: S311
        return max(self._bound(pause), intervals.FIRST_WAIT)

    def _bound(self, pause: float) -> float:
        """Return a pause that does not end after the deadline: the last poll is then, and not an interval later."""
        return pause if self.deadline is None else min(pause, max(0.0, self.deadline - time.time()))
