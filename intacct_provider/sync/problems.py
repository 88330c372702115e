"""Problems of desired records: all are reported at once, each with its place, value and what to do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from intacct_provider.exceptions import IntacctDesiredStateError

#: Problems that a message spells out; nobody reads a longer list.
MAX_SHOWN = 10
#: Problems of one kind that are spelled out before those of other kinds.
_MAX_ALIKE = 3
#: Member of a rejected record that says what is wrong; it is ignored when desired records are read.
REJECT = "_reject"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the desired records.

    :param place: where it was found, such as ``line 7``; ``""`` for the whole source.
    :param match: value of the field that identifies the record; ``""`` if unknown.
    :param column: name of the wrong field in the source; ``""`` for the whole record.
    :param value: the wrong value on one line, at most 60 characters.
    :param text: the rest of the sentence, with the nearest valid value if there is one.
    """

    place: str
    match: str
    column: str
    value: str
    text: str

    def __str__(self) -> str:
        where = f"{self.place} ({show_value(self.match)})" if self.match else self.place
        what = f"{self.column} {self.text}" if self.column else self.text
        return f"{where.strip()}: {what}"


def raise_problems(source: str, problems: Sequence[Problem]) -> NoReturn:
    """Raise one error for all problems; it spells out at most 10 and counts the rest.

    :param source: name of the file or argument that is wrong.
    :param problems: in the order in which they are reported.
    :raises IntacctDesiredStateError: always.
    """
    raise IntacctDesiredStateError(describe_problems(source, problems), problems)


def describe_problems(source: str, problems: Sequence[Problem]) -> str:
    """Return a message for all problems; it spells out at most 10 and counts the rest."""
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    lines = [f"  {problem}" for problem in _select_shown(problems)]
    if len(problems) > MAX_SHOWN:
        lines.append(f"  and {len(problems) - MAX_SHOWN} more")
    return "\n".join([f"{source}: {len(problems)} problems", *lines])


def _select_shown(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems to spell out: one that every record has, such as a wrong column, must not hide others."""
    alike: Counter[tuple[str, str]] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for number, problem in enumerate(problems):
        kind = (problem.column, problem.text.replace(problem.value, "") if problem.value else problem.text)
        alike[kind] += 1
        (first if alike[kind] <= _MAX_ALIKE else rest).append(number)
    return [problems[number] for number in sorted([*first, *rest][:MAX_SHOWN])]


def show_value(value: Any) -> str:
    """Return a value for an error message: on one line, at most 60 characters long."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def is_finite(number: float | Decimal) -> bool:
    """Return whether a number is neither infinite nor NaN; :func:`math.isfinite` fails for signaling NaNs."""
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)
