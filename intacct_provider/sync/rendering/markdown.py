"""A plan as markdown, for the task's log and for the page on which a person approves it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

from intacct_provider.sync.plan import Action, FieldChange, Plan, Step
from intacct_provider.sync.rendering.wording import (
    changes_of,
    cost_of,
    counted,
    counts_of,
    moves_of,
    names_of,
    rest_of,
    scope_of,
    steps_of,
    text_of,
    visible,
)

_WIDTH = 60
_SENTENCE = 600
_MEMBERS = 2
_FIELDS = 4
#: Of UTF-8. It fits twice into the 64 KiB that some databases have for a text, as JSON writes most of it.
_MOST_BYTES = 30_000
#: Of them, what the titles of the tables and the last line take.
_REST_BYTES = 4_000
#: Inside of a word, where most of them are, an underline is one; as for the others, what begins a tag or a character.
_UNDERLINE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=[#A-Za-z])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def plan_markdown(plan: Plan, *, limit: int = 50, page: str = "") -> str:
    """Return a plan as markdown: what it does in numbers, the limits that it breaks, then record by record.

    Deletions come first, so that a long plan never hides them behind harmless lines. A changed field has a line
    of its own, and so has a field of a new record while there is room. Long lists and texts are cut, around the
    first difference when they would look alike; the numbers always count everything. Values are shown as text:
    markdown in them does not work, and characters that cannot be seen are replaced.

    :param limit: most lines of all tables together. The whole text has at most 30,000 bytes.
    :param page: where all of it is, to be named when something is not shown.
    """
    parts = [*_head(plan)]
    room = _MOST_BYTES - sum(len(part.encode()) + 2 for part in parts) - _REST_BYTES
    short = sum(_length(step, plan.match_on, short=False) for step in plan.steps) > limit
    whole = True
    for action, steps in steps_of(plan).items():
        parts.append(f"#### {counted(len(steps), 'record')} to {action}")
        rows = (row for step in steps for row in _rows(step, plan.match_on, short=short))
        lines = [f"| {' | '.join(row)} |" for row in islice(rows, max(limit, 0))]
        ends = list(accumulate(len(line.encode()) + 1 for line in lines))
        lines = lines[: bisect_right(ends, room)]
        limit, room = limit - len(lines), room - (ends[len(lines) - 1] if lines else 0)
        if lines:
            titles = _titles(plan, action, short=short)
            parts.append("\n".join([f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|", *lines]))
        if missing := sum(_length(step, plan.match_on, short=short) for step in steps) - len(lines):
            parts.append(f"{counted(missing, 'more line')} not shown." if lines else "Not shown.")
            whole = False
    if page and not whole:
        parts.append(f"All of it: {_safe(page[:_SENTENCE])}")
    return "\n\n".join(parts)


def _head(plan: Plan) -> Iterator[str]:
    source = f", desired state: {_safe(plan.source[:_SENTENCE])}" if plan.source else ""
    yield f"Plan for {_safe(plan.object_name)} ({_safe(', '.join(scope_of(plan)))}){source}"
    if plan.is_empty:
        yield f"**Nothing to change**; {rest_of(plan)}."
    else:
        yield f"**{counts_of(plan)}**; {rest_of(plan)}. {cost_of(plan)}."
    if plan.breaches:
        yield f"**It breaks {counted(len(plan.breaches), 'limit')}, so it cannot be applied:**"
        yield "\n".join(f"- {_safe(breach[:_SENTENCE])}" for breach in plan.breaches)


def _titles(plan: Plan, action: Action, *, short: bool) -> tuple[str, ...]:
    match = _cell(plan.match_on)
    if action in ("delete", "deactivate"):
        return match, "now", "why"
    if action == "create":
        return (match, "planned") if short else (match, "field", "planned")
    return match, "field", "now", "planned"


def _rows(step: Step, match_on: str, *, short: bool) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a step, as many as :func:`_length` says."""
    match, changes = _cell(step.match), changes_of(step, match_on)
    if step.action in ("delete", "deactivate"):
        yield match, _condensed(changes, old=True), _cell(step.reason)
    elif step.action == "create" and (short or not changes):
        yield (match, _condensed(changes, old=False)) if short else (match, "", "")
    else:
        for change in changes:
            now, planned = _now_and_planned(change)
            yield (match, _cell(change.path), *([] if step.action == "create" else [now]), planned)


def _length(step: Step, match_on: str, *, short: bool) -> int:
    if step.action in ("delete", "deactivate") or (step.action == "create" and short):
        return 1
    return len(changes_of(step, match_on)) or (step.action == "create")


def _condensed(changes: Sequence[FieldChange], *, old: bool) -> str:
    """Return the first fields of a record in one cell, before or after the plan."""
    first = changes[:_FIELDS]
    fields = [f"{_cell(c.path)}: {_cell(_text(c.old if old else c.new))}" for c in first]
    return ", ".join(fields) + (
        f", +{counted(len(changes) - _FIELDS, 'field')}" if len(changes) > _FIELDS else ""
    )


def _now_and_planned(change: FieldChange) -> tuple[str, str]:
    """Render both values so that the difference between them is in view."""
    now, planned = _text(change.old), _text(change.new)
    if isinstance(change.old, list | tuple) and isinstance(change.new, list | tuple):
        return _cell(now), _cell(planned) + _moves(change.old, change.new)
    pairs = zip(now, planned, strict=False)
    shorter = min(len(now), len(planned))
    alike = next((i for i, (one, other) in enumerate(pairs) if one != other), shorter)
    start = alike - 20 if alike > _WIDTH - 20 else 0
    return _cell(now, start), _cell(planned, start)


def _moves(old: Sequence[Any], new: Sequence[Any]) -> str:
    """Say which members come and go, because lists are cut and may look alike."""
    added, dropped, other = moves_of(old, new)
    notes = [
        f"{verb} {_cell(_members(names))}" for verb, names in (("adds", added), ("drops", dropped)) if names
    ]
    return f" ({'; '.join(notes) or other})"


def _text(value: Any) -> str:
    return _members(names_of(value)) if isinstance(value, list | tuple) and value else text_of(value)


def _members(names: Sequence[str]) -> str:
    rest = f", +{len(names) - _MEMBERS} more" if len(names) > _MEMBERS else ""
    return ", ".join(names[:_MEMBERS]) + rest


def _cell(text: str, start: int = 0) -> str:
    """Cut a text to the width of a cell, from ``start`` on, and make it safe."""
    cut = f"…{text[start:]}" if start else text
    return _safe(cut if len(cut) <= _WIDTH else f"{cut[: _WIDTH - 1]}…")


def _safe(text: str) -> str:
    """Return text that markdown shows as it is, on one line, with nothing invisible in it."""
    shown = visible(text).replace("  ", " \N{OPEN BOX}")
    for mark in "\\|`*[]~":
        shown = shown.replace(mark, f"\\{mark}")
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", _UNDERLINE.sub(r"\\_", shown)))
