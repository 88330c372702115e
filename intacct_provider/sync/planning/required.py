"""What records need before they can be created, and what cannot be changed afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.client.model import read_fields
from intacct_provider.sync.desired.state import column_of
from intacct_provider.sync.object_facts import REQUIRED
from intacct_provider.sync.problems import Problem, shown
from intacct_provider.sync.records import flatten, is_blank, match_text

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Step


def required_problems(
    object_name: str,
    desired: Desired,
    typed: Sequence[Mapping[str, Any] | None],
    creates: Collection[str],
    *,
    match_on: str = "id",
) -> list[Problem]:
    """Return which required fields are missing in new records, and which are cleared in any record.

    Known for customers, customer groups, account groups and purposes of account groups; Intacct itself
    describes no field as required.

    :param typed: the records of :func:`~intacct_provider.sync.desired.coerce.typed`.
    :param creates: ``match_on`` values of the records that are to be created.
    """
    problems = []
    for place, given, made in zip(desired.places, desired.records, typed, strict=True):
        flat = flatten(given if made is None else made)
        match = match_text(flat.get(match_on))
        for path in REQUIRED.get(object_name, ()):
            absent, created = path not in flat, match in creates
            if path == match_on or not is_blank(flat.get(path)) or (absent and not created):
                continue
            if made is None and not absent and flat[path] is None:
                continue  # typing it has told so
            text = "is required to create the record" if created else "is required, so it cannot be cleared"
            value = "" if absent else shown(flat[path])
            problems.append(Problem(place, match, column_of(path, desired.columns), value, text))
    return problems


def unchangeable_problems(
    model: Mapping[str, Any], desired: Desired, steps: Iterable[Step], *, match_on: str = "id"
) -> list[Problem]:
    """Return the changes of fields that Intacct sets once, when a record is created.

    :param steps: of the plan; updates count.
    """
    fixed = {name for name, field in read_fields(model).items() if not field.mutable}
    places = places_of(desired, match_on)
    return [
        Problem(
            places.get(step.match, ""),
            step.match,
            column_of(change.path, desired.columns),
            shown(change.new),
            f"is {shown(change.new)}, but {shown(change.old)} in Intacct, where it cannot be changed any more",
        )
        for step in steps
        if step.action == "update"
        for change in step.changes
        if change.path in fixed
    ]


def places_of(desired: Desired, match_on: str) -> dict[str, str]:
    """Return where each record is, by its ``match_on`` value."""
    return {
        match_text(flatten(record).get(match_on)): place
        for place, record in zip(desired.places, desired.records, strict=True)
    }
