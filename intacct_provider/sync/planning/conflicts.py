"""Conflicts between desired and live records that no plan can resolve, reported for all records at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from intacct_provider.client.model import get_entries
from intacct_provider.client.spelling import list_some
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.plan import Step
from intacct_provider.sync.problems import MAX_SHOWN, show_value

#: Status of a record that is no longer used.
INACTIVE = "inactive"


def check_deactivation(object_name: str, model: Mapping[str, Any]) -> None:
    """Fail if records to deactivate have no such status."""
    if INACTIVE not in (get_entries(model, "fields").get("status", {}).get("enum") or ()):
        raise IntacctArgumentError(
            f"on_delete is 'deactivate', but records of {object_name} have no status that can be {INACTIVE}; "
            "use 'delete'."
        )


def check_scope(
    object_name: str, found: Mapping[str, Mapping[str, Any]], in_scope: Collection[str] | None
) -> None:
    """Reject desired records whose live ones are not in scope.

    :param found: live records that are desired, by match value.
    :param in_scope: keys; None for all.
    """
    out = (
        [] if in_scope is None else [match for match, row in found.items() if str(row["key"]) not in in_scope]
    )
    _reject(
        [show_value(match) for match in sorted(out)],
        f"desired records of {object_name} exist in Intacct but out of scope, so they must not be changed. Widen "
        "scope, or leave them out",
    )


def check_creations(match_on: str, creates: Sequence[Step]) -> None:
    """Fail if records would be created under a key that the user chose."""
    if match_on == "key" and creates:
        raise IntacctArgumentError(
            f"There is no live record with key {show_value(creates[0].match)}. Intacct numbers new records itself, so "
            "match on another field, or use mode update."
        )


def _reject(names: Sequence[str], what: str) -> None:
    """Raise one error for all records that have a problem; at most 10 are named."""
    if names:
        raise IntacctArgumentError(f"{len(names)} {what}: {list_some(names, MAX_SHOWN)}.")
