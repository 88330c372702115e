"""The parts of a list of events, which the watchers of an event queue and the stream that reads it share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from intacct_provider.client import QueuedEvent

#: Events that are stored before the next ones are. Airflow gives each part 5 minutes by default.
PART = 100


class Watcher(Protocol):
    """A trigger that watches the queue."""

    @property
    def name(self) -> str:
        """The same after a restart, and different for another watcher."""

    check_interval: float


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
