"""Which records changed since the last export, by the server's own stamps and never by a clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField
    from intacct_provider.export.incremental.state import ExportState

_FORMATS = ("date-time", "date")
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
        return query.narrowed(self.conditions)

    def moves(self, watermark: str | None) -> bool:
        """Whether records up to the end of the window have been exported once this one is, and were not before."""
        if self.upper is None:
            return False
        if watermark is None:
            return self.lower is None
        before = self.lower is None or _moment(self.lower) <= _moment(watermark)
        return before and _moment(self.upper) > _moment(watermark)

    def before(self, watermark: str | None) -> bool:
        """Whether another window has gone further meanwhile."""
        if self.upper is None or watermark is None:
            return False
        return _moment(self.upper) < _moment(watermark)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it, for the manifest."""
        return {"field": self.field, "lower": self.lower, "upper": self.upper}


def window_for(
    client: IntacctClient,
    query: Query,
    *,
    field: str,
    state: ExportState,
    run_id: str,
    lookback: dt.timedelta = dt.timedelta(minutes=15),
    full_refresh: bool = False,
) -> Window:
    """Return what a run has to export: from the watermark of the last one, less ``lookback``, to the latest change.

    A run that had a window before gets the same one again, for a retry or when it is cleared. Costs a call for the
    object's model, unless the client knows it, and one for the latest change.

    :param query: of all records that the export is about.
    :param field: that tells when a record changed, a date or a date and time.
    :param lookback: rounded up to whole days for a date.
    :param full_refresh: begin at the beginning.
    :raises IntacctArgumentError: if the object has no such field, naming those that it has.
    """
    check_field(client.fields(query.object_name), query.object_name, field)
    known = state.run(run_id) or {}
    if known.get("field") == field and (known["lower"] is None or not full_refresh):
        return Window(field, run_id, known["lower"], known["upper"])
    watermark, latest = state.watermark(field), latest_of(client, query, field)
    # When the latest records were deleted, the latest that is left is no reason to go back.
    upper = max(filter(None, (watermark, latest)), key=_moment, default=None)
    lower = None if watermark is None or full_refresh else _earlier(watermark, lookback)
    return Window(field, run_id, lower, upper)


def check_field(fields: dict[str, ModelField], object_name: str, name: str) -> None:
    """Refuse a field that cannot tell when records changed.

    :param fields: of the object's model.
    :raises IntacctArgumentError: naming those that can.
    """
    found = fields.get(name) if isinstance(name, str) else None
    if found is not None and found.queryable and found.format in _FORMATS:
        return
    moments = [
        one for wanted in _FORMATS for one, it in fields.items() if it.queryable and it.format == wanted
    ]
    if not moments:
        what = "has no field of a date or a time at all. Leave incremental out: every export is a full one"
    else:
        is_what = "has no such field" if found is None else f"has {name!r} as {_described(found)}"
        what = (
            f"{is_what}.{did_you_mean(str(name), moments)} Dates and times that it has: {', '.join(moments)}"
        )
    raise IntacctArgumentError(
        f"incremental={name!r} needs a date or a date and time that tells when a record changed, and the model of "
        f"{object_name} {what}."
    )


def latest_of(client: IntacctClient, query: Query, name: str) -> str | None:
    """Return the largest value that a field has among the records of a query, for one billed call.

    :raises IntacctResponseError: if Intacct answers something that is neither a date nor a moment.
    """
    stamped = query.narrowed(field(name).is_not_null())
    page = client.query(
        query.object_name,
        ["key", name],
        filters=stamped.filters,
        filter_expression=stamped.expression,
        filter_parameters=stamped.parameters,
        order_by=[{name: "desc"}],
        size=1,
    )
    latest = page.rows[0][name] if page.rows else None
    if latest is None:
        return None
    try:
        _moment(latest)
    except (TypeError, ValueError):
        raise IntacctResponseError(
            f"The largest {name} of {query.object_name} is neither a date nor a date and time."
        ) from None
    return str(latest)


def _earlier(value: str, by: dt.timedelta) -> str:
    """Return a moment or a date less a time, in the form in which it came."""
    moment = dt.datetime.fromisoformat(value)
    try:
        earlier = moment - by
    except OverflowError:
        earlier = dt.datetime(1, 1, 1, tzinfo=moment.tzinfo)
    if len(value) == len("2026-06-30"):
        return earlier.date().isoformat()
    return earlier.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(value: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC)


def _described(found: ModelField) -> str:
    if found.kind == "list":
        return "a list"
    return "a write-only field" if found.write_only else (found.type or "something else")
