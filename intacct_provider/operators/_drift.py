"""Who changed the records that are not as desired, and when."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sync.object_facts import MODIFIED, collect_types
from intacct_provider.sync.records import flatten
from intacct_provider.sync.rendering.wording import make_visible

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.plan import Plan

log = logging.getLogger(__name__)

#: The id says more than the key.
_WHO = ("audit.modifiedByUser.id", "audit.modifiedBy")
#: Records that the error names; the log names all that were asked for.
_MAX_NAMED = 5


def describe_drift(client: IntacctClient, plan: Plan) -> str:
    """Return who changed the first records of a plan last and when, as sentences; ``""`` if Intacct does not say.

    It takes one call, for at most 500 records.
    """
    names = {step.key: step.match for step in plan.steps if step.key}
    keys = list(names)[:BATCH_SIZE]
    known = collect_types(client.model(plan.object_name))
    audit = [name for name in (MODIFIED, *_WHO) if name in known]
    if not keys or not audit:
        return ""
    try:
        rows = {
            str(row["key"]): flatten(row)
            for row in client.iter_rows(plan.object_name, ["key", *audit], filters=field("key").in_(keys))
        }
    except IntacctAPIError as error:
        # The drift counts, not who caused it.
        log.warning("It is unknown who changed the records of %s: %s", plan.object_name, error)
        return ""
    found = [f"{names[key]!r} {change}" for key in keys if (change := _describe_change(rows.get(key, {})))]
    if not found:
        return ""
    log.info("Last changed:\n%s", "\n".join(found))
    more = f" and {len(found) - _MAX_NAMED} more, in the log" if len(found) > _MAX_NAMED else ""
    return f" Last changed: {', '.join(found[:_MAX_NAMED])}{more}."


def _describe_change(row: Mapping[str, Any]) -> str:
    who = next((str(row[name]) for name in _WHO if row.get(name)), "")
    when = str(row.get(MODIFIED) or "")
    return " ".join([*([f"by {make_visible(who)}"] if who else []), *([f"at {when}"] if when else [])])
