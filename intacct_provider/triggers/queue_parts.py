"""What the watchers of an event queue and the stream that reads it share: parts of a list, and who watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intacct_provider.client import QueuedEvent

#: Events that are stored before the next ones are. Airflow gives each part 5 minutes by default.
PART = 100


class Part:
    """Some events of a list; every watcher gets the same object.

    :ivar listed: ids of all events of the list.
    :ivar wanted: ids of the events that a watcher wants.
    :ivar begun: names of the watchers that have looked at it.
    :ivar finished: names of those that have passed on all that they want.
    :ivar stored: whether Airflow has stored what they passed on.
    """

    def __init__(self, events: tuple[QueuedEvent, ...], listed: frozenset[str]) -> None:
        self.events = events
        self.listed = listed
        self.wanted: set[str] = set()
        self.begun: set[str] = set()
        self.finished: set[str] = set()
        self.stored = False
        self.settled = asyncio.Event()

    def settle(self, *, stored: bool) -> None:
        """Note that no watcher is busy with it any more."""
        self.stored = stored
        self.settled.set()


def split(events: tuple[QueuedEvent, ...]) -> Iterator[Part]:
    """Yield the events of a list in parts."""
    listed = frozenset(event.id for event in events)
    for start in range(0, len(events), PART):
        yield Part(events[start : start + PART], listed)


#: The watchers in this process by connection: the name and the interval of each.
_watchers: dict[str, list[tuple[str, float]]] = {}


@contextmanager
def watch(intacct_conn_id: str, name: str, interval: float) -> Iterator[None]:
    """Count a watcher of a connection while it runs.

    :param name: the same after a restart, and different for another watcher.
    """
    watchers = _watchers.setdefault(intacct_conn_id, [])
    watchers.append((name, interval))
    try:
        yield
    finally:
        watchers.remove((name, interval))


def list_watchers(intacct_conn_id: str) -> set[str]:
    """Return the names of the watchers of a connection."""
    return {name for name, _ in _watchers.get(intacct_conn_id, ())}


def find_interval(intacct_conn_id: str, default: float) -> float:
    """Return the shortest interval of the watchers of a connection."""
    return min((interval for _, interval in _watchers.get(intacct_conn_id, ())), default=default)
