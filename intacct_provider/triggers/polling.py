"""What all triggers share: one client per connection, the pauses between polls, their cost, and typed events.

Triggers only read. Importing this module loads neither the client nor Airflow beyond its base class of triggers.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow.triggers.base import TriggerEvent

from intacct_provider import exceptions
from intacct_provider.client.forks import call_after_fork
from intacct_provider.exceptions import (
    ErrorDetail,
    IntacctArgumentError,
    IntacctAuthenticationError,
    IntacctError,
    IntacctTriggerError,
    IntacctTriggerTimeoutError,
)

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.hooks.intacct import IntacctHook

Answer = TypeVar("Answer")

#: Failed polls in a row after which a wait fails; fewer are treated as temporary.
MAX_FAILURES = 5
#: Seconds before the first poll. Airflow 3.3 loses a task whose trigger fires before its worker has reported the
#: deferral (apache/airflow #66374, #71580), and the operator has just asked.
FIRST_WAIT = 6.0
#: Seconds between polls at least, since each is a billed call.
MIN_INTERVAL = 1.0
#: Seconds between polls at most, when polls fail and the interval is shorter.
LONGEST_BACK_OFF = 900.0
#: Transactions a month that Intacct's first performance tier includes.
TIER_1 = 100_000
#: Requests in flight of a connection whose ``max_concurrency`` is ``auto``.
AUTO_CONCURRENCY = 4

# --- pauses and their cost


def check_interval(argument: str, seconds: Any) -> float:
    """Return an interval in seconds, from a number or a timedelta; reject one that polls without a pause.

    :raises IntacctArgumentError: if it is not a finite number, or below 1 second.
    """
    number = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if not isinstance(number, int | float) or isinstance(number, bool) or not isfinite(number):
        raise IntacctArgumentError(f"{argument} must be at least 1 second, as a number, not {seconds!r}.")
    if number < MIN_INTERVAL:
        raise IntacctArgumentError(
            f"{argument} must be at least {MIN_INTERVAL:g} second, not {seconds!r}: each poll is a billed API "
            "transaction."
        )
    return float(number)


def next_wait(
    interval: float,
    failures: int = 0,
    *,
    polls: int = 0,
    exponential_backoff: bool = False,
    max_wait: float | None = None,
) -> float:
    """Return the seconds until the next poll: the interval, and up to a tenth of it at random.

    :param failures: polls that failed in a row. Each doubles the wait, up to 15 minutes.
    :param polls: polls that were answered so far.
    :param exponential_backoff: double the wait with each of these, too.
    :param max_wait: seconds at most, as long as no poll fails.
    """
    wait = interval * 2.0 ** min(polls, 60) if exponential_backoff else interval
    if max_wait is not None:
        wait = min(wait, max_wait)
    if failures:
        wait = max(wait, min(interval * 2.0 ** min(failures, 60), LONGEST_BACK_OFF))
    return max(MIN_INTERVAL, wait) * random.uniform(1, 1.1)  # noqa: S311


def describe_cost(interval: float, calls: int = 1) -> str:
    """Return what polling costs, such as ``every 300 s: 288 a day, 8.6 % of tier 1``.

    :param calls: billed transactions of each poll.
    """
    a_day = 86_400 / interval * calls
    return f"every {interval:g} s: {a_day:,.0f} a day, {a_day * 30 / TIER_1:.1%} of tier 1".replace("%", " %")


# --- one client per connection


class Ask(Protocol):
    """Answers questions with the shared client, on one of its threads."""

    async def __call__(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        """Return the answer.

        :raises IntacctError: what the client raises; errors of the connection included.
        """


@asynccontextmanager
async def share_client(intacct_conn_id: str, entity_id: str | None = None) -> AsyncIterator[Ask]:
    """Give a trigger the client that all triggers of a connection and entity share in this process.

    It has at most ``max_concurrency`` threads (4 for ``auto``), so that there are never more requests in flight, nor
    more TCP connections; further questions wait in line. It is opened by the first question and closed, with its
    connections, when the last trigger leaves; a question that is in flight then ends first. A trigger that is
    cancelled takes its question out of the line. When Intacct rejects the credentials, the connection is read again
    and the question repeated if it was changed.

    :param entity_id: entity to work in; None takes the connection's.
    """
    key = (asyncio.get_running_loop(), intacct_conn_id, entity_id)
    shared = _shared.setdefault(key, _SharedClient(intacct_conn_id, entity_id))
    shared.users += 1
    try:
        yield shared.ask
    finally:
        shared.users -= 1
        if not shared.users:
            # Not there in a process that was forked meanwhile.
            _shared.pop(key, None)
            shared.retire()


def make_hook(intacct_conn_id: str, entity_id: str | None) -> IntacctHook:
    """Return the hook for polls: requests are retried for a minute at most, since the next poll is a retry, too."""
    from intacct_provider.client.http.retry import RetryPolicy
    from intacct_provider.hooks.intacct import IntacctHook

    return IntacctHook(
        intacct_conn_id, entity_id=entity_id, retry=RetryPolicy(attempts=3, longest=10.0, budget=60.0)
    )


class _SharedClient:
    """The client of a connection, opened when it is first needed, and again when the connection was changed."""

    def __init__(self, intacct_conn_id: str, entity_id: str | None) -> None:
        self.users = 0
        self._connection = (intacct_conn_id, entity_id)
        self._opening: asyncio.Task[_OpenClient] | None = None

    async def ask(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        """Return the answer to a question."""
        opened = await self._open()
        try:
            return await opened.ask(question)
        except IntacctAuthenticationError:
            if not await self._reopen(opened):
                raise
        return await (await self._open()).ask(question)

    async def _open(self) -> _OpenClient:
        """Return the open client. A trigger that is cancelled does not keep the others from opening it."""
        if self._opening is None or (self._opening.done() and _has_failed(self._opening)):
            self._opening = asyncio.create_task(asyncio.to_thread(_connect, *self._connection))
        return await asyncio.shield(self._opening)

    async def _reopen(self, opened: _OpenClient) -> bool:
        """Open another client if the connection was changed since this one was opened; return whether there is one."""
        fresh = asyncio.create_task(asyncio.to_thread(_connect, *self._connection))
        unused = True
        try:
            client = await asyncio.shield(fresh)
            if await self._open() is not opened:
                return True
            unused = client.config == opened.config
            if not unused:
                self._opening = fresh
                opened.retire()
            return not unused
        finally:
            if unused:
                fresh.add_done_callback(_retire)

    def retire(self) -> None:
        """Close the client when the question in flight is answered."""
        if self._opening is not None:
            self._opening.add_done_callback(_retire)


class _OpenClient:
    """A client with the threads that ask its questions.

    :param client: of them alone.
    """

    def __init__(self, client: IntacctClient) -> None:
        self.config = client.config
        self._client = client
        limit = self.config.max_concurrency
        self._threads = ThreadPoolExecutor(
            AUTO_CONCURRENCY if limit == "auto" else limit, thread_name_prefix="intacct-trigger"
        )
        self._lock = threading.Lock()
        self._in_flight = 0
        self._retired = False

    async def ask(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        """Return the answer to a question; what is logged meanwhile belongs to the trigger that asks."""
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        answer: Answer = await loop.run_in_executor(self._threads, context.run, self._answer, question)
        return answer

    def _answer(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        with self._lock:
            self._in_flight += 1
        try:
            return question(self._client)
        finally:
            with self._lock:
                self._in_flight -= 1
            self._close_if_done()

    def retire(self) -> None:
        """Close the client; if questions are in flight, when the last one is answered."""
        self._retired = True
        self._threads.shutdown(wait=False)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._in_flight:
            self._client.close()


_shared: dict[tuple[asyncio.AbstractEventLoop, str, str | None], _SharedClient] = {}
#: The clients of the parent process, which are neither used nor closed here.
_inherited: list[Any] = []


def _renew_after_fork() -> None:
    _inherited.append(dict(_shared))
    _shared.clear()


call_after_fork(_renew_after_fork)


def _connect(intacct_conn_id: str, entity_id: str | None) -> _OpenClient:
    """Read the connection and open a client; on a thread, where that does not block Airflow's event loop."""
    return _OpenClient(make_hook(intacct_conn_id, entity_id).client)


