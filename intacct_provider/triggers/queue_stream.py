"""The stream that reads Intacct's event queue once for all watchers of a connection.

It needs the streams of Airflow 3.3 that report what Airflow has stored, so only a triggerer that has them imports it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from intacct_provider.exceptions import IntacctError, IntacctResponseError
from intacct_provider.triggers.intervals import describe_cost, next_wait
from intacct_provider.triggers.queue_parts import Part, Watcher, split
from intacct_provider.triggers.shared_client import Ask, share_client

if TYPE_CHECKING:
    from intacct_provider.client import EventBatch, QueuedEvent

log = logging.getLogger(__name__)

#: Seconds without a new watcher after which the queue is read. After a restart watchers come one by one, and what is
#: acknowledged before the last one is there, it does not get.
GATHER = 10.0
#: Seconds for which a list is kept whose events not all have found their watcher.
HOLD = 600.0
#: Events that a message names.
MOST_NAMED = 20


class EventQueueStream(SharedStreamProducer):
    """Lists the events of a queue, and acknowledges a list when Airflow has stored what the watchers made of it.

    It never raises, since the watchers would be restarted within seconds, for ever.

    :param interval: seconds between two lists as long as there is no watcher; the shortest of the watchers counts.
    :param watchers: those that run at the time.
    """

    def __init__(self, intacct_conn_id: str, interval: float, watchers: Collection[Watcher]) -> None:
        self._intacct_conn_id = intacct_conn_id
        self._interval = interval
        self._watchers = watchers
        self._failures = 0
        #: Seconds that Intacct asks to wait.
        self._asked: float | None = None
        #: Since when the list is kept; None if it is not.
        self._held_since: float | None = None
        #: Watchers that began the list and have not finished it.
        self._owed: set[str] = set()
        #: Ids of the events of the list that was acknowledged last.
        self._acknowledged: set[str] = set()
        #: How many lists were acknowledged.
        self._lists = 0
        #: The watchers when no more came.
        self._gathered: set[str] = set()
        #: Kinds of events that no watcher wanted while they were kept.
        self._unwatched: set[str] = set()

    async def open_stream(self) -> AsyncIterator[tuple[Part, Part]]:
        """Yield the events in parts, the next one when the last one is stored."""
        await self._gather()
        log.info("Intacct: reading the event queue, %s.", describe_cost(self._current_interval))
        async with share_client(self._intacct_conn_id) as ask:
            while True:
                failures, self._asked = self._failures, None
                batch, parts = await self._list(ask), []
                for part in split(batch.events if batch else (), self._lists):
                    yield part, part
                    await part.settled.wait()
                    parts.append(part)
                if parts and self._gathered != self._list_names():
                    await self._gather()  # one that was replaced comes back under another name
                gone = batch and self._is_done(parts) and await self._acknowledge(ask, batch)
                self._failures = self._failures if self._failures > failures else 0
                if not gone:
                    await asyncio.sleep(next_wait(self._current_interval, self._failures, asked=self._asked))

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Note which parts are stored; the stream itself acknowledges the list they belong to."""
        for item in batch:
            item.broker_payload.settle(stored=item.outcome.is_clean)

    @property
    def _current_interval(self) -> float:
        return min((one.check_interval for one in self._watchers), default=self._interval)

    async def _gather(self) -> None:
        """Wait until no watcher has come for a while."""
        seen, quiet = set[str](), 0
        while quiet < 20:
            await asyncio.sleep(GATHER / 20)
            quiet = quiet + 1 if seen == (seen := self._list_names()) else 0
        self._gathered = seen

    def _list_names(self) -> set[str]:
        return {one.name for one in self._watchers}

    async def _list(self, ask: Ask) -> EventBatch | None:
        """Return the next list; None if it could not be read."""
        try:
            return await ask(lambda client: client.list_events())
        except Exception as err:
            self._report(err, "could not read the event queue")
            return None

    async def _acknowledge(self, ask: Ask, batch: EventBatch) -> bool:
        """Acknowledge a list; return whether to read the next one at once."""
        try:
            await ask(lambda client: client.acknowledge_events(batch.ack_id))
        except Exception as err:
            self._report(err, "could not acknowledge events")
            return False
        self._held_since, self._owed = None, set()
        self._lists += 1
        ids = {event.id for event in batch.events if event.has_own_id}
        before, self._acknowledged = self._acknowledged, ids
        if ids and ids <= before:
            self._report(IntacctResponseError("Intacct listed acknowledged events again."), "has to wait")
            return False
        return True

    def _report(self, err: Exception, what: str) -> None:
        self._failures += 1
        self._asked = getattr(err, "retry_after", None)
        known = isinstance(err, IntacctError)
        log.warning("Intacct: %s (%d in a row): %s", what, self._failures, err, exc_info=not known)

    def _is_done(self, parts: Sequence[Part]) -> bool:
        """Whether a list may be acknowledged: every watcher has finished it, and each event has found one.

        What no watcher wants would keep all later events in the queue, so the list is not kept forever, and for kinds
        of events that have waited in vain before, not at all.
        """
        self._owed |= set[str]().union(*(part.begun for part in parts))
        if not parts or not all(part.stored for part in parts):
            return False
        finished = parts[0].finished.intersection(*(part.finished for part in parts))
        self._owed -= finished
        late = self._owed | (self._list_names() - finished)
        wanted = {event for part in parts for event in part.wanted}
        events = [event for part in parts for event, _ in part.events]
        self._unwatched -= {_name_kind(event) for event in events if event in wanted}
        left = [event for event in events if event not in wanted]
        kinds = {_name_kind(event) for event in left} - self._unwatched
        if not (late or kinds):
            _report_left(left)
            return True
        if self._held_since is None:
            self._held_since = monotonic()
            why = (
                f"no watcher wants {', '.join(sorted(kinds))}" if kinds else "not all watchers have seen them"
            )
            log.warning("Intacct: keeping %d events for up to %g s, since %s.", len(events), HOLD, why)
        if monotonic() - self._held_since < HOLD:
            return False
        self._unwatched |= kinds
        _report_left(left)
        return True


def _name_kind(event: QueuedEvent) -> str:
    return f"{event.action or 'unknown'} of {event.object_name or 'an unknown object'}"


def _report_left(events: Sequence[QueuedEvent]) -> None:
    """Name the events that are acknowledged although no watcher wants them, since only the log knows of them then."""
    if events:
        named = "; ".join(
            f"{_name_kind(event)}, key {event.key}, id {event.record_id}, event {event.id}"
            for event in events[:MOST_NAMED]
        )
        more = f"; and {len(events) - MOST_NAMED} more" if len(events) > MOST_NAMED else ""
        log.warning("Intacct: acknowledging %d events that no watcher wants: %s%s.", len(events), named, more)
