"""A plan as markdown, for the task's log and for the page on which a person approves it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

from intacct_provider.sync.plan import Action, FieldChange, Plan, Step
from intacct_provider.sync.rendering.wording import (
    compare_lists,
    count_noun,
    describe_cost,
    describe_counts,
    describe_rest,
    describe_scope,
    format_names,
    format_value,
    group_steps,
    make_visible,
    select_changes,
)

_WIDTH = 60
_SENTENCE = 600
_WARNINGS = 10
_MEMBERS = 2
_FIELDS = 4
#: Of UTF-8. Even if JSON doubles it, it fits into the 64 KiB that some databases allow for a text.
_MAX_BYTES = 30_000
#: Reserved for the titles of the tables and the last line.
_REST_BYTES = 4_000
#: Characters to escape: underscores at the edge of a word, & and < that begin an entity or a tag.
_UNDERLINE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=[#A-Za-z])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
#: Words with an address of a site or of mail, which GitHub's markdown, shown by Airflow, makes into links without any
#: markup. Escapes do not prevent that, since it looks at the text that they leave; a code span does.
_ADDRESS = re.compile(
    r"[^\s|`]*(?:(?:https?|ftp)://|www\.|mailto:|\w@\w|\w\.(?:com|net|org|info|biz|edu|gov)\b)[^\s|`]*",
    re.IGNORECASE,
)


def render_markdown(plan: Plan, *, limit: int = 50, page: str = "", link: str = "") -> str:
    """Return a plan as markdown: its counts, the limits that it breaks, then its records.

    Deletions come first, so that a long plan never hides them behind harmless lines. Each changed field has its own
    line, and so has each field of a new record as long as there is room. Long lists and texts are cut, around the first
    difference if they would look alike; the counts are always complete. Values are shown as text: markdown in them has
    no effect, and invisible characters are replaced.

    :param limit: lines of all tables together at most. The whole text has at most 30,000 bytes.
    :param page: path of the complete plan, which is named if something is not shown.
    :param link: address of a page with the complete plan, percent-encoded.
    """
    parts = [*_render_head(plan)]
    if link:
        parts.append(f"[The whole plan on a page]({link})")
    room = _MAX_BYTES - sum(len(part.encode()) + 2 for part in parts) - _REST_BYTES
    short = sum(_count_rows(step, plan.match_on, short=False) for step in plan.steps) > limit
    whole = True
    for action, steps in group_steps(plan).items():
        parts.append(f"#### {count_noun(len(steps), 'record')} to {action}")
        rows = (row for step in steps for row in _render_rows(step, plan.match_on, short=short))
        lines = [f"| {' | '.join(row)} |" for row in islice(rows, max(limit, 0))]
        ends = list(accumulate(len(line.encode()) + 1 for line in lines))
        lines = lines[: bisect_right(ends, room)]
        limit, room = limit - len(lines), room - (ends[len(lines) - 1] if lines else 0)
        if lines:
            titles = _get_titles(plan, action, short=short)
            parts.append("\n".join([f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|", *lines]))
        if missing := sum(_count_rows(step, plan.match_on, short=short) for step in steps) - len(lines):
            parts.append(f"{count_noun(missing, 'more line')} not shown." if lines else "Not shown.")
            whole = False
    if page and not whole:
        parts.append(f"The complete plan: {_escape_sentence(page)}")
    return "\n\n".join(parts)


def _render_head(plan: Plan) -> Iterator[str]:
    source = f", desired state: {_escape_sentence(plan.source)}" if plan.source else ""
    yield f"Plan for {_escape(plan.object_name)} ({_escape(', '.join(describe_scope(plan)))}){source}"
    yield f"SHA-256: {plan.digest}"
    if plan.is_empty:
        yield f"**Nothing to change**; {describe_rest(plan)}."
    else:
        yield f"**{describe_counts(plan)}**; {describe_rest(plan)}. {describe_cost(plan)}."
    if plan.breaches:
        yield f"**It exceeds {count_noun(len(plan.breaches), 'limit')}, so it cannot be applied:**"
        yield "\n".join(f"- {_escape_sentence(breach)}" for breach in plan.breaches)
    if plan.warnings:
        shown = [f"- {_escape_sentence(warning)}" for warning in plan.warnings[:_WARNINGS]]
        more = [f"- and {len(plan.warnings) - _WARNINGS} more"] if len(plan.warnings) > _WARNINGS else []
        yield "\n".join(["**Look at this before you approve:**\n", *shown, *more])


def _get_titles(plan: Plan, action: Action, *, short: bool) -> tuple[str, ...]:
    match = _render_cell(plan.match_on)
    if action in ("delete", "deactivate"):
        return match, "now", "why"
    if action == "create":
        return (match, "planned") if short else (match, "field", "planned")
    return match, "field", "now", "planned"


def _render_rows(step: Step, match_on: str, *, short: bool) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a step, as many as :func:`_count_rows` returns."""
    match, changes = _render_cell(step.match), select_changes(step, match_on)
    if step.action in ("delete", "deactivate"):
        yield match, _render_fields(changes, old=True), _render_cell(step.reason)
    elif step.action == "create" and (short or not changes):
        yield (match, _render_fields(changes, old=False)) if short else (match, "", "")
    else:
        for change in changes:
            now, planned = _render_change(change)
            yield (match, _render_cell(change.path), *([] if step.action == "create" else [now]), planned)


