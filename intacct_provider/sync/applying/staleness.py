"""Whether the records of a plan changed since the plan was made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intacct_provider.sync.object_facts import CREATED, MODIFIED
from intacct_provider.sync.plan import Plan, Step
from intacct_provider.sync.planning.diff import compare
from intacct_provider.sync.planning.equality import parse_time
from intacct_provider.sync.planning.fingerprint import fingerprint_record
from intacct_provider.sync.records import flatten, match_text, value_at

#: A record that was created and not changed since has nearly the same time twice.
_CREATION = dt.timedelta(seconds=5)


def find_stale_steps(
    plan: Plan, rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]
) -> tuple[Step, ...]:
    """Return the steps whose record changed since the plan was made.

    A record to create exists now; one to write no longer exists, has another key, or another value in one of
    ``plan.fields``. If a step has no fingerprint, the old values of its changes are compared instead. A record to
    delete must not have been changed at all, as far as its audit fields show. Other records may change freely. A record
    that is already as planned differs from when the plan was made, too: see :func:`is_done`.

    :param rows: from :func:`~intacct_provider.sync.applying.reread.reread_records`.
    :param types: from :func:`~intacct_provider.sync.object_facts.collect_types`.
    """
    found = group_by_match(plan, rows)
    return tuple(
        step for step in plan.steps if not _is_unchanged(plan, step, found.get(step.match, ()), types)
    )


def is_done(step: Step, row: Mapping[str, Any] | None, types: Mapping[str, str]) -> bool:
    """Return whether a record is as planned, so that writing it would change nothing.

    :param row: the live record; None if it does not exist.
    :param types: from :func:`~intacct_provider.sync.object_facts.collect_types`.
    """
    if step.action == "delete" or row is None:
        return step.action == "delete" and row is None
    return not compare({change.path: change.new for change in step.changes}, row, types)


def group_by_match(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Return live records by match value; several may share one."""
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for row in rows:
        match = match_text(value_at(flatten(row), plan.match_on))
        found[match] = (*found.get(match, ()), row)
    return found


def _is_unchanged(
    plan: Plan, step: Step, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]
) -> bool:
    if step.action == "create" or len(rows) != 1:
        return step.action == "create" and not rows
    row = rows[0]
    if step.key and str(row["key"]) != step.key:
        return False
    if step.action == "delete" and _was_edited(step, flatten(row)):
        return False
    if step.fingerprint is None:
        return not compare({change.path: change.old for change in step.changes}, row, types)
    return fingerprint_record(row, plan.fields) == step.fingerprint


def _was_edited(step: Step, row: Mapping[str, Any]) -> bool:
    """Return whether any field of a record to delete was changed since the plan was made.

    An undo deletes what its plan created, which must not have been changed since then.

    :param row: flat, with :func:`list_stamps`.
    """
    now = parse_time(row.get(MODIFIED))
    if step.fingerprint is not None:
        known = parse_time(step.modified)
        return now is not None and known is not None and now != known
    created = parse_time(row.get(CREATED))
    return now is not None and created is not None and now - created > _CREATION


def list_stamps(steps: Iterable[Step], types: Mapping[str, str]) -> list[str]:
    """Return the audit fields that show whether records to delete were changed.

    :param types: of the object's fields; needed for an undo only.
    """
    deletions = [step for step in steps if step.action == "delete"]
    if any(step.modified for step in deletions):
        return [MODIFIED]
    undone = any(step.fingerprint is None for step in deletions)
    return [name for name in (CREATED, MODIFIED) if undone and name in types]
