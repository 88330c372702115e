"""What applying a plan did, from the outcome of each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from intacct_provider.sync.applying.batches import REMOVALS
from intacct_provider.sync.applying.journal import RecordOutcome, Refusal
from intacct_provider.sync.applying.outcomes import Outcome, rebuild_error
from intacct_provider.sync.applying.rejects import Reject, build_desired

if TYPE_CHECKING:
    from intacct_provider.sync.applying.verify import Deviation
    from intacct_provider.sync.plan import Plan


def sum_up(
    plan: Plan, outcomes: Sequence[RecordOutcome], deviations: Iterable[Deviation], held: int
) -> Outcome:
    """Return the outcome of a plan.

    :param deviations: records that are not as planned although they were written.
    :param held: number of deletions and deactivations that were not attempted.
    """
    deviating = {one.step: one for one in deviations}
    ignored = {n for n, one in deviating.items() if not one.meanwhile}
    done = [one for one in outcomes if one.outcome == "written" and one.step not in ignored]
    written = Counter(plan.steps[one.step].action for one in done)
    stale = [one for one in outcomes if one.outcome == "stale"]
    return Outcome(
        created=written["create"],
        updated=written["update"],
        deactivated=written["deactivate"],
        deleted=written["delete"],
        held=held,
        found=sum(one.outcome == "found" for one in outcomes),
        stale=tuple(one.match for one in stale),
        unprocessed=tuple(one.match for one in outcomes if one.unprocessed),
        changed_meanwhile=tuple(plan.steps[n].match for n in sorted(deviating.keys() - ignored)),
        rejects=(*list_rejects(plan, outcomes), *(_reject(plan, deviating[n]) for n in sorted(ignored))),
        reasons={one.match: one.reason for one in stale},
        removed=_name_removed(plan, done),
    )


def _name_removed(plan: Plan, done: Iterable[RecordOutcome]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in done:
        action = plan.steps[one.step].action
        if action in REMOVALS:
            found[f"{action}d"] = (*found.get(f"{action}d", ()), one.match)
    return found


def list_rejects(plan: Plan, outcomes: Iterable[RecordOutcome]) -> list[Reject]:
    """Return the records that Intacct rejected."""
    rejected = [(one.refusal, plan.steps[one.step]) for one in outcomes if one.refusal]
    return [
        Reject(step.action, step.match, rebuild_error(refusal), build_desired(step))
        for refusal, step in rejected
    ]


def _reject(plan: Plan, deviation: Deviation) -> Reject:
    """Return a record that Intacct accepted and did not write as one that it rejected."""
    step = plan.steps[deviation.step]
    target = deviation.fields[0].path if deviation.fields else ""
    refusal = Refusal(deviation.message, status=200, code="notApplied", target=target)
    return Reject(step.action, step.match, rebuild_error(refusal), build_desired(step), deviation.fields)
