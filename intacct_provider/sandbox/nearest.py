"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def find_nearest(name: object, known: Iterable[str]) -> str:
    """Return the known name that is most similar."""
    return get_close_matches(str(name), list(known), n=1, cutoff=0.0)[0]
