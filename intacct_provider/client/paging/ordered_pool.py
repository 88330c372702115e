"""Calls in parallel, whose results are taken in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias, TypeVar

from intacct_provider.client.config import MAX_CONCURRENCY

#: Results that are in flight or wait to be taken, for each worker; but no more than ``MAX_WAITING`` beyond the workers.
AHEAD = 2
MAX_WAITING = 12
#: Threads of a pool whose workers may become more; they start on demand.
MAX_THREADS = MAX_CONCURRENCY + MAX_WAITING

#: How many calls may be carried out in parallel; a function returns how many may be at this moment.
Workers: TypeAlias = int | Callable[[], int]
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


def make_pool(workers: Workers) -> Pool:
    """Return a pool of threads, which start on demand; with 0 workers, calls run in the caller's thread."""
    if workers == 0:
        return CallersThread()
    return ThreadPoolExecutor(
        MAX_THREADS if callable(workers) else workers, thread_name_prefix="intacct-read"
    )


def count_ahead(workers: Workers) -> int:
    """Return how many results may be in flight or wait to be taken."""
    number = workers() if callable(workers) else workers
    return min(AHEAD * number, number + MAX_WAITING)


def in_order(
    pool: Pool,
    workers: Workers,
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
            while len(waiting) >= max(1, count_ahead(workers)):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
