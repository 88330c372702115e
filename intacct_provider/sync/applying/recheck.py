"""Whether records may still be touched: the plan's scope and protection, asked of Intacct again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.plan import Plan, Step
    from intacct_provider.sync.selection import Selection

OUT_OF_SCOPE = "is not in scope any more"
PROTECTED = "is protected now"


def find_forbidden(client: IntacctClient, plan: Plan, keys: Mapping[int, str]) -> dict[int, str]:
    """Return why records must not be touched any more, by position of their step.

    One query for 500 records, or part of them, for the scope and one for protection, which comes last.

    :param keys: of the live records concerned, by position of their step.
    """
    forbidden: dict[int, str] = {}
    if plan.scope is not None:
        asked = _list_asked(plan, plan.scope, keys)
        selected = _select(client, plan, plan.scope, asked)
        forbidden |= {n: OUT_OF_SCOPE for n, key in asked.items() if key not in selected}
    if plan.protect is not None:
        asked = _list_asked(plan, plan.protect, keys)
        selected = _select(client, plan, plan.protect, asked)
        forbidden |= {n: PROTECTED for n, key in asked.items() if key in selected}
    return forbidden


def _list_asked(plan: Plan, selection: Selection, keys: Mapping[int, str]) -> dict[int, str]:
    return {n: key for n, key in keys.items() if not _is_selected_by_us(plan, plan.steps[n], selection)}


def _is_selected_by_us(plan: Plan, step: Step, selection: Selection) -> bool:
    """Return whether the plan that an undo reverses may have moved a record in or out.

    A record that was deactivated has left the scope of active ones. Such fields are compared with what that plan wrote.
    """
    return plan.mode == "undo" and selection.concerns(change.path for change in step.changes)


def _select(client: IntacctClient, plan: Plan, selection: Selection, asked: Mapping[int, str]) -> set[str]:
    """Return those of some keys that a selection has."""
    query = Query.build(
        plan.object_name, ["key"], filters=selection.conditions, filter_expression=selection.expression
    )
    keys: Sequence[str] = list(asked.values())
    found: set[str] = set()
    for start in range(0, len(keys), BATCH_SIZE):
        some = query.narrow(field("key").in_(keys[start : start + BATCH_SIZE]))
        # The values were checked when the plan was made.
        found.update(str(row["key"]) for row in client.iter_rows(some.trust_values()))
    return found
