"""The field that identifies each desired record, and pairs it with a live one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import flatten, fold_match, match_text


def check_identity(
    placed: Iterable[tuple[str, Mapping[str, Any]]], match_on: str, column: str
) -> Iterator[Problem]:
    """Yield a problem for each record that is not identified, or whose id another one has, in whatever case.

    :param placed: place and content of each record.
    :param column: name of the field ``match_on`` in the source.
    """
    seen: dict[str, tuple[str, str]] = {}
    for place, record in placed:
        flat = flatten(record)
        text = match_text(flat.get(match_on))
        problem = _describe_problem(flat, match_on)
        if not problem and fold_match(text) in seen:
            other, before = seen[fold_match(text)]
            problem = f"is {show_value(text)} in {before} already; keep one"
            if other != text:
                near = f"{show_value(other)} in {before} differs from it only by case"
                problem = f"is {show_value(text)}, and {near}; keep one"
        if problem:
            yield Problem(place, text, column, show_value(flat.get(match_on)), problem)
        else:
            seen[fold_match(text)] = (text, place)


def _describe_problem(flat: Mapping[str, Any], match_on: str) -> str:
    if match_on not in flat:
        return f"is not given, but records are matched on it.{did_you_mean(match_on, flat)}"
    value = flat[match_on]
    whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    if isinstance(value, bool) or not (whole or isinstance(value, str | int | None)):
        return f"is {show_value(value)}; it must be text"
    text = match_text(value)
    if not text.strip():
        return "is blank; every record needs one"
    return (
        f"is {show_value(text)}, which starts or ends with a space; remove it" if text != text.strip() else ""
    )