def _has_failed(opening: asyncio.Task[_OpenClient]) -> bool:
    return opening.cancelled() or opening.exception() is not None


def _retire(opening: asyncio.Task[_OpenClient]) -> None:
    if not _has_failed(opening):
        opening.result().retire()


# --- events


def build_success_event(summary: Mapping[str, Any]) -> TriggerEvent:
    """Return the event of a wait that ended well.

    :param summary: what was found, as plain JSON; small, since it is stored in Airflow's database.
    """
    return TriggerEvent({"status": "success", "summary": dict(summary)})


def build_timeout_event(message: str) -> TriggerEvent:
    """Return the event of a wait whose time is up.

    :param message: what was found last.
    """
    return TriggerEvent({"status": "timeout", "message": message})


def build_error_event(err: Exception) -> TriggerEvent:
    """Return the event of a wait that failed, from which :func:`read_event` makes the same exception again."""
    facts = {name: value for name, value in vars(err).items() if isinstance(value, str | int | float)}
    return TriggerEvent(
        {
            "status": "error",
            "error_type": type(err).__name__,
            "message": str(getattr(err, "message", err)),
            "retryable": bool(getattr(err, "retryable", True)),
            "facts": facts,
            "details": [list(detail) for detail in getattr(err, "details", ())],
        }
    )


def read_event(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the summary of a success.

    :raises IntacctTriggerTimeoutError: if the time was up.
    :raises IntacctError: what ended the wait, of its own type; ``retryable`` says whether a retry can help.
    :raises IntacctTriggerError: for an error of another type, and for an event that is missing or unknown.
    """
    status = event.get("status") if isinstance(event, Mapping) else None
    if event and status == "success" and isinstance(event.get("summary"), Mapping):
        return dict(event["summary"])
    if event and status == "timeout":
        raise IntacctTriggerTimeoutError(str(event.get("message")))
    if event and status == "error":
        raise _rebuild_error(event)
    raise IntacctTriggerError(
        f"The trigger sent an event with an unknown status: {status!r}."
        if event
        else "The trigger ended without an event."
    )


def _rebuild_error(event: Mapping[str, Any]) -> IntacctError:
    name, message = str(event.get("error_type")), str(event.get("message"))
    found = getattr(exceptions, name, None)
    if isinstance(found, type) and issubclass(found, IntacctError) and _takes_a_message(found):
        error = found(message)
        vars(error).update(event.get("facts") or {})
        if details := event.get("details"):
            vars(error)["details"] = tuple(ErrorDetail(*detail) for detail in details)
    else:
        error = IntacctTriggerError(f"{name}: {message}")
    if error.retryable is not bool(event.get("retryable")):
        error.retryable = bool(event.get("retryable"))
    return error


def _takes_a_message(error: type[IntacctError]) -> bool:
    """Whether an exception is made of its message alone, as those are that reads raise."""
    own = [
        base for base in error.__mro__ if base.__module__ == exceptions.__name__ and "__init__" in vars(base)
    ]
    return not own or own == [exceptions.IntacctAPIError]
