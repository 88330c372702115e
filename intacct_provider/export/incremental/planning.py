"""Which records changed since the last export, by Intacct's own timestamps and never by a clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError
from intacct_provider.export.incremental.state import ExportState
from intacct_provider.export.incremental.window import Window, parse_timestamp

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField

_FORMATS = ("date-time", "date")


def plan_window(
    client: IntacctClient,
    query: Query,
    *,
    field: str,
    state: ExportState,
    run_id: str,
    lookback: dt.timedelta = dt.timedelta(minutes=15),
    full_refresh: bool = False,
) -> Window:
    """Return what a run has to export: from the watermark of the last run, less ``lookback``, to the latest change.

    A run that had a window before gets the same one again, for a retry or when it is cleared. Costs a call for the
    object's model, unless the client knows it, and one for the latest change.

    :param query: of all records that the export is about.
    :param field: that says when a record changed, a date or a date and time.
    :param lookback: rounded up to whole days for a date.
    :param full_refresh: begin at the beginning.
    :raises IntacctArgumentError: if the object has no such field, naming the fields that it has.
    """
    check_field(client.fields(query.object_name), query.object_name, field)
    run = state.run(run_id)
    known = run.window if run else None
    if known and known.field == field and (known.lower is None or not full_refresh):
        return known
    watermark, latest = state.watermark(field), read_latest(client, query, field)
    # The latest records may have been deleted; the watermark does not go back for that.
    upper = max(filter(None, (watermark, latest)), key=parse_timestamp, default=None)
    lower = None if watermark is None or full_refresh else _move_back(watermark, lookback)
    return Window(field, lower, upper)


def check_field(fields: dict[str, ModelField], object_name: str, name: str) -> None:
    """Reject a field that does not say when records changed.

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
        what = "has no date or time at all. Leave incremental out: every export is then a full one"
    else:
        is_what = "has no such field" if found is None else f"has {name!r} as {_describe_field(found)}"
        what = f"{is_what}.{did_you_mean(str(name), moments)} Its dates and times: {', '.join(moments)}"
    raise IntacctArgumentError(
        f"incremental={name!r} needs a date or a date and time that says when a record changed, and the model of "
        f"{object_name} {what}."
    )


def read_latest(client: IntacctClient, query: Query, name: str) -> str | None:
    """Return the largest value that a field has among the records of a query, for one billed call.

    :raises IntacctResponseError: if it is neither a date nor a date and time.
    """
    stamped = query.narrow(field(name).is_not_null())
    page = client.query(replace(stamped, fields=("key", name), order_by=({name: "desc"},)), size=1)
    latest = page.rows[0][name] if page.rows else None
    if latest is None:
        return None
    try:
        parse_timestamp(latest)
    except (TypeError, ValueError):
        raise IntacctResponseError(
            f"The largest {name} of {query.object_name} is neither a date nor a date and time."
        ) from None
    return str(latest)


def _move_back(value: str, by: dt.timedelta) -> str:
    """Return a timestamp or a date less a time span, in the same form."""
    moment = dt.datetime.fromisoformat(value)
    try:
        earlier = moment - by
    except OverflowError:
        earlier = dt.datetime(1, 1, 1, tzinfo=moment.tzinfo)
    if len(value) == len("2026-06-30"):
        return earlier.date().isoformat()
    return earlier.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _describe_field(found: ModelField) -> str:
    if found.kind == "list":
        return "a list"
    return "a write-only field" if found.write_only else (found.type or "something else")
