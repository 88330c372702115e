"""Limits that keep a plan from changing too much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from intacct_provider.client.spelling import list_some
from intacct_provider.sync.numbers import read_limits
from intacct_provider.sync.plan import Action, Plan, Step
from intacct_provider.sync.problems import show_value
from intacct_provider.sync.rendering.wording import count_noun


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits on a plan; None for no limit.

    :param max_creates: most records that may be created.
    :param max_updates: most records that may be updated.
    :param max_deletes: most records that may be deleted or deactivated.
    :param max_change_percent: most records that may be written, in percent of the live ones in scope (of 1 when there
        are none).
    :param max_transactions: most billed transactions that applying the plan may take.
    :param max_rejects: most desired records that may be left out because of their problems.
    :param max_reject_percent: likewise, in percent of the desired records; the larger of both counts.
    :raises IntacctArgumentError: for a limit that is not a number of 0 or more.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    max_deletes: int | None = None
    max_change_percent: float | None = None
    max_transactions: int | None = None
    max_rejects: int = 0
    max_reject_percent: float | None = None

    def __post_init__(self) -> None:
        percents = ("max_change_percent", "max_reject_percent")
        read_limits(self, tuple(each.name for each in fields(self) if each.name not in percents), percents)


def find_breaches(plan: Plan, guards: Guards) -> tuple[str, ...]:
    """Return a sentence for each limit that a plan exceeds, with the first records and what would allow it."""
    return tuple(_breaches(plan, guards))


def _breaches(plan: Plan, guards: Guards) -> Iterator[str]:
    limits: tuple[tuple[str, int | None, str, tuple[Action, ...]], ...] = (
        ("max_deletes", guards.max_deletes, "deletes", ("delete", "deactivate")),
        ("max_updates", guards.max_updates, "updates", ("update",)),
        ("max_creates", guards.max_creates, "creates", ("create",)),
    )
    for name, limit, verb, actions in limits:
        steps = [step for step in plan.steps if step.action in actions]
        if limit is not None and len(steps) > limit:
            verb = _removal_verb(steps) if name == "max_deletes" else verb
            some = f"{count_noun(len(steps), 'record')} ({_name_first(steps)})"
            yield (
                f"The plan for {plan.object_name} {verb} {some}, more than {name}={limit}. To allow it, set "
                f"{name}={len(steps)}."
            )
    live = plan.live if plan.in_scope is None else plan.in_scope
    percent = 100 * len(plan.steps) / max(live, 1)
    if guards.max_change_percent is not None and percent > guards.max_change_percent:
        yield (
            f"The plan for {plan.object_name} changes {count_noun(len(plan.steps), 'record')} "
            f"({_name_first(plan.steps[::-1])}), {percent:.1f} % of the {live} live ones, more than "
            f"max_change_percent={guards.max_change_percent}. To allow it, set "
            f"max_change_percent={math.ceil(percent)}."
        )
    if guards.max_transactions is not None and plan.transactions > guards.max_transactions:
        yield (
            f"Applying the plan for {plan.object_name} takes about {plan.transactions} billed transactions, more than "
            f"max_transactions={guards.max_transactions}. To allow it, set max_transactions={plan.transactions}."
        )
    share = (guards.max_reject_percent or 0) / 100 * (plan.desired + plan.invalid)
    if plan.invalid > max(guards.max_rejects or 0, share):
        yield (
            f"{count_noun(plan.invalid, 'desired record')} for {plan.object_name} with problems, more than "
            f"max_rejects={guards.max_rejects}. Correct them, or set max_rejects={plan.invalid} to go on without them."
        )


def _removal_verb(steps: Sequence[Step]) -> str:
    kinds = {step.action for step in steps}
    return "deletes" if kinds == {"delete"} else "deactivates" if kinds == {"deactivate"} else "removes"


def _name_first(steps: Sequence[Step]) -> str:
    return list_some((show_value(step.match) for step in steps), 5)
