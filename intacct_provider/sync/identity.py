"""What tells one desired record from another, and pairs it with a live one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.sync.problems import Problem, shown
from intacct_provider.sync.records import flatten, match_text


def folded(match: str) -> str:
    """Return what two ids have in common that differ only by case or by how their characters are composed."""
    return match.lower() if match.isascii() else unicodedata.normalize("NFC", match).casefold()


def identity_problems(
    placed: Iterable[tuple[str, Mapping[str, Any]]], match_on: str, column: str
) -> Iterator[Problem]:
    """Yield the records that nothing identifies, or the same as another one, whatever its case.

    :param placed: place and content of each record.
    :param column: what the user calls the field ``match_on``.
    """
    seen: dict[str, tuple[str, str]] = {}
    for place, record in placed:
        flat = flatten(record)
        text = match_text(flat.get(match_on))
        problem = _match_problem(flat, match_on)
        if not problem and folded(text) in seen:
            other, before = seen[folded(text)]
            problem = (
                f"is {shown(text)} in {before} already; keep one"
                if other == text
                else f"is {shown(text)}, and {shown(other)} in {before} differs from it only by case; keep one"
            )
        if problem:
            yield Problem(place, text, column, shown(flat.get(match_on)), problem)
        else:
            seen[folded(text)] = (text, place)


def _match_problem(flat: Mapping[str, Any], match_on: str) -> str:
    if match_on not in flat:
        return f"is not given, but records are matched on it.{did_you_mean(match_on, flat)}"
    value = flat[match_on]
    whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    if isinstance(value, bool) or not (whole or isinstance(value, str | int | None)):
        return f"is {shown(value)}; it must be text"
    text = match_text(value)
    if not text.strip():
        return "is blank; give every record one"
    return f"is {shown(text)}, which starts or ends with a space; remove it" if text != text.strip() else ""
