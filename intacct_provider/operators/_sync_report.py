"""What the sync operators report and check: XComs, log lines, the plan's company, and rejected records."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intacct_provider.client.spelling import list_some
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctPlanInUseError,
    IntacctRejectedRecordsError,
    IntacctStalePlanError,
    IntacctSyncGuardError,
)
from intacct_provider.sync.applying.outcomes import WORDS, Outcome
from intacct_provider.sync.applying.output_files import choose_rejects_path, write_rejects
from intacct_provider.sync.applying.rejects import Tolerance, format_rejects
from intacct_provider.sync.plan import ACTIONS, Plan

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.storage.files import ObjectStoragePath
    from intacct_provider.sync.applying.journal import Journal

log = logging.getLogger(__name__)

#: Outcomes that the log names only if there are any.
_LESS_COMMON = ("deactivated", "found", "held", "stale", "unprocessed", "changed_meanwhile")

#: Stale records that a log line names.
_MAX_NAMED = 50
#: Removed records that a log line names; the journal has all.
_MAX_REMOVED = 20


def summarize_plan(plan: Plan) -> dict[str, Any]:
    """Return the numbers of a plan for the XCom."""
    return {
        "changed": not plan.is_empty,
        **{f"to_{action}": plan.counts[action] for action in ACTIONS},
        "fields_cleared": plan.cleared,
        "warnings": list(plan.warnings),
        "unchanged": plan.unchanged,
        "left_alone": plan.left_alone,
        "protected": plan.protected,
        "invalid": plan.invalid,
        "estimated_transactions": plan.transactions,
    }


def describe_making(context: Mapping[str, Any]) -> str:
    """Return when a plan is made, and by which try of the task."""
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    task = context.get("ti")
    return moment if task is None else f"{moment}, by try {task.try_number}"


def keep_rejected(plan_path: ObjectStoragePath, source: str, rejected: bytes) -> dict[str, str]:
    """Write the desired records with problems to a file beside their plan, to be corrected; return its path, if any.

    If there are none, the file of an earlier attempt is removed.

    :param source: path of the desired records, or another name of them.
    :param rejected: their lines.
    """
    path = choose_rejects_path(plan_path, source)
    write_rejects(path, rejected)
    if not rejected:
        return {}
    log.error("The desired records with problems are in %s.", path)
    return {"rejects": str(path)}


def describe_files(journal: Journal) -> dict[str, str]:
    """Return what applying a plan left behind: the paths, and the digest of the reverse plan."""
    files = journal.files
    undo = journal.published_undo() if "undo" in files else None
    return files if undo is None else files | {"undo_sha256": undo.digest}


def log_outcome(plan: Plan, outcome: Outcome, files: Mapping[str, Any]) -> None:
    """Log the outcome of applying a plan, which records are gone, and where the reverse plan is."""
    done = outcome.counts | {"unchanged": plan.unchanged}
    always = ("created", "updated", "deleted", "unchanged", "rejected")
    others = [name for name in _LESS_COMMON if done[name]]
    numbers = ", ".join(f"{done[name]} {WORDS.get(name, name)}" for name in (*always, *others))
    log.info("%s: %s.", plan.object_name, numbers)
    for action, removed in outcome.removed.items():
        hidden = len(removed) - _MAX_REMOVED
        more = f" and {hidden} more, which the journal names" if hidden > 0 else ""
        log.info("%s: %s%s.", action.capitalize(), ", ".join(map(repr, removed[:_MAX_REMOVED])), more)
    if "undo" in files:
        log.info("The plan that undoes this is %s.", files["undo"])
    if outcome.stale:
        named = (f"{name} {outcome.reasons.get(name, '')}".rstrip() for name in outcome.stale)
        log.warning(
            "Left alone because they changed after the plan was made: %s", list_some(named, _MAX_NAMED)
        )
    if outcome.changed_meanwhile:
        names = ", ".join(outcome.changed_meanwhile[:_MAX_NAMED])
        log.warning("Changed by somebody else after they were written: %s", names)
    if outcome.rejects:
        log.error("Intacct rejected:\n%s", format_rejects(outcome.rejects))


def check_rejects(
    context: Mapping[str, Any],
    plan: Plan,
    outcome: Outcome,
    result: Mapping[str, Any],
    tolerance: Tolerance,
) -> None:
    """Fail, with the result as XCom, if more records were rejected than is tolerated, or some were not processed.

    :raises IntacctRejectedRecordsError: in that case.
    """
    if tolerance.allows(len(plan.steps), outcome.rejects) and not outcome.unprocessed:
        return
    push_result(context, result)
    held = f", and {outcome.held} deletions were held back" if outcome.held else ""
    where = f" They are in {result['rejects']}." if "rejects" in result else ""
    first = "".join(f" First: {one.action} {one.match}: {one.error}" for one in outcome.rejects[:1])
    held += f", and {plan.invalid} desired records with problems were left out" if tolerance.invalid else ""
    left = ""
    if outcome.unprocessed:
        named = ", ".join(outcome.unprocessed[:_MAX_NAMED])
        left = (
            f" Because of them it did not process {len(outcome.unprocessed)} others, which clearing the task writes: "
            f"{named}."
        )
    raise IntacctRejectedRecordsError(
        f"Intacct rejected {len(outcome.rejects)} records of {plan.object_name} (max_rejects is "
        f"{tolerance.max_rejects}); the others are written{held}.{where}{left}{first}"
    )


def push_result(context: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Store the result as XCom although the task is about to fail."""
    task = context.get("ti")
    if task is not None:
        task.xcom_push(key="return_value", value=dict(result))


@contextmanager
def name_plan(path: ObjectStoragePath | str | None) -> Iterator[None]:
    """Add the path of the plan to the errors that say why it is not applied."""
    try:
        yield
    except (IntacctPlanInUseError, IntacctStalePlanError, IntacctSyncGuardError) as error:
        if path is not None:
            error.args = (f"{error.args[0]} The plan is {path}.", *error.args[1:])
        raise


def check_company(client: IntacctClient, plan: Plan, path: str) -> None:
    """Fail if a plan was made for another company or entity."""
    config = client.config
    if plan.company_id != config.company_id:
        raise IntacctArgumentError(
            f"The plan {path} was made for company {plan.company_id!r}, and the connection is for "
            f"{config.company_id!r}."
        )
    if plan.entity_id is not None and plan.entity_id != config.entity_id:
        raise IntacctArgumentError(
            f"The plan {path} was made for entity {plan.entity_id!r}, and the task works in {config.entity_id!r}. "
            "Leave entity_id out to work in the plan's entity."
        )
