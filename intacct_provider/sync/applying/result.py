"""What applying a plan did, and why it was not applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intacct_provider.sync.applying.rejects import Reject
from intacct_provider.sync.plan import Step
from intacct_provider.sync.records import flatten, unflatten


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying a plan did; numbers of records.

    :param held: deletions and deactivations that were not tried, because too many other records were refused.
    :param found: records that were as the plan wants them before it was applied; nothing was written.
    :param stale: ``match_on`` values of records that were left alone, because somebody else changed them.
    """

    created: int = 0
    updated: int = 0
    deactivated: int = 0
    deleted: int = 0
    held: int = 0
    found: int = 0
    stale: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()


def wanted_of(step: Step) -> dict[str, Any]:
    """Return what a step wants of its record as a desired record says it."""
    return unflatten(
        {**flatten(step.body), **{change.path: change.new for change in step.changes if step.body}}
    )


def counts_of(outcome: Outcome) -> dict[str, int]:
    """Return the numbers of an outcome by name."""
    return {
        "created": outcome.created,
        "updated": outcome.updated,
        "deactivated": outcome.deactivated,
        "deleted": outcome.deleted,
        "held": outcome.held,
        "found": outcome.found,
        "stale": len(outcome.stale),
        "rejected": len(outcome.rejects),
    }
