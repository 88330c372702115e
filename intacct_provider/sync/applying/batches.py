"""A plan as the calls that apply it, split in the same way in every attempt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from intacct_provider.client.batches import BATCH_SIZE, split_records
from intacct_provider.sync.plan import Action, Plan

#: These come last, and are not done if too many records were rejected before.
REMOVALS: tuple[Action, ...] = ("deactivate", "delete")


@dataclass(frozen=True, slots=True)
class Batch:
    """Steps that one call applies.

    :param number: its position among all batches of the plan, from 1.
    :param steps: their positions among the plan's steps.
    """

    number: int
    action: Action
    steps: tuple[int, ...]


def split_batches(plan: Plan) -> list[Batch]:
    """Return the batches of a plan, of at most 500 records, in the order of sending: by action, then by level."""
    order = sorted(range(len(plan.steps)), key=lambda n: (*plan.steps[n].rank, n))
    groups = (list(group) for _rank, group in groupby(order, key=lambda n: plan.steps[n].rank))
    parts = (part for group in groups for part in _split_group(plan, group))
    return [
        Batch(number, plan.steps[part[0]].action, tuple(part)) for number, part in enumerate(parts, start=1)
    ]


def _split_group(plan: Plan, group: list[int]) -> Iterator[list[int]]:
    if plan.steps[group[0]].action == "delete":
        yield from (group[start : start + BATCH_SIZE] for start in range(0, len(group), BATCH_SIZE))
        return
    start = 0
    for part in split_records([{**plan.steps[n].body, "key": plan.steps[n].key} for n in group]):
        yield group[start : start + len(part)]
        start += len(part)
