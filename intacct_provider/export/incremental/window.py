"""The records that changed from one time to another, by Intacct's own timestamps."""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec import UNSET, UnsetType

from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.client.query.request import Query


class Window(msgspec.Struct, frozen=True):
    """Records that changed from one time to another, both included, and those without a timestamp.

    :param field: that says when a record changed.
    :param lower: None for everything up to ``upper``.
    :param upper: the largest value of the field when the window was planned, unless that was in the future by the
        server's clock: then the largest one that was not. The next window begins there. None if no record had one.
    :param future: the largest value of all, if that was in the future; the window ends there.
    """

    field: str
    lower: str | None = None
    upper: str | None = None
    future: str | UnsetType = UNSET

    @property
    def end(self) -> str | None:
        """The largest value that is in the window; None if only records without a timestamp are."""
        return self.future or self.upper

    @property
    def conditions(self) -> Expression:
        """The filters that select the window's records."""
        stamp = field(self.field)
        if self.end is None:
            return stamp.is_null()
        within = stamp <= self.end if self.lower is None else (stamp >= self.lower) & (stamp <= self.end)
        return within | stamp.is_null()

    def narrow(self, query: Query) -> Query:
        """Return the query of those of its records that are in the window."""
        return query.narrow(self.conditions)

    def advances(self, watermark: str | None) -> bool:
        """Whether this window, once exported, continues what was exported up to a watermark, and goes beyond it."""
        if self.upper is None:
            return False
        if watermark is None:
            return self.lower is None
        continues = self.lower is None or parse_timestamp(self.lower) <= parse_timestamp(watermark)
        return continues and parse_timestamp(self.upper) > parse_timestamp(watermark)

    def is_behind(self, watermark: str | None) -> bool:
        """Whether another window has gone further meanwhile."""
        if self.upper is None or watermark is None:
            return False
        return parse_timestamp(self.upper) < parse_timestamp(watermark)


def parse_timestamp(value: str) -> dt.datetime:
    """Return a date or a timestamp as Intacct writes it; without an offset it is in UTC."""
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC)
