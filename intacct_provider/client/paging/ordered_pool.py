"""Calls beside each other, whose results are taken in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

#: Results that are under way or wait to be taken, for each call in flight.
AHEAD = 2

Given = TypeVar("Given")
Made = TypeVar("Made")


class Pool(Protocol):
    """What carries out calls beside each other."""

    def submit(self, call: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Begin a call as soon as there is room."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End everything, and return when nothing is under way."""


def threads(workers: int) -> Pool:
    """Return a pool of threads, which are begun when there is something to do."""
    return ThreadPoolExecutor(workers, thread_name_prefix="intacct-read")


def in_order(
    pool: Pool,
    workers: int,
    call: Callable[[Given], Made],
    given: Iterable[Given],
    stopped: threading.Event,
) -> Generator[Made, None, None]:
    """Yield what a call makes of each thing given, in order. However it ends, nothing is left under way.

    :param stopped: is set at the end, for calls that would go on for long.
    """
    waiting: deque[Future[Made]] = deque()
    try:
        for one in given:
            waiting.append(pool.submit(call, one))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
