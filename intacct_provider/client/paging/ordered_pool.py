"""Calls in parallel, whose results are taken in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

#: Results that are in flight or wait to be taken, for each worker.
AHEAD = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool(Protocol):
    """Carries out calls in parallel."""

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Begin a call as soon as there is room."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End everything, and return when nothing is in flight."""


class CallersThread:
    """A pool without workers: carries out each call at once, in the thread that submits it."""

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Carry out a call; its future is done."""
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args))
        except Exception as err:
            done.set_exception(err)
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing, since nothing is ever in flight."""


def make_pool(workers: int) -> Pool:
    """Return a pool of threads, which start on demand; with 0 workers, calls run in the caller's thread."""
    return ThreadPoolExecutor(workers, thread_name_prefix="intacct-read") if workers else CallersThread()


def in_order(
    pool: Pool,
    workers: int,
    call: Callable[[Item], Result],
    items: Iterable[Item],
    stopped: threading.Event,
) -> Generator[Result, None, None]:
    """Yield the result of a call for each item, in order. However it ends, nothing is left in flight.

    :param stopped: is set at the end, for calls that would go on for long.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
