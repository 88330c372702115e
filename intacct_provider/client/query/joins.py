"""How the conditions of a query are joined, as a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

#: A word that joins, ``and`` or ``or``, and what it joins: positions of conditions, and further such pairs.
Tree: TypeAlias = "tuple[str, list[int | Tree]]"

_TOKEN = re.compile(r"[0-9]+|[a-z]+|[()]")


def parse_joins(expression: str, count: int) -> Tree:
    """Return the tree of an expression that is well-formed."""
    expression = expression.lower()
    if expression in ("and", "or"):
        return expression, list(range(count))
    return _read_level(iter(_TOKEN.findall(expression)))


def _read_level(words: Iterator[str]) -> Tree:
    """Read up to the end, or to a closing parenthesis."""
    parts: list[int | Tree] = []
    joins: list[str] = []
    for word in words:
        if word == ")":
            break
        if word in ("and", "or"):
            joins.append(word)
        else:
            parts.append(_read_level(words) if word == "(" else int(word) - 1)
    if len(set(joins)) < 2:
        return joins[0] if joins else "and", parts
    # Sage does not say which word binds tighter, so what cannot match must not do so either way.
    return "or", [_bind("and", "or", joins, parts), _bind("or", "and", joins, parts)]


def _bind(inner: str, outer: str, joins: Sequence[str], parts: Sequence[int | Tree]) -> Tree:
    """Join parts by one word first."""
    groups = [[parts[0]]]
    for word, part in zip(joins, parts[1:], strict=True):
        if word == outer:
            groups.append([])
        groups[-1].append(part)
    return outer, [(inner, group) if len(group) > 1 else group[0] for group in groups]


def flatten_and(parts: Sequence[int | Tree]) -> Iterator[int | Tree]:
    """Yield the parts of an ``and``, with those of an ``and`` within it."""
    for part in parts:
        if isinstance(part, tuple) and part[0] == "and":
            yield from flatten_and(part[1])
        else:
            yield part
