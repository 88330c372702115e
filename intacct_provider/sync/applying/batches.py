"""A plan as the calls that carry it out, cut in the same way in every try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.batches import batches as cut
from intacct_provider.sync.plan import Action, Plan

#: What takes something away comes last, and is left undone when too much else was refused.
ORDER: tuple[Action, ...] = ("create", "update", "deactivate", "delete")
TAKES_AWAY: tuple[Action, ...] = ("deactivate", "delete")


@dataclass(frozen=True, slots=True)
class Batch:
    """Steps that one call carries out.

    :param number: its position among all batches of the plan, from 1.
    :param steps: their positions among the plan's steps.
    """

    number: int
    action: Action
    steps: tuple[int, ...]


def batches_of(plan: Plan) -> list[Batch]:
    """Return the batches of a plan in the order in which they are sent: by action, then by level, 500 at most."""
    order = sorted(range(len(plan.steps)), key=lambda n: _place(plan, n))
    groups = (list(group) for _place, group in groupby(order, key=lambda n: _place_of(plan, n)))
    some = (part for group in groups for part in _parts(plan, group))
    return [
        Batch(number, plan.steps[part[0]].action, tuple(part)) for number, part in enumerate(some, start=1)
    ]


def _place(plan: Plan, position: int) -> tuple[int, int, int]:
    return (*_place_of(plan, position), position)


def _place_of(plan: Plan, position: int) -> tuple[int, int]:
    step = plan.steps[position]
    return ORDER.index(step.action), step.level


def _parts(plan: Plan, group: list[int]) -> Iterator[list[int]]:
    if plan.steps[group[0]].action == "delete":
        yield from (group[start : start + BATCH_SIZE] for start in range(0, len(group), BATCH_SIZE))
        return
    start = 0
    for part in cut([{**plan.steps[n].body, "key": plan.steps[n].key} for n in group]):
        yield group[start : start + len(part)]
        start += len(part)
