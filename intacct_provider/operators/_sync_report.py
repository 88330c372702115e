"""What the sync operators tell of their work: XComs, log lines, and the error for refused records."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError, IntacctRejectedRecordsError
from intacct_provider.sync.applying.rejects import rejects_table, tolerated
from intacct_provider.sync.applying.result import Outcome, counts_of
from intacct_provider.sync.plan import Plan

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

log = logging.getLogger(__name__)

#: Records left alone that a log line names.
_NAMED = 50


def planned(plan: Plan) -> dict[str, Any]:
    """Return what a plan comes to."""
    return {
        "changed": not plan.is_empty,
        **{f"to_{action}": plan.counts[action] for action in ("create", "update", "deactivate", "delete")},
        "unchanged": plan.unchanged,
        "left_alone": plan.left_alone,
        "protected": plan.protected,
        "estimated_transactions": plan.transactions,
    }


def in_words(plan: Plan) -> str:
    """Return the counts of a plan as a person says them."""
    return ", ".join(f"{number} to {action}" for action, number in plan.counts.items())


def report(
    context: Mapping[str, Any],
    plan: Plan,
    outcome: Outcome,
    result: Mapping[str, Any],
    *,
    max_rejects: int,
    max_reject_percent: float | None,
) -> None:
    """Log what applying a plan came to.

    :raises IntacctRejectedRecordsError: if Intacct refused more records than is tolerated.
    """
    done = counts_of(outcome) | {"unchanged": plan.unchanged}
    always = ("created", "updated", "deleted", "unchanged", "rejected")
    others = [name for name in ("deactivated", "found", "held", "stale") if done[name]]
    log.info("%s: %s.", plan.object_name, ", ".join(f"{done[name]} {name}" for name in (*always, *others)))
    if outcome.stale:
        rest = f" and {len(outcome.stale) - _NAMED} more" if len(outcome.stale) > _NAMED else ""
        names = ", ".join(outcome.stale[:_NAMED]) + rest
        log.warning("Left alone, because they changed after the plan was made: %s", names)
    if outcome.rejects:
        log.error("Intacct refused:\n%s", rejects_table(outcome.rejects))
    if tolerated(plan, outcome.rejects, max_rejects, max_reject_percent):
        return
    push(context, result)
    first = outcome.rejects[0]
    held = f", and {outcome.held} deletions were held back" if outcome.held else ""
    where = f" They are in {result['rejects']}." if "rejects" in result else ""
    raise IntacctRejectedRecordsError(
        f"Intacct refused {len(outcome.rejects)} records of {plan.object_name} (max_rejects is {max_rejects}); the "
        f"others are written{held}.{where} First: {first.action} {first.match}: {first.error}"
    )


def push(context: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Leave the result to whoever looks into it, though the task is about to fail."""
    task = context.get("ti")
    if task is not None:
        task.xcom_push(key="return_value", value=dict(result))


def check_place(client: IntacctClient, plan: Plan) -> None:
    """Refuse to apply a plan anywhere but where it was made."""
    config = client.config
    if plan.company_id != config.company_id:
        raise IntacctArgumentError(
            f"The plan was made for company {plan.company_id!r}, and the connection is for {config.company_id!r}."
        )
    if plan.entity_id is not None and plan.entity_id != config.entity_id:
        raise IntacctArgumentError(
            f"The plan was made for entity {plan.entity_id!r}, and the task works in {config.entity_id!r}. Leave "
            "entity_id out, to work in the plan's."
        )


def flag(argument: str, value: Any) -> bool:
    """Read a flag that a template may have made into text."""
    text = str(value).strip().lower()
    if text not in ("true", "false"):
        raise IntacctArgumentError(f"{argument} must be True or False, not {value!r}.")
    return text == "true"
