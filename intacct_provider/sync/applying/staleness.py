"""What a plan saw, compared with the records as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intacct_provider.sync.plan import Plan, Step
from intacct_provider.sync.planning.diff import compare
from intacct_provider.sync.planning.fingerprint import fingerprint_of
from intacct_provider.sync.records import flatten, match_text, value_at


def stale_steps(plan: Plan, rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps whose record is not what the plan saw.

    A record to create has come to be; one to write is gone, has another key or another value in one of
    ``plan.fields``. Where a step has no fingerprint, the old values of its changes count instead. Other records may
    change freely. What is as the plan wants it already differs from what it saw, too: see :func:`already_done`.

    :param rows: from :func:`~intacct_provider.sync.applying.reread.read_touched`.
    :param types: from :func:`~intacct_provider.sync.object_facts.types_of`.
    """
    found = rows_by_match(plan, rows)
    return tuple(step for step in plan.steps if not _as_seen(plan, step, found.get(step.match, ()), types))


def already_done(step: Step, row: Mapping[str, Any] | None, types: Mapping[str, str]) -> bool:
    """Tell whether a record is as a step wants it, so that writing it would change nothing.

    :param row: the live record, or None if there is none.
    :param types: from :func:`~intacct_provider.sync.object_facts.types_of`.
    """
    if step.action == "delete" or row is None:
        return step.action == "delete" and row is None
    return not compare({change.path: change.new for change in step.changes}, row, types)


def rows_by_match(plan: Plan, rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Return live records by what the plan matches on; several may share a value."""
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for row in rows:
        match = match_text(value_at(flatten(row), plan.match_on))
        found[match] = (*found.get(match, ()), row)
    return found


def _as_seen(plan: Plan, step: Step, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> bool:
    if step.action == "create" or len(rows) != 1:
        return step.action == "create" and not rows
    row = rows[0]
    if step.key and str(row["key"]) != step.key:
        return False
    if step.fingerprint is None:
        return not compare({change.path: change.old for change in step.changes}, row, types)
    return fingerprint_of(row, plan.fields) == step.fingerprint
