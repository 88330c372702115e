"""One poll for all watchers of the same thing: the stream of their group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from intacct_provider.triggers.groups import find_group
from intacct_provider.triggers.intervals import FIRST_WAIT, describe_cost, describe_pause, next_wait
from intacct_provider.triggers.shared_client import share_client
from intacct_provider.triggers.watching.cursor import parse_stamp
from intacct_provider.triggers.watching.poll import Poll, WatchedObject
from intacct_provider.triggers.watching.watcher import Watcher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollStream:
    """Polls without an end, for the watchers that are in a group at the time.

    :param intacct_conn_id: id of the Airflow connection.
    :param entity_id: entity to work in; None takes the connection's.
    :param watched: what to read.
    """

    intacct_conn_id: str
    entity_id: str | None
    watched: WatchedObject

    async def polls(self, group: set[Watcher]) -> AsyncGenerator[Poll, None]:
        """Yield polls, at the shortest interval that one of the group has, from the oldest cursor of the group on.

        Whatever fails is logged and tried again, after ever longer pauses of up to 15 minutes.
        """
        name, failures, wait = self.watched.query.object_name, 0, FIRST_WAIT
        interval = 0.0
        async with share_client(self.intacct_conn_id, self.entity_id) as ask:
            while True:
                await asyncio.sleep(wait)
                if not group:
                    wait = 1.0
                    continue
                if interval != (interval := min(one.check_interval for one in group)):
                    log.info("Intacct: polling %s %s.", name, describe_cost(interval))
                floor = find_oldest(group)
                try:
                    poll = await ask(lambda client, floor=floor: self.watched.read(client, floor))  # type: ignore[misc]
                except Exception as err:
                    failures += 1
                    wait = next_wait(interval, failures, asked=getattr(err, "retry_after", None))
                    log.warning(
                        "Intacct: the changes of %s could not be read (%d in a row): %s: %s The next poll reads them. "
                        "%s", name, failures, type(err).__name__, err, describe_pause(wait),
                    )  # fmt: skip
                    continue
                failures, wait = 0, next_wait(interval)
                log.info(
                    "Intacct: records of %s whose %s is %s or later: %d. %s",
                    name, self.watched.modified_field, poll.floor, len(poll.changes), describe_pause(wait),
                )  # fmt: skip
                yield poll


def find_oldest(group: set[Watcher]) -> str | None:
    """Return the earliest timestamp from which on a watcher needs the changes; None if all of them begin."""
    floors = [one.cursor.floor for one in group if one.cursor is not None]
    return min(floors, key=parse_stamp, default=None)


class PollProducer:
    """A :class:`PollStream` as Airflow's shared streams want it, with what it says about the events that were sent.

    Airflow calls :meth:`advance` for a poll when it has stored every event that watchers have sent because of it, or
    gives up on one of them. It has the methods of ``airflow.triggers.shared_stream.SharedStreamProducer``, which not
    every Airflow has.

    :param key: of the group.
    """

    def __init__(self, stream: PollStream, key: Hashable) -> None:
        self._stream = stream
        self._key = key

    async def open_stream(self) -> AsyncIterator[tuple[Poll, Poll]]:
        """Yield each poll, for the watchers and for :meth:`advance`."""
        async with aclosing(self._stream.polls(find_group(self._key))) as polls:
            async for poll in polls:
                yield poll, poll

    async def advance(self, batch: Sequence[Any]) -> None:
        """Report to the watchers whether the events that they sent are stored."""
        for poll, outcome in batch:
            await poll.settle(stored=outcome.is_clean)

    def get_advance_lane(self, poll: Poll) -> Hashable:
        """Let polls be settled independently: one whose event is not stored does not hold up those after it."""
        return id(poll)

    async def aclose(self) -> None:
        """Do nothing: the stream closes what it has opened."""
