"""The latest change that is not in the future: up to there the next export can rely on this one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctResponseError
from intacct_provider.export.incremental.window import parse_timestamp

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

_DAY = len("2026-06-30")


@dataclass(frozen=True, slots=True)
class Latest:
    """The largest values of a field, as Intacct writes them.

    :param past: the largest one that is not later than ``now``; None if there is none.
    :param future: the largest one of all, if that is later.
    :param now: the time by the server's clock; by this machine's, if the server does not say.
    """

    past: str | None
    future: str | None
    now: dt.datetime


def read_latest(client: IntacctClient, query: Query, name: str) -> Latest:
    """Return the largest values that a field has among the records of a query.

    One billed call, and one more if the largest of all is in the future. Both are values of records, so that it does
    not matter in which time zone Intacct writes them.

    :raises IntacctResponseError: if they are neither dates nor dates and times.
    """
    stamped = query.narrow(field(name).is_not_null())
    largest, now = _read_largest(client, stamped, name)
    if largest is None or not is_after(largest, now):
        return Latest(largest, None, now)
    text = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    limit = text[:_DAY] if len(largest) == _DAY else text
    past, _ = _read_largest(client, stamped.narrow(field(name) <= limit), name)
    return Latest(None if past and is_after(past, now) else past, largest, now)


def is_after(value: str | None, moment: dt.datetime) -> bool:
    """Whether a date or a timestamp is later than a moment."""
    return value is not None and parse_timestamp(value) > moment


def _read_largest(client: IntacctClient, query: Query, name: str) -> tuple[str | None, dt.datetime]:
    page = client.first_page(replace(query, fields=(name,), order_by=({name: "desc"},)), 1)
    now = parse_timestamp(page.answered) if page.answered else dt.datetime.now(dt.UTC)
    largest = page.rows[0][name] if page.rows else None
    if largest is None:
        return None, now
    try:
        parse_timestamp(largest)
    except (TypeError, ValueError):
        raise IntacctResponseError(
            f"The largest {name} of {query.object_name} is neither a date nor a date and time."
        ) from None
    return str(largest), now
