"""Whether records are as planned after Intacct has accepted the writes, which it may do and change nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from intacct_provider.sync.applying.current import read_types
from intacct_provider.sync.applying.reread import reread_records
from intacct_provider.sync.applying.staleness import is_done
from intacct_provider.sync.plan import FieldChange
from intacct_provider.sync.planning.diff import compare
from intacct_provider.sync.planning.live import fetch_records
from intacct_provider.sync.problems import show_value
from intacct_provider.sync.records import flatten, match_text, value_at

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.applying.journal import Moments
    from intacct_provider.sync.plan import Plan, Step

log = logging.getLogger(__name__)

#: Seconds before each reading, since Intacct shows some writes late.
PAUSES: tuple[float, ...] = (0.0, 20.0, 40.0)
_MAX_SHOWN = 3

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A record that is not as planned although Intacct accepted its write.

    :param step: its position among the plan's steps.
    :param fields: fields that are not as planned: ``old`` is the value found, ``new`` the one wanted. Empty if the
        record is missing, or still exists.
    :param meanwhile: whether somebody else has changed it after the write.
    """

    step: int
    message: str
    fields: tuple[FieldChange, ...] = ()
    meanwhile: bool = False


def verify_steps(
    client: IntacctClient, plan: Plan, steps: Mapping[int, Step], moments: Mapping[int, Moments]
) -> list[Deviation]:
    """Read records that were written again, and return those that are not as planned.

    Reads up to three times within a minute, and each time only those that are not as planned yet.

    :param steps: by position; with the keys of existing records.
    :param moments: when each was written.
    """
    left = dict(steps)
    for pause in PAUSES:
        if pause:
            log.info(
                "Intacct: %d records are not as planned yet; reading them again in %g s.", len(left), pause
            )
            wait(pause)
        left = _find_differing(client, plan, left)
        if not left:
            return []
    return list(_explain(client, plan, left, moments))


def wait(seconds: float) -> None:
    """Let Intacct catch up."""
    time.sleep(seconds)


def _find_differing(client: IntacctClient, plan: Plan, steps: Mapping[int, Step]) -> dict[int, Step]:
    if not steps:
        return {}
    part = replace(plan, steps=tuple(steps.values()))
    find = _Finder(plan, reread_records(client, part))
    differing = {n: step for n, step in steps.items() if not is_done(step, find.row(step), {})}
    if not differing:
        return {}
    # The model is a billed call, which most plans do without.
    types = read_types(client, plan)
    return {n: step for n, step in differing.items() if not is_done(step, find.row(step), types)}


class _Finder:
    """Finds the record of a step among some that were read: by key, or by match value if the key is unknown."""

    def __init__(self, plan: Plan, rows: Sequence[Row]) -> None:
        self._by_key = {str(row["key"]): row for row in rows}
        self._by_match = {match_text(value_at(flatten(row), plan.match_on)): row for row in rows}

    def row(self, step: Step) -> Row | None:
        return self._by_key.get(step.key) if step.key else self._by_match.get(step.match)


def _explain(
    client: IntacctClient, plan: Plan, steps: Mapping[int, Step], moments: Mapping[int, Moments]
) -> Iterator[Deviation]:
    """Read records whole, with who changed them when, and say what is not as planned."""
    match_on = plan.match_on
    find = _Finder(plan, reread_records(client, replace(plan, steps=tuple(steps.values()))))
    rows = {n: row for n, step in steps.items() if (row := find.row(step)) is not None}
    keys = list(dict.fromkeys(str(row["key"]) for row in rows.values()))
    whole = fetch_records(client, plan.object_name, keys)
    types = read_types(client, plan)
    for n, step in steps.items():
        row = whole.get(str(rows[n]["key"])) if n in rows else None
        if is_done(step, row, types):
            continue
        found = () if row is None or step.action == "delete" else _compare(step, row, types)
        other = row is not None and n in moments and moments[n].precede(row, client.config.user_id)
        message = _describe(step, row, found, match_on)
        yield Deviation(n, message, found, other or (row is None and step.action != "create"))


def _compare(step: Step, row: Row, types: Mapping[str, str]) -> tuple[FieldChange, ...]:
    return tuple(compare({change.path: change.new for change in step.changes}, row, types))


def _describe(step: Step, row: Row | None, fields: Sequence[FieldChange], match_on: str) -> str:
    accepted = f"Intacct accepted to {step.action} the record, but"
    if row is None:
        return f"{accepted} none with this {match_on} was found afterwards."
    if step.action == "delete":
        return f"{accepted} it still exists."
    shown = "; ".join(
        f"{one.path} is {show_value(one.old)}, planned {show_value(one.new)}" for one in fields[:_MAX_SHOWN]
    )
    more = f" and {len(fields) - _MAX_SHOWN} more fields" if len(fields) > _MAX_SHOWN else ""
    return f"{accepted} {shown}{more}."
