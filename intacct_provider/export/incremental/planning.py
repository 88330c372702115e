"""Which records changed since the last export, by Intacct's own timestamps."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from msgspec import UNSET

from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.incremental.latest import is_after, read_latest
from intacct_provider.export.incremental.state import ExportState
from intacct_provider.export.incremental.window import Window, parse_timestamp

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField

log = logging.getLogger(__name__)

#: How late a change may appear, by default: others report up to two hours.
LOOKBACK = dt.timedelta(hours=2)
#: By how much the clocks of a company's servers may differ.
SKEW = dt.timedelta(minutes=5)
_FORMATS = ("date-time", "date")


def plan_window(
    client: IntacctClient,
    query: Query,
    *,
    field: str,
    state: ExportState,
    run_id: str,
    lookback: dt.timedelta = LOOKBACK,
    full_refresh: bool = False,
) -> Window:
    """Return what a run has to export: from the watermark of the last run, less ``lookback``, to the latest change.

    A run that had a window before gets the same one again, for a retry or when it is cleared. Costs a call for the
    object's model, unless the client knows it, one for the latest change, and one more if that is in the future by the
    server's clock: such records are in every window, but the next one begins where the others end.

    :param query: of all records that the export is about.
    :param field: that says when a record changed, a date or a date and time.
    :param lookback: rounded up to whole days for a date.
    :param full_refresh: begin at the beginning.
    :raises IntacctArgumentError: if the object has no such field, naming the fields that it has.
    """
    check_field(client.fields(query.object_name), query.object_name, field)
    run = state.run(run_id)
    known = run.window if run else None
    if known and (known.field != field or (known.lower is not None and full_refresh)):
        known = None
    if known and not is_after(known.upper, dt.datetime.now(dt.UTC)):
        return known
    latest = read_latest(client, query, field)
    if known and not is_after(known.upper, latest.now):
        return known
    if latest.future:
        log.info(
            "Intacct: the latest %s of %s, %s, is in the future; records changed after %s are in each export.",
            field, query.object_name, latest.future, latest.past,
        )  # fmt: skip
    watermark = _read_watermark(client, query, field, state, latest.now)
    # The latest records may have been deleted; the watermark does not go back for that.
    upper = max(filter(None, (watermark, latest.past)), key=parse_timestamp, default=None)
    lower = None if watermark is None or full_refresh else _move_back(watermark, lookback)
    return Window(field, lower, upper, latest.future or UNSET)


def _read_watermark(
    client: IntacctClient, query: Query, field: str, state: ExportState, now: dt.datetime
) -> str | None:
    """Return up to where records have been exported; forget a watermark in the future.

    Earlier releases stored such ones. What changed since then was in no export, so everything has to be exported again.
    """
    watermark = state.watermark(field)
    if not is_after(watermark, now + SKEW):
        return watermark
    now = max(now, read_latest(client, query, field).now)  # not because of one wrong answer
    if not is_after(watermark, now + SKEW):
        return watermark
    log.warning(
        "Intacct: exports of %s stopped at %s, which is later than the server's clock (%s), so changes since then may "
        "be missing. Everything is exported again.",
        query.object_name, watermark, now.isoformat(timespec="seconds"),
    )  # fmt: skip
    state.forget_watermark()
    return None


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
    if found.is_list:
        return "a list"
    return "a write-only field" if found.write_only else (found.type or "something else")
