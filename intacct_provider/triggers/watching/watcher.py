"""A watcher: makes events of what polls read, one for each window that has changes, and none twice unless it must."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from intacct_provider.client.http import codec
from intacct_provider.triggers.intervals import describe_pause, next_wait
from intacct_provider.triggers.watching.cursor import Cursor, parse_stamp
from intacct_provider.triggers.watching.poll import Change, Poll, WatchedObject
from intacct_provider.triggers.watching.store import CursorStore

log = logging.getLogger(__name__)

#: Share of its interval after which a watcher takes a poll that came for another one.
_NEARLY = 0.9


@dataclass(eq=False)
class Watcher:
    """What a trigger does with polls, whichever way it gets them.

    An event is stored as *pending* before it is sent, and forgotten when Airflow has stored it. So a watcher that is
    killed in between sends the same event again.

    :param watched: what it watches.
    :param store: where its cursor is.
    :param max_keys: records that an event names at most.
    :param check_interval: seconds that it lets pass between polls.
    """

    watched: WatchedObject
    store: CursorStore
    max_keys: int
    check_interval: float
    cursor: Cursor | None = None
    in_flight: bool = False
    _taken: float = field(default=-math.inf)
    _unsaved: bool = False

    async def load(self) -> None:
        """Get the cursor; as long as it cannot be read, try again."""
        failures = 0
        while True:
            try:
                self.cursor = await self.store.load()
            except Exception as err:
                failures += 1
                wait = next_wait(10.0, failures)
                log.warning(
                    "Intacct: the state of the watch of %s cannot be read (%s: %s). %s",
                    self.watched.query.object_name, type(err).__name__, err, describe_pause(wait),
                )  # fmt: skip
                await asyncio.sleep(wait)
            else:
                break
        self._log_beginning()

    def _log_beginning(self) -> None:
        name = self.watched.query.object_name
        if self.store.assets > 1:
            log.warning(
                "Intacct: %d assets have equal watchers of %s, which Airflow runs as one. It does not learn that the "
                "DAGs of one of them are paused: what changes meanwhile makes no event for that asset. Let the "
                "triggers differ, as in max_keys=100 and max_keys=101; they share their polls nevertheless.",
                self.store.assets, name,
            )  # fmt: skip
        if self.cursor is not None:
            log.info("Intacct: the watch of %s resumes at %s.", name, self.cursor.floor)
        elif self.store.lasting:
            log.info("Intacct: the watch of %s starts from now.", name)
        else:
            log.warning(
                "Intacct: the watch of %s starts from now, and from then again after every restart of the triggerer: "
                "this Airflow has no asset state store (3.3 and later have one). Changes in between make no event.",
                name,
            )

    async def take(self, poll: Poll) -> dict[str, Any] | None:
        """Return the payload of the event that a poll leads to; None without. Never raises.

        It is followed by :meth:`confirm`, and until then further polls are passed over.
        """
        is_early = poll.read_at - self._taken < self.check_interval * _NEARLY
        if self.in_flight or is_early or self._is_incomplete(poll):
            return None
        try:
            payload = await self._make_payload(poll)
        except Exception:
            log.exception(
                "Intacct: the changes of %s could not be made an event of; they are left to the next poll.",
                self.watched.query.object_name,
            )
            return None
        self._taken = poll.read_at
        if payload is not None:
            self.in_flight = True
            poll.senders.append(self)
        return payload

    def _is_incomplete(self, poll: Poll) -> bool:
        """Whether a poll was begun without this watcher, and from a later place; the next one begins here."""
        cursor = self.cursor
        if cursor is None or cursor.pending is not None:
            return False
        return parse_stamp(poll.floor) > parse_stamp(cursor.floor)

    async def confirm(self, *, stored: bool) -> None:
        """Go on after an event; send it again if it is not certain that Airflow has stored it. Never raises."""
        self.in_flight = False
        if not stored or self.cursor is None:
            return
        self.cursor = replace_pending(self.cursor, None)
        try:
            await self._save(self.cursor)
        except Exception:
            log.exception(
                "Intacct: it could not be stored that an event of %s is stored. A restart now would send it again.",
                self.watched.query.object_name,
            )

    async def _make_payload(self, poll: Poll) -> dict[str, Any] | None:
        if self.cursor is None:
            self.cursor = await asyncio.to_thread(poll.begin)
            await self._save(self.cursor)
            return None
        if self.cursor.pending is not None:
            log.info("Intacct: an event of %s is sent again.", self.watched.query.object_name)
            return self.cursor.pending
        found = await poll.find_new(self.cursor)
        if not found.changes:
            # Seldom stored: from where the stored cursor stands, nothing is new either.
            if self._unsaved:
                await self._save(found.cursor)
            self.cursor = found.cursor
            return None
        payload = await asyncio.to_thread(self._describe, poll, found.changes)
        cursor = replace_pending(found.cursor, payload)
        await self._save(cursor)
        self.cursor = cursor
        log.info(
            "Intacct: changes of %s from %s to %s: %d. Sending an event.",
            payload["object"], payload["lower"], payload["upper"], payload["count"],
        )  # fmt: skip
        return payload

    async def _save(self, cursor: Cursor) -> None:
        """Store a cursor; if that fails, the next poll does it."""
        self._unsaved = True
        await self.store.save(cursor)
        self._unsaved = False

    def _describe(self, poll: Poll, changes: list[Change]) -> dict[str, Any]:
        """Return the payload of an event, as plain JSON."""
        last = changes[-1]
        named = changes[: self.max_keys]
        payload = {
            "object": self.watched.query.object_name,
            "field": self.watched.modified_field,
            "lower": changes[0].stamp,
            "upper": max(last.stamp, poll.upper, key=parse_stamp),
            "count": len(changes),
            "largest": last.stamp,
            "keys": [one.key for one in named],
        }
        if len(self.watched.query.fields) > 2:
            payload["records"] = [codec.to_plain(dict(one.row)) for one in named]
        return payload


def replace_pending(cursor: Cursor, payload: dict[str, Any] | None) -> Cursor:
    """Return a cursor with another pending event, or without one."""
    return msgspec.structs.replace(cursor, pending=payload)
