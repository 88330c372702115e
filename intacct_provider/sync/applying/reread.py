"""Reading again the records that a plan writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from intacct_provider.client import IntacctClient
from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.exceptions import IntacctValidationError
from intacct_provider.sync.plan import Plan, Step
from intacct_provider.sync.planning.cost import reads_by_page
from intacct_provider.sync.planning.live import NOT_QUERYABLE, Row, whole_records
from intacct_provider.sync.records import match_text

log = logging.getLogger(__name__)


def read_touched(client: IntacctClient, plan: Plan) -> list[Row]:
    """Read the records that a plan writes as they are now, with the plan's fields.

    By key where the plan knows it, by the field that is matched on where it does not; or all records where that takes
    fewer calls. What is gone is left out, and so is what has come to be under a key of the plan with another name.

    :return: nested or dotted rows; there may be others among them.
    """
    if plan.is_empty:
        return []
    if not plan.full_records:
        try:
            return _touched(client, plan, plan.fields)
        except IntacctValidationError as err:
            if err.error_id != NOT_QUERYABLE:
                raise
            log.info("Intacct: %s is read record by record: %s", plan.object_name, err.message)
    found = _touched(client, plan, list(dict.fromkeys(["key", plan.match_on])))
    whole = whole_records(client, plan.object_name, [str(row["key"]) for row in found])
    return list(whole.values())


def _touched(client: IntacctClient, plan: Plan, fields: Sequence[str]) -> list[Row]:
    if not reads_by_page(len(plan.steps), plan.live, client.config.page_size):
        return list(_some(client, plan, fields))
    keys = {step.key for step in plan.steps}
    rows = client.iter_rows(plan.object_name, fields)
    return [row for row in rows if str(row["key"]) in keys or match_text(row[plan.match_on]) in plan.touched]


def _some(client: IntacctClient, plan: Plan, fields: Sequence[str]) -> Iterator[Row]:
    for start in range(0, len(plan.steps), BATCH_SIZE):
        condition = _any_of(plan.steps[start : start + BATCH_SIZE], plan.match_on)
        yield from client.iter_rows(plan.object_name, fields, filters=condition)


def _any_of(steps: Sequence[Step], match_on: str) -> Expression:
    """Select the records of some steps, by key where it is known."""
    keys = [step.key for step in steps if step.key]
    matches = [step.match for step in steps if not step.key]
    if keys and matches:
        return field("key").in_(keys) | field(match_on).in_(matches)
    return field("key").in_(keys) if keys else field(match_on).in_(matches)
