"""Reading the records that a plan writes again, to see whether they changed since the plan was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctValidationError
from intacct_provider.sync.planning.cost import reads_by_page
from intacct_provider.sync.planning.live import fetch_records, is_not_queryable
from intacct_provider.sync.records import match_text

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.plan import Plan, Step

Row = Mapping[str, Any]


def reread_records(client: IntacctClient, plan: Plan, *, stamps: Sequence[str] = ()) -> list[Row]:
    """Read the records that a plan writes as they are now, with the plan's fields.

    By key if the plan knows it, else by the field that is matched on; or all records if that takes fewer calls.
    Deleted records are left out, and so are records that now have a key of the plan but another name.

    :param stamps: further fields to read.
    :return: nested or dotted rows; there may be others among them.
    """
    if plan.is_empty:
        return []
    if not plan.full_records:
        try:
            return _read(client, plan, [*plan.fields, *stamps])
        except IntacctValidationError as error:
            if not is_not_queryable(error, plan.object_name):
                raise
    found = _read(client, plan, list(dict.fromkeys(["key", plan.match_on])))
    return [*fetch_records(client, plan.object_name, [str(row["key"]) for row in found]).values()]


def _read(client: IntacctClient, plan: Plan, fields: Sequence[str]) -> list[Row]:
    if not reads_by_page(len(plan.steps), plan.live, client.config.page_size):
        return list(_read_in_batches(client, plan, fields))
    keys = {step.key for step in plan.steps}
    rows = client.iter_rows(plan.object_name, fields)
    return [row for row in rows if str(row["key"]) in keys or match_text(row[plan.match_on]) in plan.touched]


def _read_in_batches(client: IntacctClient, plan: Plan, fields: Sequence[str]) -> Iterator[Row]:
    for start in range(0, len(plan.steps), BATCH_SIZE):
        condition = _select_steps(plan.steps[start : start + BATCH_SIZE], plan.match_on)
        query = Query.build(plan.object_name, fields, filters=condition)
        yield from client.iter_rows(query.trust_values())


def _select_steps(steps: Sequence[Step], match_on: str) -> Expression:
    """Select the records of some steps, by key if it is known."""
    keys = [step.key for step in steps if step.key]
    matches = [step.match for step in steps if not step.key]
    if keys and matches:
        return field("key").in_(keys) | field(match_on).in_(matches)
    return field("key").in_(keys) if keys else field(match_on).in_(matches)
