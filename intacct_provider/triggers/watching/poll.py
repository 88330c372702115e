"""One poll: the records that changed lately, and which of those changes a watcher has not reported yet."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.watching.cursor import (
    Cursor,
    Pairs,
    format_stamp,
    limit_pairs,
    pack,
    parse_stamp,
    unpack,
)

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

log = logging.getLogger(__name__)

#: By how much clocks may differ: a timestamp that is further ahead than this is a wrong one, and not of a moment ago.
SKEW = dt.timedelta(minutes=5)
_SECOND = dt.timedelta(seconds=1)


class Change(NamedTuple):
    """A record as it was read, and when it changed."""

    moment: dt.datetime
    stamp: str
    key: str
    row: Mapping[str, Any]


class NewChanges(NamedTuple):
    """What a watcher has not reported, in order of timestamp and key, and its cursor when it has."""

    changes: list[Change]
    cursor: Cursor


class Sender(Protocol):
    """A watcher that has sent an event."""

    async def confirm(self, *, stored: bool) -> None:
        """Learn whether Airflow has certainly stored the event."""


@dataclass(frozen=True, slots=True)
class WatchedObject:
    """What is watched.

    :param query: of the records, with their key, the timestamp and what events show of them.
    :param modified_field: the timestamp, a date and time.
    :param lookback: how late a change may appear.
    """

    query: Query
    modified_field: str
    lookback: dt.timedelta

    def read(self, client: IntacctClient, floor: str | None) -> Poll:
        """Return the records that changed since a timestamp, and what more is needed to judge them.

        :param floor: None if the watch begins: at the latest change, which is then known and not reported.
        :raises IntacctError: if they cannot be read completely.
        """
        from intacct_provider.client.query import field as query_field

        if floor is None:
            floor = self._find_beginning(client)
        began = time.monotonic()
        query = self.query.narrow(query_field(self.modified_field) >= floor).trust_values()
        changes = self._list_changes(client.iter_rows(query))
        # Before the query was carried out: what changes in the same second may change again, with the same timestamp.
        sent = client.server_time(time.monotonic() - began)
        now = parse_stamp(sent) if sent else dt.datetime.now(dt.UTC) - (time.monotonic() - began) * _SECOND
        return Poll(self, changes, floor, now.replace(microsecond=0))

    def _find_beginning(self, client: IntacctClient) -> str:
        """Return the latest timestamp that is not in the future.

        :raises IntacctArgumentError: if the field is not a date and time; a date shows only one change of a day.
        """
        from intacct_provider.client.spelling import did_you_mean
        from intacct_provider.export.incremental.latest import read_latest

        name, fields = self.query.object_name, client.fields(self.query.object_name)
        stamps = [one for one, found in fields.items() if found.queryable and found.format == "date-time"]
        if self.modified_field not in stamps:
            raise IntacctArgumentError(
                f"modified_field={self.modified_field!r} is not a date and time of {name} that can be queried."
                f"{did_you_mean(self.modified_field, stamps)} Its dates and times: {', '.join(stamps) or 'none'}."
            )
        latest = read_latest(client, self.query, self.modified_field)
        return latest.past or format_stamp(latest.now.replace(microsecond=0))

    def _list_changes(self, rows: Iterable[Mapping[str, Any]]) -> list[Change]:
        stamps: dict[Any, tuple[dt.datetime, str]] = {}
        changes, unreadable = [], []
        for row in rows:
            text = row[self.modified_field]
            try:
                if text not in stamps:
                    moment = parse_stamp(text)
                    # Intacct may write the same moment in another way one day.
                    stamps[text] = moment, format_stamp(moment)
            except (TypeError, ValueError):
                unreadable.append(str(row["key"]))
                continue
            changes.append(Change(*stamps[text], str(row["key"]), row))
        if unreadable:
            log.error(
                "Intacct: %d records of %s have a %s that is not a date and time, and are passed over; the first keys: "
                "%s.",
                len(unreadable), self.query.object_name, self.modified_field, ", ".join(unreadable[:10]),
            )  # fmt: skip
        return sorted(changes, key=lambda one: (one.moment, len(one.key), one.key))


@dataclass(eq=False)
class Poll:
    """The records that changed since a timestamp.

    :param watched: what was read.
    :param changes: in order of timestamp and key.
    :param floor: the timestamp.
    :param now: the server's time when the read began, in whole seconds.
    :param senders: the watchers that have sent an event because of it.
    :param read_at: seconds of this machine's monotonic clock
    """

    watched: WatchedObject
    changes: list[Change]
    floor: str
    now: dt.datetime
    senders: list[Sender] = field(default_factory=list)
    read_at: float = field(default_factory=time.monotonic)
    _found: dict[tuple[str, str], NewChanges] = field(default_factory=dict)
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def upper(self) -> str:
        """The latest second that was over when the read began."""
        return format_stamp(self.now - _SECOND)

    def begin(self) -> Cursor:
        """Return the cursor of a watcher that begins now: everything so far is known."""
        return self._move_on(Cursor(self.upper, self.floor), {}, self._list_settled())

    async def find_new(self, cursor: Cursor) -> NewChanges:
        """Return what a watcher has not reported. It is computed once for all watchers that stand at the same place."""
        place = (cursor.floor, cursor.reported)
        async with self._finding:
            if place not in self._found:
                self._found[place] = await asyncio.to_thread(self._compute_new, cursor)
        return self._found[place]

    def _compute_new(self, cursor: Cursor) -> NewChanges:
        reported = unpack(cursor.reported)
        floor = parse_stamp(cursor.floor)
        new = [
            one
            for one in self._list_settled()
            if one.moment >= floor and one.key not in reported.get(one.stamp, ())
        ]
        return NewChanges(new, self._move_on(cursor, reported, new))

    def _list_settled(self) -> list[Change]:
        """Return the changes whose second is over, and those that are stamped in the future, whose second may never be.

        A record that changes twice in a second has the same timestamp twice: before it is over, a poll may see the
        first change only, and would never notice the second one.
        """
        return [one for one in self.changes if one.moment < self.now or one.moment > self.now + SKEW]

    def _move_on(self, cursor: Cursor, reported: Pairs, new: list[Change]) -> Cursor:
        """Return the cursor of a watcher that has reported these changes."""
        for one in new:
            reported.setdefault(one.stamp, set()).add(one.key)
        # Not because of one wrong answer of a server whose clock is ahead.
        now = min(self.now, dt.datetime.now(dt.UTC) + SKEW)
        # The latest change is always read again: an empty answer would cost a second call.
        latest = max((moment for moment in map(parse_stamp, reported) if moment <= now), default=now)
        floor = max(min(now - self.watched.lookback, latest), parse_stamp(cursor.floor))
        kept, first = limit_pairs(reported, format_stamp(floor))
        return Cursor(self.upper, first, pack(kept))

    async def settle(self, *, stored: bool) -> None:
        """Report to those who have sent an event whether Airflow has certainly stored it."""
        for sender in self.senders:
            await sender.confirm(stored=stored)
