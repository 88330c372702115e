"""Carrying a plan to Intacct: reading what is live, writing what differs, one outcome per record."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.errors import IntacctAPIError, IntacctError, IntacctValidationError
from intacct_provider.sync.desired import match_text
from intacct_provider.sync.diff import fields_to_read, flatten, needs_full_records
from intacct_provider.sync.plan import Plan

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.records import RecordResult

log = logging.getLogger(__name__)


class IntacctRejectedRecordsError(IntacctError):
    """Intacct refused more records than the user tolerates; the accepted ones are written."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that Intacct refused.

    :param action: ``create``, ``update`` or ``delete``.
    :param match: value of the field that identifies the record.
    :param error: Intacct's refusal.
    """

    action: str
    match: str
    error: IntacctAPIError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying a plan did; numbers of records.

    :param held: deletions that were not tried, because too many other records were refused.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    held: int = 0
    rejects: tuple[Reject, ...] = ()


def read_live(
    client: IntacctClient,
    object_name: str,
    desired: Sequence[Mapping[str, Any]],
    types: Mapping[str, str],
    *,
    match_on: str,
) -> list[Mapping[str, Any]]:
    """Read what a plan compares with, in as few billed calls as the desired fields allow.

    All records with the fields concerned, 4,000 a call. Fields that the query service cannot read, such as
    lists, are read with the whole record, 500 a call, and only of the records that are desired.
    """
    if not needs_full_records(desired):
        try:
            fields = fields_to_read(desired, types, match_on=match_on)
            return list(client.iter_rows(object_name, fields))
        except IntacctValidationError as err:
            if err.error_id != "REST-1106":
                raise
            log.info("Intacct: %s is read record by record: %s", object_name, err.message)
    wanted = {match_text(flatten(record)[match_on]) for record in desired}
    rows = list(client.iter_rows(object_name, ["key", match_on]))
    keys = [str(row["key"]) for row in rows if match_text(row[match_on]) in wanted]
    full = {str(record["key"]): record for record in client.get_many(object_name, keys)}
    return [full.get(str(row["key"]), row) for row in rows]


def apply_plan(client: IntacctClient, plan: Plan, *, max_rejects: int = 0) -> Outcome:
    """Write a plan: first creations, then updates, then deletions, 500 records a call.

    A record that Intacct refuses does not keep the others from being written. But nothing is deleted once more
    than ``max_rejects`` were refused: whatever is wrong then, what is live may still be needed.

    :raises IntacctInterruptedWriteError: if Intacct could not be reached half way.
    """
    creates = client.create_many(plan.object_name, [step.record for step in plan.creates], with_key=False)
    updates = client.update_many(plan.object_name, [{**step.body, "key": step.key} for step in plan.updates])
    rejects = [*_rejects("create", plan.creates, creates), *_rejects("update", plan.updates, updates)]
    held = len(plan.deletes) if len(rejects) > max_rejects else 0
    deletes = [] if held else client.delete_many(plan.object_name, [step.key for step in plan.deletes])
    return Outcome(
        created=sum(result.ok for result in creates),
        updated=sum(result.ok for result in updates),
        deleted=sum(result.ok for result in deletes),
        held=held,
        rejects=(*rejects, *_rejects("delete", plan.deletes, deletes)),
    )


def rejects_table(rejects: Sequence[Reject], *, limit: int = 50) -> str:
    """Return refused records as a markdown table: which, why, and what to tell Sage support."""
    lines = ["| action | id | status | reason |", "| --- | --- | --- | --- |"]
    for reject in rejects[:limit]:
        cells = (reject.action, reject.match, str(reject.error.status), str(reject.error))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    if len(rejects) > limit:
        lines.append(f"{len(rejects) - limit} more are not shown.")
    return "\n".join(lines)


def _rejects(action: str, steps: Sequence[Any], results: Sequence[RecordResult]) -> list[Reject]:
    return [Reject(action, steps[result.index].match, result.error) for result in results if result.error]
