"""Texts that have the form of a company's own: its patterns, lengths and share of nulls, as a capture samples them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

_PART = re.compile(r"(\[0-9\]|\[A-Z\]|\[a-z\]|\.)\{([0-9]+)\}|\\?(.)", re.DOTALL)
_LETTERS = {"[A-Z]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "[a-z]": "abcdefghijklmnopqrstuvwxyz", ".": "x"}

Make: TypeAlias = Callable[[int], object]
"""Returns the stored value of one column by the key of the record."""


def shape_text(form: Mapping[str, Any], plain: Make, *, unique: bool = False) -> Make:
    """Return the maker of texts of a form; `plain` makes those of a form without a pattern.

    :param unique: whether no two texts may be the same, as with ids: a number that the pattern is too short for has a
        text without the pattern.
    """
    patterns = [_PART.findall(pattern) for pattern in form.get("patterns") or ()]
    if patterns and unique:
        return lambda key: fill_pattern(patterns[0], key) or plain(key)
    if patterns:
        return lambda key: fill_pattern(patterns[key % len(patterns)], key) or plain(key)
    if unique or not form.get("lengths"):
        return plain
    shortest, longest = form["lengths"]
    return lambda key: str(plain(key)).ljust(shortest, "x")[:longest]


def fill_pattern(parts: list[tuple[str, str, str]], key: int) -> str | None:
    """Return the text of a pattern whose digits are a number; ``None`` if they are too few for it."""
    places = sum(int(count) for kind, count, _ in parts if kind == "[0-9]")
    digits = iter(str(key).zfill(places))
    if len(str(key)) > places:
        return None
    made = []
    for kind, count, literal in parts:
        if kind == "[0-9]":
            made += [next(digits) for _ in range(int(count))]
        else:
            letters = _LETTERS.get(kind, literal)
            made += [letters[at % len(letters)] for at in range(int(count or 1))]
    return "".join(made)


def find_null_share(form: Mapping[str, Any]) -> int | None:
    """Return how many of a hundred values are null; ``None`` if it is unknown."""
    nulls = form.get("nulls")
    return round(nulls * 100) if isinstance(nulls, int | float) else None
