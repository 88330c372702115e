"""The parts of a list of events, which the watchers of an event queue and the stream that reads it share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from intacct_provider.client import QueuedEvent

#: An event, and how many equal ones are before it in its list.
Numbered: TypeAlias = "tuple[QueuedEvent, int]"

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

    :ivar events: each with the number of equal ones before it in the list.
    :ivar listed: all events of the list, likewise.
    :ivar lists: how many lists were acknowledged before.
    :ivar wanted: the events that a watcher wants.
    :ivar begun: names of the watchers that have looked at it.
    :ivar finished: names of those that have passed on all that they want.
    :ivar stored: whether Airflow has stored what they passed on.
    """

    def __init__(self, events: Sequence[Numbered], listed: frozenset[Numbered], lists: int) -> None:
        self.events = events
        self.listed = listed
        self.lists = lists
        self.wanted: set[QueuedEvent] = set()
        self.begun: set[str] = set()
        self.finished: set[str] = set()
        self.stored = False
        self.settled = asyncio.Event()

    def settle(self, *, stored: bool) -> None:
        """Note that no watcher is busy with it any more."""
        self.stored = stored
        self.settled.set()


def split(events: Iterable[QueuedEvent], lists: int) -> Iterator[Part]:
    """Yield the events of a list in parts.

    :param lists: how many lists were acknowledged before.
    """
    before: Counter[QueuedEvent] = Counter()
    numbered: list[Numbered] = []
    for event in events:
        numbered.append((event, before[event]))
        before[event] += 1
    for start in range(0, len(numbered), PART):
        yield Part(numbered[start : start + PART], frozenset(numbered), lists)
