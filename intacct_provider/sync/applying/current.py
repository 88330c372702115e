"""How the records of a plan are now, compared with when it was made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intacct_provider.client.spelling import list_some
from intacct_provider.exceptions import IntacctStalePlanError
from intacct_provider.sync.applying.recheck import find_forbidden
from intacct_provider.sync.applying.reread import reread_records
from intacct_provider.sync.applying.staleness import find_stale_steps, is_done, list_stamps
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.records import flatten, match_text, value_at

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.plan import Plan, Step

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Current:
    """How the records of some steps are now, by position of the step.

    :param rows: the records by match value.
    :param done: steps whose records are as planned.
    :param stale: why records must be left alone: they are neither as planned nor as they were when the plan was made,
        or they are protected or out of scope now.
    """

    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    done: frozenset[int] = frozenset()
    stale: Mapping[int, str] = field(default_factory=dict)

    def get_key(self, step: Step) -> str:
        """Return the key of a step's record, which an undo does not know; ``""`` if it does not exist."""
        return step.key or str(self.rows.get(step.match, {}).get("key", ""))

    def has_record(self, step: Step) -> bool:
        """Return whether the record that a step changes or deletes exists."""
        row = self.rows.get(step.match)
        return step.action != "create" and row is not None and str(row["key"]) == self.get_key(step)


def read_current(client: IntacctClient, plan: Plan, positions: Sequence[int]) -> Current:
    """Read the records of some steps of a plan, and ask whether they may still be touched."""
    steps = plan.steps
    part = replace(plan, steps=tuple(steps[n] for n in positions))
    # The model is a billed call, which a plan does without as long as nothing has changed.
    types = read_types(client, plan) if any(step.fingerprint is None for step in part.steps) else {}
    rows = reread_records(client, part, stamps=list_stamps(part.steps, types))
    by_match = {match_text(value_at(flatten(row), plan.match_on)): row for row in rows}
    changed = {step.match for step in find_stale_steps(part, rows, types)}
    types = types or (read_types(client, plan) if changed else {})
    differing = [n for n in positions if steps[n].match in changed]
    done = {n for n in differing if is_done(steps[n], by_match.get(steps[n].match), types)}
    stale = {n: _describe_change(steps[n], by_match.get(steps[n].match)) for n in differing if n not in done}
    current = Current(by_match, frozenset(done), stale)
    # Also of what was changed: that it is protected now says more.
    asked = [n for n in positions if n not in done and current.has_record(steps[n])]
    forbidden = find_forbidden(client, plan, {n: current.get_key(steps[n]) for n in asked})
    return replace(current, stale={**stale, **forbidden})


def recheck_selection(client: IntacctClient, plan: Plan, positions: Sequence[int]) -> Current:
    """Ask whether the records of some steps of a plan that was just made may be touched, and do not read them."""
    existing = {n: plan.steps[n].key for n in positions if plan.steps[n].action != "create"}
    return Current(stale=find_forbidden(client, plan, existing))


def read_types(client: IntacctClient, plan: Plan) -> dict[str, str]:
    """Return the types of the fields of the plan's object."""
    return collect_types(client.model(plan.object_name))


def build_stale_error(
    plan: Plan, reasons: Mapping[int, str], *, more: bool, advice: str
) -> IntacctStalePlanError:
    """Return the error that names the first records that changed since the plan was made.

    :param reasons: what happened to each, by position of the step.
    :param more: whether something was written before.
    """
    positions = sorted(reasons)
    steps = [plan.steps[n] for n in positions]
    named = list_some((f"{plan.steps[n].match!r} {reasons[n]}" for n in positions), _MAX_NAMED)
    written = "Nothing more was written" if more else "Nothing was written"
    return IntacctStalePlanError(
        f"{len(steps)} of {len(plan.steps)} records of {plan.object_name} changed since the plan was made: "
        f"{named}. {written}. {advice}",
        steps,
    )


def describe_changes(current: Current, plan: Plan, positions: Collection[int]) -> dict[int, str]:
    """Return what happened to records that a plan had written."""
    return {n: _describe_change(plan.steps[n], current.rows.get(plan.steps[n].match)) for n in positions}


def _describe_change(step: Step, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "no longer exists"
    if step.action == "create":
        return "exists now"
    return "is another record now" if step.key and str(row.get("key")) != step.key else "was changed"
