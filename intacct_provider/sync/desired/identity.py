"""The field that identifies each desired record, and pairs it with a live one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from intacct_provider.client.spelling import ALMOST_EQUAL, find_nearest, list_some
from intacct_provider.sync.lookalikes import find_control
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import flatten, match_text

#: Columns that a message lists.
_MAX_NAMES = 20


def check_identity(
    placed: Iterable[tuple[str, Mapping[str, Any]]], match_on: str, column: str, *, required: bool = True
) -> Iterator[Problem]:
    """Yield a problem for each record that is not identified, or whose id another one has.

    :param placed: place and content of each record.
    :param column: name of the field ``match_on`` in the source.
    :param required: whether every record needs one; otherwise Intacct may number those without.
    """
    seen: dict[str, str] = {}
    for place, record in placed:
        flat = flatten(record)
        if not required and match_on not in flat:
            continue
        text = match_text(flat.get(match_on))
        problem = _describe_problem(flat, match_on)
        if not problem and text in seen:
            problem = f"is {show_value(text)} in {seen[text]} already; keep one"
        if problem:
            yield Problem(place, text, column, show_value(flat.get(match_on)), problem)
        else:
            seen[text] = place


def _describe_problem(flat: Mapping[str, Any], match_on: str) -> str:
    if match_on not in flat:
        return f"is not given, but records are matched on it. {advise_match_on(match_on, list(flat))}"
    value = flat[match_on]
    whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    if isinstance(value, dt.date):
        return f"is {show_value(value)}, a date; format the cell as text and enter the id again"
    if isinstance(value, bool) or not (whole or isinstance(value, str | int | None)):
        return f"is {show_value(value)}; it must be text"
    text = match_text(value)
    if not text.strip():
        return "is blank; every record needs one"
    if control := find_control(text):
        return f"is {show_value(text)}, which has the control character {control}; remove it"
    return (
        f"is {show_value(text)}, which starts or ends with a space; remove it" if text != text.strip() else ""
    )


def advise_match_on(match_on: str, names: Sequence[str]) -> str:
    """Return what to do where no column or member has the name of the field that records are matched on."""
    if not names:
        return "The record is empty."
    shown = list_some(map(show_value, names), _MAX_NAMES)
    best = _guess_column(match_on, names)
    guess = f" Did you mean {show_value(best)}?" if best else ""
    example = f"columns={{{show_value(best or names[0])}: {show_value(match_on)}}}"
    return f"Columns: {shown}.{guess} If one of them holds it, name it: {example}"


def _guess_column(match_on: str, names: Sequence[str]) -> str | None:
    """Return the column that is ``match_on`` by another spelling, such as ``CUSTOMERID`` for ``id``."""
    leaf = match_on.rpartition(".")[2].casefold()
    plain = {name: re.sub(r"[^a-z0-9]", "", name.casefold()) for name in names}
    equal = [name for name in names if plain[name] == leaf]
    ending = [name for name in names if re.search(rf"(?<![a-z])({leaf})$", name.casefold().replace("_", " "))]
    upper = [name for name in names if name.isupper() and plain[name].endswith(leaf)]
    near = find_nearest(leaf, plain.values(), ALMOST_EQUAL)
    close = [name for name in names if plain[name] == near]
    return next(iter([*equal, *ending, *upper, *close]), None)
