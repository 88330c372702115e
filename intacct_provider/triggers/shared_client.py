"""One client for all triggers of a connection, with as many threads as it may have requests in flight."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from intacct_provider.client.forks import call_after_fork
from intacct_provider.exceptions import IntacctAuthenticationError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.hooks.intacct import IntacctHook

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

#: Requests in flight of a connection whose ``max_concurrency`` is ``auto``.
AUTO_CONCURRENCY = 4
#: Seconds after which a connection is read again, since somebody may have changed it.
OLDEST = 300.0
#: Seconds for which credentials that Intacct has rejected are not sent again.
REJECTED = 10.0


class Ask(Protocol):
    """Answers questions with the shared client, on one of its threads."""

    async def __call__(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        """Return the answer.

        :raises IntacctError: what the client raises; errors of the connection included.
        """


def share_client(intacct_conn_id: str, entity_id: str | None = None) -> _Share:
    """Give a trigger the client that all triggers of a connection and entity share in this process.

    It has at most ``max_concurrency`` threads (4 for ``auto``), so that there are never more requests in flight, nor
    more TCP connections; further questions wait in line. It is opened by the first question and closed, with its
    connections, when the last trigger leaves; a question that is in flight then ends first. A trigger that is
    cancelled takes its question out of the line.

    The connection is read again when a trigger asks for the first time, every 5 minutes, and when Intacct rejects the
    credentials; if it was changed, the client is replaced. Credentials that were rejected are not sent again for 10
    seconds, so that many triggers do not have the user locked.

    :param entity_id: entity to work in; None takes the connection's.
    :return: what to enter by ``async with``; it gives an :class:`Ask`.
    """
    return _Share(intacct_conn_id, entity_id)


def make_hook(intacct_conn_id: str, entity_id: str | None) -> IntacctHook:
    """Return the hook for polls: requests are retried for a minute at most, since the next poll is a retry, too."""
    from intacct_provider.client.http.retry import RetryPolicy
    from intacct_provider.hooks.intacct import IntacctHook

    return IntacctHook(
        intacct_conn_id, entity_id=entity_id, retry=RetryPolicy(attempts=3, longest=10.0, budget=60.0)
    )


class _Share:
    """What a trigger has of a shared client while it waits.

    A class with slots, since a generator, a partial and their parts are six objects more for each trigger: the more
    there are, the longer a garbage collection stops Airflow's event loop.
    """

    __slots__ = ("_began", "_connection", "_shared")

    def __init__(self, intacct_conn_id: str, entity_id: str | None) -> None:
        self._connection = (intacct_conn_id, entity_id)

    async def __aenter__(self) -> Ask:
        key = (asyncio.get_running_loop(), *self._connection)
        self._shared = _shared.setdefault(key, _SharedClient(*key))
        self._shared.users += 1
        self._began = monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._shared.leave()

    async def __call__(self, question: Callable[[IntacctClient], Answer]) -> Answer:
        return await self._shared.ask(question, began=self._began)


class _SharedClient:
    """The client of a connection, opened when it is first needed, and again when the connection was changed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, intacct_conn_id: str, entity_id: str | None) -> None:
        self.users = 0
        self._key = (loop, intacct_conn_id, entity_id)
        self._connection = (intacct_conn_id, entity_id)
        self._opening: asyncio.Task[_OpenClient] | None = None
        self._read_at = -math.inf
        self._reading = asyncio.Lock()

    async def ask(self, question: Callable[[IntacctClient], Answer], *, began: float) -> Answer:
        """Return the answer to a question.

        :param began: when the trigger began that asks.
        """
        asked = monotonic()
        opened = await self._renew(max(began, asked - OLDEST))
        try:
            return await opened.ask(question)
        except IntacctAuthenticationError:
            renewed = await self._renew(asked)
            if renewed is opened:
                raise
        return await renewed.ask(question)

    async def _renew(self, since: float) -> _OpenClient:
        """Return the client of the connection as it was at a moment, or later."""
        async with self._reading:
            opened = await self._open()
            if self._read_at < since:
                self._read_at = monotonic()
                try:
                    await self._reopen(opened)
                except Exception as err:
                    log.warning(
                        "Intacct: the connection %r cannot be read again, and is used as it was: %s",
                        self._connection[0], err,
                    )  # fmt: skip
            return await self._open()

    async def _open(self) -> _OpenClient:
        """Return the open client. A trigger that is cancelled does not keep the others from opening it."""
        if self._opening is None or (self._opening.done() and _has_failed(self._opening)):
            self._read_at = monotonic()
            self._opening = asyncio.create_task(asyncio.to_thread(_connect, *self._connection))
        return await asyncio.shield(self._opening)

    async def _reopen(self, opened: _OpenClient) -> None:
        """Open another client if the connection was changed since this one was opened."""
        fresh = asyncio.create_task(asyncio.to_thread(_connect, *self._connection))
        unused = True
        try:
            unused = (await asyncio.shield(fresh)).config == opened.config
            if not unused:
                self._opening = fresh
                opened.retire()
        finally:
            if unused:
                fresh.add_done_callback(_retire)

    def leave(self) -> None:
        """Be one user less; after the last one, close the client when the question in flight is answered."""
        self.users -= 1
        if self.users:
            return
        if _shared.get(self._key) is self:  # and not in a process that was forked meanwhile
            del _shared[self._key]
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
        self._rejection: IntacctAuthenticationError | None = None
        self._rejected_at = -math.inf

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
            if self._rejection is not None and monotonic() - self._rejected_at < REJECTED:
                raise self._rejection
            return question(self._client)
        except IntacctAuthenticationError as err:
            if err is not self._rejection:
                self._rejection, self._rejected_at = err, monotonic()
            raise
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
