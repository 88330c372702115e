"""From desired records to a plan: every check and every read, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.planning.references import check_references
from intacct_provider.sync.planning.required import check_fixed_fields, check_required_fields
from intacct_provider.sync.problems import Problem, raise_problems

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Plan
    from intacct_provider.sync.request import SyncRequest


def build_plan(client: IntacctClient, desired: Desired, request: SyncRequest, *, origin: str = "") -> Plan:
    """Return the plan that makes the live records match the desired ones.

    All problems of the desired records are reported at once: types, required fields and references.

    :param origin: whose plan it is, such as the task and run.
    :raises IntacctDesiredStateError: for such problems.
    :raises IntacctArgumentError: if desired and live records conflict.
    :raises IntacctIncompleteReadError: if it cannot be proven that all live records were read.
    """
    model = client.model(request.object_name)
    typed, problems = convert_records(desired, model, match_on=request.match_on)
    good = [record for record in typed if record is not None]
    if not good:
        raise_problems(desired.source, problems)
    live = read_live(client, good, model, request)
    try:
        plan = plan_changes(good, live, model, request)
    except IntacctArgumentError as error:
        if not problems:
            raise
        raise_problems(desired.source, [*problems, Problem("all records", "", "", "", str(error))])
    problems += check_required_fields(desired, typed, plan.steps, request)
    problems += check_fixed_fields(desired, plan.steps, model, request)
    problems += check_references(client, desired, typed, plan.steps, live.rows, model, request)
    if problems:
        raise_problems(desired.source, problems)
    config = client.config
    return replace(
        plan,
        company_id=config.company_id,
        entity_id=config.entity_id,
        source=desired.source,
        origin=origin,
    )
