"""A plan as a table that the person who approves it can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from intacct_provider.sync.diff import FieldChange, flatten, is_blank
from intacct_provider.sync.plan import Plan

_WIDTH = 60
_MEMBERS = 2
_FIELDS = 4


def plan_table(plan: Plan, *, limit: int = 50) -> str:
    """Return a plan as markdown: one line for each delete, each changed field and each create.

    Deletes come first, so that a long plan never hides them behind harmless lines. Long lists and texts
    are cut, around the first difference when they would look alike. Values are shown as text: markdown in
    them does not work, and characters that cannot be seen are replaced. The last line counts what the plan
    does, whatever was cut.

    :param limit: most lines of the table.
    """
    rows = list(_rows(plan))
    scope = "" if plan.entity_id is None else f", entity {_safe(plan.entity_id) or 'top level'}"
    lines = [
        f"Plan for {_safe(plan.object_name)} (mode {plan.mode}{scope}, matched on {_safe(plan.match_on)})",
        "",
    ]
    if rows:
        lines += ["| action | id | field | now | planned |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(row)} |" for row in rows[:limit]]
        if len(rows) > limit:
            lines += ["", f"{len(rows) - limit} more lines are not shown."]
        lines.append("")
    return "\n".join([*lines, _totals(plan)])


def _rows(plan: Plan) -> Iterator[tuple[str, str, str, str, str]]:
    for delete in plan.deletes:
        yield "delete", _cell(delete.match), "", f"key {_cell(delete.key)}", "(deleted)"
    for update in plan.updates:
        for change in update.changes:
            yield "update", _cell(update.match), _cell(change.path), *_now_and_planned(change)
    for create in plan.creates:
        yield "create", _cell(create.match), "", "", _condensed(create.record)


def _totals(plan: Plan) -> str:
    counts = (
        f"{len(plan.creates)} to create, {len(plan.updates)} to update, "
        f"{len(plan.deletes)} to delete, {plan.unchanged} unchanged"
    )
    return f"{counts}, {plan.skipped} left alone" if plan.skipped else counts


def _condensed(record: Mapping[str, Any]) -> str:
    flat = flatten(record)
    fields = [f"{_cell(path)}: {_cell(_text(value))}" for path, value in list(flat.items())[:_FIELDS]]
    return ", ".join(fields) + (f", +{len(flat) - _FIELDS} fields" if len(flat) > _FIELDS else "")


def _now_and_planned(change: FieldChange) -> tuple[str, str]:
    """Render both values so that the difference between them is in view."""
    now, planned = _text(change.old), _text(change.new)
    if isinstance(change.old, list) and isinstance(change.new, list):
        return _cell(now), _cell(planned) + _moves(change.old, change.new)
    pairs = zip(now, planned, strict=False)
    shorter = min(len(now), len(planned))
    alike = next((i for i, (one, other) in enumerate(pairs) if one != other), shorter)
    start = alike - 20 if alike > _WIDTH - 20 else 0
    return _cell(now, start), _cell(planned, start)


def _moves(old: Sequence[Any], new: Sequence[Any]) -> str:
    """Say which members come and go, because lists are cut and may look alike."""
    before, after = [_name(item) for item in old], [_name(item) for item in new]
    added = [name for name in after if name not in set(before)]
    dropped = [name for name in before if name not in set(after)]
    notes = [
        f"{verb} {_cell(_members(names))}" for verb, names in (("adds", added), ("drops", dropped)) if names
    ]
    if not notes:
        notes = ["another order" if sorted(before) == sorted(after) and before != after else "other content"]
    return f" ({'; '.join(notes)})"


def _text(value: Any) -> str:
    if is_blank(value):
        return "(empty)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return _members([_name(item) for item in value])
    if isinstance(value, Mapping):
        return ", ".join(
            f"{path}: {_text(item)}" for path, item in flatten(value).items() if not is_blank(item)
        )
    text = str(value)
    return text if text == text.strip() else f'"{text}"'  # a space at an end is a difference to be seen


def _members(names: Sequence[str]) -> str:
    rest = f", +{len(names) - _MEMBERS} more" if len(names) > _MEMBERS else ""
    return ", ".join(names[:_MEMBERS]) + rest


def _name(item: Any) -> str:
    """Name a list element as a person would: by its id, else by all that it has."""
    if isinstance(item, Mapping) and not is_blank(item.get("id")):
        return str(item["id"])
    return _text(item)


def _cell(text: str, start: int = 0) -> str:
    """Cut a text to the width of a cell, from ``start`` on, and make it safe."""
    cut = f"…{text[start:]}" if start else text
    return _safe(cut if len(cut) <= _WIDTH else f"{cut[: _WIDTH - 1]}…")


def _safe(text: str) -> str:
    """Return text that markdown shows as it is, on one line, with nothing invisible in it."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
    for mark in "\\|`*[]":
        shown = shown.replace(mark, f"\\{mark}")
    return shown.replace("&", "&amp;").replace("<", "&lt;")
