"""From desired records to a plan: every check and every read that it takes, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.coerce import typed
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import make_plan
from intacct_provider.sync.planning.references import reference_problems
from intacct_provider.sync.planning.required import required_problems, unchangeable_problems
from intacct_provider.sync.problems import Problem, refuse

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Mode, Plan


def plan_for(
    client: IntacctClient,
    object_name: str,
    desired: Desired,
    *,
    mode: Mode,
    match_on: str,
    scope: Any,
    protect: Any,
    on_delete: Literal["delete", "deactivate"],
    origin: str,
) -> Plan:
    """Return the plan that makes the live records as desired.

    What is wrong with the desired records is told all at once: types, required fields and references alike.

    :raises IntacctDesiredStateError: for that.
    :raises IntacctArgumentError: for other arguments that are wrong.
    :raises IntacctIncompleteReadError: if it cannot be proven that all live records were read.
    """
    model = client.model(object_name)
    records, problems = typed(desired, model, match_on=match_on)
    good = [record for record in records if record is not None]
    if not good:
        refuse(desired.source, problems)
    live = read_live(
        client, object_name, good, model, match_on=match_on, mode=mode, scope=scope, protect=protect
    )
    try:
        plan = make_plan(
            object_name,
            good,
            live,
            model=model,
            mode=mode,
            match_on=match_on,
            entity_id=client.config.entity_id,
            on_delete=on_delete,
            source=desired.source,
            origin=origin,
        )
    except IntacctArgumentError as err:
        if not problems:
            raise
        refuse(desired.source, [*problems, Problem("all records", "", "", "", str(err))])
    creates = {step.match for step in plan.steps if step.action == "create"}
    problems += required_problems(object_name, desired, records, creates, match_on=match_on)
    problems += unchangeable_problems(model, desired, plan.steps, match_on=match_on)
    problems += reference_problems(
        client, object_name, model, desired, plan.steps, live.rows, typed=records, match_on=match_on
    )
    if problems:
        refuse(desired.source, problems)
    return replace(plan, company_id=client.config.company_id)