def _count_rows(step: Step, match_on: str, *, short: bool) -> int:
    if step.action in ("delete", "deactivate") or (step.action == "create" and short):
        return 1
    return len(select_changes(step, match_on)) or (step.action == "create")


def _render_fields(changes: Sequence[FieldChange], *, old: bool) -> str:
    """Return the first fields of a record in one cell, with their old or new values."""
    first = changes[:_FIELDS]
    fields = [f"{_render_cell(c.path)}: {_render_cell(_format(c.old if old else c.new))}" for c in first]
    return ", ".join(fields) + (
        f", +{count_noun(len(changes) - _FIELDS, 'field')}" if len(changes) > _FIELDS else ""
    )


def _render_change(change: FieldChange) -> tuple[str, str]:
    """Return both values, cut so that the difference between them is visible."""
    now, planned = (make_visible(_format(value)) for value in (change.old, change.new))
    if isinstance(change.old, list | tuple) and isinstance(change.new, list | tuple):
        return _render_cell(now), _render_cell(planned) + _render_moves(change.old, change.new)
    pairs = zip(now, planned, strict=False)
    shorter = min(len(now), len(planned))
    alike = next((i for i, (one, other) in enumerate(pairs) if one != other), shorter)
    start = alike - 20 if alike > _WIDTH - 20 else 0
    return _render_cell(now, start), _render_cell(planned, start)


def _render_moves(old: Sequence[Any], new: Sequence[Any]) -> str:
    """Return which members a list gains and loses, because lists are cut and may look alike."""
    added, dropped, other = compare_lists(old, new)
    notes = [
        f"{verb} {_render_cell(_join_members(names))}"
        for verb, names in (("adds", added), ("drops", dropped))
        if names
    ]
    return f" ({'; '.join(notes) or other})"


def _format(value: Any) -> str:
    return (
        _join_members(format_names(value))
        if isinstance(value, list | tuple) and value
        else format_value(value)
    )


def _join_members(names: Sequence[str]) -> str:
    rest = f", +{len(names) - _MEMBERS} more" if len(names) > _MEMBERS else ""
    return ", ".join(names[:_MEMBERS]) + rest


def _render_cell(text: str, start: int = 0) -> str:
    """Return a text cut to the width of a cell, from ``start`` on, and escaped."""
    text = make_visible(text)
    cut = f"…{text[start:]}" if start else text
    return _escape(cut if len(cut) <= _WIDTH else f"{cut[: _WIDTH - 1]}…")


def _escape_sentence(text: str) -> str:
    return _escape(make_visible(text)[:_SENTENCE])


def _escape(text: str) -> str:
    """Return text that markdown shows as it is, on one line and never as a link."""
    shown = make_visible(text)
    addresses = [*(f"`{address}`" for address in _ADDRESS.findall(shown)), ""]
    return "".join(
        _escape_marks(part) + address for part, address in zip(_ADDRESS.split(shown), addresses, strict=True)
    )


def _escape_marks(text: str) -> str:
    shown = text.replace("  ", " \N{OPEN BOX}")
    for mark in "\\|`*[]~":
        shown = shown.replace(mark, f"\\{mark}")
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", _UNDERLINE.sub(r"\\_", shown)))
