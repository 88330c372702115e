"""From desired records to a plan: every check and every read, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.damage import warn_of_text
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.planning.invalid import Sorted, guard_deletions, sort_records
from intacct_provider.sync.planning.live import Live, read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.planning.references import check_references
from intacct_provider.sync.planning.required import check_fixed_fields, check_required_fields
from intacct_provider.sync.planning.spelling import check_spelling
from intacct_provider.sync.planning.unknown_fields import check_known_fields
from intacct_provider.sync.problems import Problem, raise_problems

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Plan
    from intacct_provider.sync.request import SyncRequest


def build_plan(client: IntacctClient, desired: Desired, request: SyncRequest, *, origin: str = "") -> Plan:
    """Return the plan of :func:`plan_records`, without the problems of records that it leaves out."""
    return plan_records(client, desired, request, origin=origin)[0]


def plan_records(
    client: IntacctClient, desired: Desired, request: SyncRequest, *, origin: str = ""
) -> tuple[Plan, list[Problem]]:
    """Return the plan that makes the live records match the desired ones, and what is wrong with those it leaves out.

    All problems of the desired records are reported at once: types, required fields and references. Unless the request
    says that records with problems are left out, there is no plan if there are any.

    :param origin: whose plan it is, such as the task and run.
    :raises IntacctDesiredStateError: for such problems, and if no record is without them.
    :raises IntacctArgumentError: if desired and live records conflict, or scope or protection has values that no
        record has.
    :raises IntacctIncompleteReadError: if it cannot be proven that all live records were read.
    """
    model = client.model(request.object_name)
    for selection in request.build_selections():
        # Values that no record has would select nothing, or everything.
        client.check_filters(selection)
    typed, problems = convert_records(desired, model, match_on=request.match_on)
    live: Live | None = None
    while True:
        kept = sort_records(desired, typed, problems, request)
        if not kept.good:
            raise_problems(desired.source, kept.problems)
        live = live or read_live(client, kept.good, model, request)
        plan, found = _plan(client, kept, live, model, request)
        problems = [*kept.problems, *found]
        # Leaving records out can leave others without the record that they refer to.
        if not found or request.on_invalid == "fail":
            break
    if problems and request.on_invalid == "fail":
        raise_problems(desired.source, problems)
    config = client.config
    plan = replace(
        plan,
        company_id=config.company_id,
        entity_id=config.entity_id,
        source=desired.source,
        origin=origin,
        warnings=(*kept.desired.warnings, *warn_of_text(kept.desired)),
        invalid=len(kept.rejected),
    )
    return plan, problems


def _plan(
    client: IntacctClient, kept: Sorted, live: Live, model: Mapping[str, Any], request: SyncRequest
) -> tuple[Plan, Sequence[Problem]]:
    """Return the plan of the records that are kept, and what is wrong with them."""
    desired, typed = kept.desired, kept.typed
    problems = [
        *check_known_fields(desired, live.unknown, live.fetched, model, request.object_name),
        *check_spelling(desired, live.rows, request.match_on),
    ]
    live, request = guard_deletions(kept, live, request)
    try:
        plan = plan_changes(kept.good, live, model, request)
    except IntacctArgumentError as error:
        if not (known := [*kept.problems, *problems]):
            raise
        raise_problems(desired.source, [*known, Problem("all records", "", "", "", str(error))])
    return plan, [
        *problems,
        *check_required_fields(desired, typed, plan.steps, request),
        *check_fixed_fields(desired, plan.steps, model, request),
        *check_references(client, desired, typed, plan.steps, live.rows, model, request),
    ]
