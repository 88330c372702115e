"""The words that markdown and page of a plan share: counts, values as text, what a list gains and loses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.sync.plan import ACTIONS, Action, FieldChange, Plan, Step
from intacct_provider.sync.records import flatten, is_blank

#: The order in which a plan is shown: a long one must not hide what cannot be undone.
SHOWN_ACTIONS: tuple[Action, ...] = ACTIONS[::-1]

_NAMES = ("name", "title")
#: What Python calls printable although it shows nothing: fillers, joiners, selectors of variations, an empty pattern.
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_OPERATORS = {"$eq": "=", "$ne": "≠", "$lt": "<", "$lte": "≤", "$gt": ">", "$gte": "≥"}


def group_steps(plan: Plan) -> dict[Action, list[Step]]:
    """Return the steps by action, deletions first."""
    found: dict[Action, list[Step]] = {action: [] for action in SHOWN_ACTIONS}
    for step in plan.steps:
        found[step.action].append(step)
    return {action: steps for action, steps in found.items() if steps}


def describe_scope(plan: Plan) -> list[str]:
    """Return company and entity of the plan, as far as known, its mode, and the field that pairs the records."""
    company = [f"company {plan.company_id}"] if plan.company_id else []
    entity = [] if plan.entity_id is None else [f"entity {plan.entity_id or 'top level'}"]
    return [*company, *entity, f"mode {plan.mode}", f"matched on {plan.match_on}"]


def describe_counts(plan: Plan) -> str:
    """Return the numbers of records that the plan writes, and of fields that it clears.

    Such as ``1 to delete, 3 to update, 0 to create, 2 fields cleared``.
    """
    always = ("delete", "update", "create")
    numbers = [
        (plan.counts[action], action) for action in SHOWN_ACTIONS if plan.counts[action] or action in always
    ]
    cleared = [f"{count_noun(plan.cleared, 'field')} cleared"] if plan.cleared else []
    return ", ".join([*(f"{number:,} to {action}" for number, action in numbers), *cleared])


def describe_rest(plan: Plan) -> str:
    """Return the numbers of records that the plan does not write, without those that are 0."""
    numbers = {"left alone": plan.left_alone, "protected": plan.protected, "invalid": plan.invalid}
    rest = [f"{number:,} {name}" for name, number in numbers.items() if number]
    return ", ".join([f"{plan.unchanged:,} unchanged", *rest])


def describe_cost(plan: Plan) -> str:
    """Return what applying the plan costs, as far as known."""
    return f"Applying it takes about {count_noun(plan.transactions, 'billed transaction')}"


def count_noun(number: int, what: str) -> str:
    """Return a number with its noun: ``1 limit``, ``2 limits``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def select_changes(step: Step, match_on: str) -> list[FieldChange]:
    """Return the changes of a step to show, the name of the record first.

    The field that identifies the record is left out, and so are empty fields of a record to delete.
    """
    shown = [
        change
        for change in step.changes
        if (change.path != match_on or step.action == "update")
        and (step.action != "delete" or not is_blank(change.old))
    ]
    return sorted(shown, key=lambda change: change.path not in _NAMES)


def format_value(value: Any) -> str:
    """Return a value as text; the elements of a list by their names."""
    if isinstance(value, Mapping) and any(name.startswith("$") for name in value):
        return ", ".join(_format_condition(*item) for item in flatten(value).items())
    if is_blank(value):
        return "(empty)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(format_names(value))
    if isinstance(value, Mapping):
        return ", ".join(
            f"{path}: {format_value(item)}" for path, item in flatten(value).items() if not is_blank(item)
        )
    text = str(value)
    return text if text == text.strip() else f'"{text}"'  # a space at an end must be visible


def _format_condition(path: str, value: Any) -> str:
    """Return a condition of a filter: ``totalDue > 25000`` for ``{"$gt": {"totalDue": 25000}}``."""
    operator, _, name = path.partition(".")
    operand = "null" if value is None else format_value(value)
    return f"{name} {_OPERATORS.get(operator, operator[1:])} {operand}".lstrip()


def format_names(items: Sequence[Any]) -> list[str]:
    """Return the name of each element of a list: its id, or else all its fields."""
    return [
        str(item["id"]) if isinstance(item, Mapping) and not is_blank(item.get("id")) else format_value(item)
        for item in items
    ]


def compare_lists(old: Sequence[Any], new: Sequence[Any]) -> tuple[list[str], list[str], str]:
    """Return the names that a list gains, those that it loses, and how else it differs."""
    before, after = format_names(old), format_names(new)
    added = [name for name in after if name not in set(before)]
    dropped = [name for name in before if name not in set(after)]
    if added or dropped:
        return added, dropped, ""
    return [], [], "reordered" if sorted(before) == sorted(after) and before != after else "different content"


def make_visible(text: str, *, keep: str = "") -> str:
    """Return a text on one line, with characters that cannot be seen as code points: ``⟨U+200B⟩``.

    Those are control characters, spaces other than the usual one, what has no width, and what changes the direction of
    writing.

    :param keep: characters to leave as they are, such as line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or _is_visible(c) else f"⟨U+{ord(c):04X}⟩" for c in text)


def _is_visible(character: str) -> bool:
    return character.isprintable() and not _INVISIBLE.match(character)
