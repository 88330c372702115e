"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def find_nearest(name: object, known: Iterable[str]) -> str:
    """Return the known name that is most similar."""
    return get_close_matches(str(name), list(known), n=1, cutoff=0.0)[0]


def find_meant(name: str, known: Collection[str]) -> str | None:
    """Return the known name that an unknown one must be a misspelling of; ``None`` if it is a name of its own."""
    near = [] if name in known else get_close_matches(name, list(known), n=1, cutoff=0.8)
    return near[0] if near else None
