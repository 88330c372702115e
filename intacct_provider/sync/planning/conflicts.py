"""What desired records and Intacct's cannot agree on, so that no plan is made: told for all records at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from intacct_provider.client.model import entries
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.identity import folded
from intacct_provider.sync.plan import Step
from intacct_provider.sync.problems import MOST_SHOWN, shown
from intacct_provider.sync.records import match_text

#: Status of a record that is no longer used.
INACTIVE = "inactive"


def check_choice(argument: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse an argument that is none of the choices."""
    if value not in choices:
        guess = did_you_mean(str(value), choices)
        raise IntacctArgumentError(f"{argument} is {shown(value)}; use one of {', '.join(choices)}.{guess}")


def check_deactivation(object_name: str, model: Mapping[str, Any]) -> None:
    """Refuse to deactivate records that have no such status."""
    if INACTIVE not in (entries(model, "fields").get("status", {}).get("enum") or ()):
        raise IntacctArgumentError(
            f"on_delete is 'deactivate', but records of {object_name} have no status that can be {INACTIVE}; "
            "use 'delete'."
        )


def check_spelling(
    object_name: str,
    match_on: str,
    wanted: Collection[str],
    missing: Collection[str],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Refuse to create a record whose name differs from a live one's only by case."""
    near = {folded(match): match for match in missing}
    live = (match_text(row.get(match_on)) for row in rows) if near else ()
    pairs = [(near[folded(match)], match) for match in live if match not in wanted and folded(match) in near]
    _refuse(
        [f"{shown(desired)} (live: {shown(match)})" for desired, match in sorted(pairs)],
        f"desired records of {object_name} differ from live ones only by the case of {match_on}, which Intacct may "
        "take for the same. Spell them as they are",
    )


def check_scope(
    object_name: str, found: Mapping[str, Mapping[str, Any]], in_scope: Collection[str] | None
) -> None:
    """Refuse desired records whose live ones are not in scope.

    :param found: live records that are desired, by what they are matched on.
    :param in_scope: keys; None for all.
    """
    out = (
        [] if in_scope is None else [match for match, row in found.items() if str(row["key"]) not in in_scope]
    )
    _refuse(
        [shown(match) for match in sorted(out)],
        f"desired records of {object_name} are live but out of scope, so they are not ours to change. Widen scope, or "
        "leave them out",
    )


def check_creations(match_on: str, creates: Sequence[Step]) -> None:
    """Refuse to create records under a key of the user's choice."""
    if match_on == "key" and creates:
        raise IntacctArgumentError(
            f"There is no live record with key {shown(creates[0].match)}. Intacct numbers new records itself, so "
            "match on another field, or use mode update."
        )


def _refuse(names: Sequence[str], what: str) -> None:
    """Raise one error for all records that have a problem; at most 10 are named."""
    if names:
        rest = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        raise IntacctArgumentError(f"{len(names)} {what}: {', '.join(names[:MOST_SHOWN])}{rest}.")
