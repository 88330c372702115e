"""The records that changed from one moment to another, by Intacct's own timestamps."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.client.query.request import Query

#: What people ask for, and what many objects do not have.
MODIFIED = "audit.modifiedDateTime"


@dataclass(frozen=True, slots=True)
class Window:
    """Records that changed from one moment to another, both included, and those that do not tell when.

    :param field: that tells when a record changed.
    :param run_id: of the DAG run that the window belongs to.
    :param lower: None for everything up to ``upper``.
    :param upper: the largest value of the field when the window was made; None if no record had one, so that only
        records without one are in the window.
    """

    field: str
    run_id: str
    lower: str | None = None
    upper: str | None = None

    @property
    def conditions(self) -> Expression:
        """What the window's records meet."""
        stamp = field(self.field)
        if self.upper is None:
            return stamp.is_null()
        within = stamp <= self.upper if self.lower is None else (stamp >= self.lower) & (stamp <= self.upper)
        return within | stamp.is_null()

    def narrow(self, query: Query) -> Query:
        """Return the query of those of its records that are in the window."""
        return query.narrow(self.conditions)

    def moves(self, watermark: str | None) -> bool:
        """Whether records up to the end of the window have been exported once this one is, and were not before."""
        if self.upper is None:
            return False
        if watermark is None:
            return self.lower is None
        before = self.lower is None or parse_moment(self.lower) <= parse_moment(watermark)
        return before and parse_moment(self.upper) > parse_moment(watermark)

    def before(self, watermark: str | None) -> bool:
        """Whether another window has gone further meanwhile."""
        if self.upper is None or watermark is None:
            return False
        return parse_moment(self.upper) < parse_moment(watermark)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it, for the manifest."""
        return {"field": self.field, "lower": self.lower, "upper": self.upper}


def parse_moment(value: str) -> dt.datetime:
    """Return a date or a moment as Intacct writes it; without an offset it is in UTC."""
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC)
