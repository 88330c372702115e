"""A plan in words that its markdown and its page share: names of actions, values as text, what a list gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.sync.plan import Action, FieldChange, Plan, Step
from intacct_provider.sync.records import flatten, is_blank

#: The order in which a plan is shown: a long one must not hide what cannot be taken back.
ACTIONS: tuple[Action, ...] = ("delete", "deactivate", "update", "create")

_NAMES = ("name", "title")
_OPERATORS = {"$eq": "=", "$ne": "≠", "$lt": "<", "$lte": "≤", "$gt": ">", "$gte": "≥"}


def steps_of(plan: Plan) -> dict[Action, list[Step]]:
    """Return the steps of each action that has some, deletions first."""
    found: dict[Action, list[Step]] = {action: [] for action in ACTIONS}
    for step in plan.steps:
        found[step.action].append(step)
    return {action: steps for action, steps in found.items() if steps}


def scope_of(plan: Plan) -> list[str]:
    """Return the place that the plan is for, as far as it has one, the mode, and the field that pairs the records."""
    company = [f"company {plan.company_id}"] if plan.company_id else []
    entity = [] if plan.entity_id is None else [f"entity {plan.entity_id or 'top level'}"]
    return [*company, *entity, f"mode {plan.mode}", f"matched on {plan.match_on}"]


def counts_of(plan: Plan) -> str:
    """Return what the plan writes, in numbers of records: ``1 to delete, 3 to update, 0 to create``."""
    always = ("delete", "update", "create")
    numbers = [(plan.counts[action], action) for action in ACTIONS if plan.counts[action] or action in always]
    return ", ".join(f"{number:,} to {action}" for number, action in numbers)


def rest_of(plan: Plan) -> str:
    """Return what the plan does not write, in numbers of records, without the numbers that are 0."""
    numbers = {"left alone": plan.left_alone, "protected": plan.protected}
    rest = [f"{number:,} {name}" for name, number in numbers.items() if number]
    return ", ".join([f"{plan.unchanged:,} unchanged", *rest])


def cost_of(plan: Plan) -> str:
    """Return what applying it takes, as far as can be known before."""
    return f"Applying it takes about {counted(plan.transactions, 'billed transaction')}"


def counted(number: int, what: str) -> str:
    """Return a number with its noun: ``1 limit``, ``2 limits``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def changes_of(step: Step, match_on: str) -> list[FieldChange]:
    """Return what is to be shown of a step: not the field that names the record, nor what a record to be deleted lacks.

    The name of a record comes first.
    """
    shown = [
        change
        for change in step.changes
        if (change.path != match_on or step.action == "update")
        and (step.action != "delete" or not is_blank(change.old))
    ]
    return sorted(shown, key=lambda change: change.path not in _NAMES)


def text_of(value: Any) -> str:
    """Return a value as a person reads it; the elements of a list by their names."""
    if isinstance(value, Mapping) and any(name.startswith("$") for name in value):
        return ", ".join(_condition(*item) for item in flatten(value).items())
    if is_blank(value):
        return "(empty)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(names_of(value))
    if isinstance(value, Mapping):
        return ", ".join(
            f"{path}: {text_of(item)}" for path, item in flatten(value).items() if not is_blank(item)
        )
    text = str(value)
    return text if text == text.strip() else f'"{text}"'  # a space at an end is a difference to be seen


def _condition(path: str, value: Any) -> str:
    """Return a condition of a filter: ``totalDue > 25000`` for ``{"$gt": {"totalDue": 25000}}``."""
    operator, _, name = path.partition(".")
    return f"{name} {_OPERATORS.get(operator, operator[1:])} {'null' if value is None else text_of(value)}".lstrip()


def names_of(items: Sequence[Any]) -> list[str]:
    """Name each element of a list as a person would: by its id, else by all that it has."""
    return [
        str(item["id"]) if isinstance(item, Mapping) and not is_blank(item.get("id")) else text_of(item)
        for item in items
    ]


def moves_of(old: Sequence[Any], new: Sequence[Any]) -> tuple[list[str], list[str], str]:
    """Return the names that a list gains, those that it loses, and what else makes it another one."""
    before, after = names_of(old), names_of(new)
    added = [name for name in after if name not in set(before)]
    dropped = [name for name in before if name not in set(after)]
    if added or dropped:
        return added, dropped, ""
    return [], [], "another order" if sorted(before) == sorted(after) and before != after else "other content"


def visible(text: str, *, keep: str = "") -> str:
    """Return a text on one line in which everything can be seen.

    Other spaces than the usual one become open boxes, and what has no shape, such as a mark that turns the
    direction of writing, becomes a replacement character.

    :param keep: characters to leave as they are, such as the end of a line.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else "\N{OPEN BOX}" if c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )
