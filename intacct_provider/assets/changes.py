"""What the DAGs do that asset watchers start: read what has changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError


def build_change_filters(events: Iterable[Any]) -> list[dict[str, dict[str, str]]]:
    """Return the filters that select what the events of an :class:`IntacctChangeTrigger` are about.

    One window is made of all of them, since Airflow may start one run for several events. Other events, such as those
    of a task, are ignored; without any, the list is empty and selects everything. Records that have changed again
    meanwhile are left to the event of that change.

    :param events: such as ``triggering_asset_events[asset]``.
    :raises IntacctArgumentError: if they are about different objects or fields.
    """
    payloads = [one for one in map(_read_payload, events) if one is not None]
    if not payloads:
        return []
    watched = {(one["object"], one["field"]) for one in payloads}
    if len(watched) > 1:
        names = ", ".join(sorted(f"{field} of {name}" for name, field in watched))
        raise IntacctArgumentError(
            f"The events are about different things ({names}): give those of one asset."
        )
    [(_, field)] = watched
    lower = min((one["lower"] for one in payloads), key=dt.datetime.fromisoformat)
    upper = max((one["upper"] for one in payloads), key=dt.datetime.fromisoformat)
    return [{"$gte": {field: lower}}, {"$lte": {field: upper}}]


def _read_payload(event: Any) -> Mapping[str, Any] | None:
    """Return the payload of an event of the trigger; None for another one."""
    extra = event.get("extra") if isinstance(event, Mapping) else event.extra
    payload = (extra or {}).get("payload")
    return (
        payload
        if isinstance(payload, Mapping) and {"object", "field", "lower", "upper"} <= {*payload}
        else None
    )
