"""How a wrong desired state is reported: every problem at once, each with its place and a way to feed it back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from intacct_provider.exceptions import IntacctDesiredStateError

#: More than this and a log line stops being read.
MOST_SHOWN = 10
#: More of the same are only told when there is room.
_MOST_ALIKE = 3
#: The member of a rejected record that tells what is wrong; reading desired records leaves it out.
REJECT = "_reject"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the desired state.

    :param place: where it was found, such as ``line 7``; ``""`` for the whole.
    :param match: value of the field that identifies the record, ``""`` where that is not known.
    :param column: field that is wrong, by the name that the user gave it; ``""`` for the whole record.
    :param value: the wrong value on one line, at most 60 characters.
    :param text: the rest of the sentence, with the nearest valid value if there is one.
    """

    place: str
    match: str
    column: str
    value: str
    text: str

    def __str__(self) -> str:
        where = f"{self.place} ({shown(self.match)})" if self.match else self.place
        what = f"{self.column} {self.text}" if self.column else self.text
        return f"{where.strip()}: {what}"


def refuse(source: str, problems: Sequence[Problem]) -> NoReturn:
    """Raise one error for all problems; at most 10 are spelled out and the rest are counted.

    :param source: name of the file or argument that is wrong.
    :param problems: in the order in which they are to be told.
    :raises IntacctDesiredStateError: always.
    """
    if len(problems) == 1:
        raise IntacctDesiredStateError(f"{source}: {problems[0]}", problems)
    lines = [f"  {problem}" for problem in _told(problems)]
    if len(problems) > MOST_SHOWN:
        lines.append(f"  and {len(problems) - MOST_SHOWN} more")
    raise IntacctDesiredStateError("\n".join([f"{source}: {len(problems)} problems", *lines]), problems)


def _told(problems: Sequence[Problem]) -> list[Problem]:
    """Return those to spell out: a mistake in every record, such as a wrong column, must not hide the others."""
    alike: Counter[tuple[str, str]] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for number, problem in enumerate(problems):
        kind = (problem.column, problem.text.replace(problem.value, "") if problem.value else problem.text)
        alike[kind] += 1
        (first if alike[kind] <= _MOST_ALIKE else rest).append(number)
    return [problems[number] for number in sorted([*first, *rest][:MOST_SHOWN])]


def shown(value: Any) -> str:
    """Return a value as an error message shows it: on one line and at most 60 characters long."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def finite(number: float | Decimal) -> bool:
    """Tell whether it is a number; :func:`math.isfinite` fails for one kind of decimal that is none."""
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)
