"""Whether records may still be touched: the plan's scope and protection, asked of Intacct again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.plan import Plan
    from intacct_provider.sync.selection import Selection

OUT_OF_SCOPE = "is not in scope any more"
PROTECTED = "is protected now"


def find_forbidden(client: IntacctClient, plan: Plan, keys: Mapping[int, str]) -> dict[int, str]:
    """Return why records must not be touched any more, by position of their step.

    One query for 500 records, or part of them, for the scope and one for protection, which comes last.

    :param keys: of the live records concerned, by position of their step.
    """
    forbidden: dict[int, str] = {}
    for scope, asked in _split(plan, plan.scope, keys, met=True):
        selected = _select(client, plan, scope, asked)
        forbidden |= {n: OUT_OF_SCOPE for n, key in asked.items() if key not in selected}
    for protect, asked in _split(plan, plan.protect, keys, met=False):
        selected = _select(client, plan, protect, asked)
        forbidden |= {n: PROTECTED for n, key in asked.items() if key in selected}
    return forbidden


def _split(
    plan: Plan, selection: Selection | None, keys: Mapping[int, str], *, met: bool
) -> Iterator[tuple[Selection, dict[int, str]]]:
    """Yield what to ask of a selection, and for which records.

    The plan that an undo reverses may have moved a record in or out itself: one that was deactivated has left the scope
    of active ones. So conditions on fields that it wrote are not asked; these fields are compared with what it wrote.
    """
    if selection is None:
        return
    groups: dict[frozenset[int], dict[int, str]] = {}
    for n, key in keys.items():
        written = [change.path for change in plan.steps[n].changes] if plan.mode == "undo" else []
        groups.setdefault(selection.find_concerned(written), {})[n] = key
    for ours, some in groups.items():
        others = selection.without(ours, met=met)
        if others is not None:
            yield others, some


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
