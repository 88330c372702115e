"""Fields that records need before they can be created, and fields that cannot be changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.client.model import read_fields
from intacct_provider.sync.object_facts import REQUIRED
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import flatten, is_blank, match_text

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Step
    from intacct_provider.sync.request import SyncRequest


def check_required_fields(
    desired: Desired, typed: Sequence[Mapping[str, Any] | None], steps: Iterable[Step], request: SyncRequest
) -> list[Problem]:
    """Return which required fields are missing in new records, and which are cleared in any record.

    Known for customers, customer groups, account groups and purposes of account groups; Intacct itself
    marks no field as required.

    :param typed: from :func:`~intacct_provider.sync.desired.typed_records.convert_records`.
    :param steps: of the plan.
    """
    problems = []
    creates = {step.match for step in steps if step.action == "create"}
    for place, given, converted in zip(desired.places, desired.records, typed, strict=True):
        flat = flatten(given if converted is None else converted)
        match = match_text(flat.get(request.match_on))
        for path in REQUIRED.get(request.object_name, ()):
            absent, created = path not in flat, match in creates
            if path == request.match_on or not is_blank(flat.get(path)) or (absent and not created):
                continue
            if converted is None and not absent and flat[path] is None:
                continue  # already reported when it was converted
            text = "is required to create the record" if created else "is required, so it cannot be cleared"
            value = "" if absent else show_value(flat[path])
            problems.append(Problem(place, match, desired.column(path), value, text))
    return problems


def check_fixed_fields(
    desired: Desired, steps: Iterable[Step], model: Mapping[str, Any], request: SyncRequest
) -> list[Problem]:
    """Return the changes of fields that Intacct sets once, when a record is created.

    :param steps: of the plan; updates are checked.
    """
    fixed = {name for name, field in read_fields(model).items() if not field.mutable}
    places = desired.places_by_match(request.match_on)
    problems = []
    for step in steps:
        for change in step.changes if step.action == "update" else ():
            if change.path in fixed:
                new, old = show_value(change.new), show_value(change.old)
                text = f"is {new}, but {old} in Intacct, where it can no longer be changed"
                place, column = places.get(step.match, ""), desired.column(change.path)
                problems.append(Problem(place, step.match, column, new, text))
    return problems
