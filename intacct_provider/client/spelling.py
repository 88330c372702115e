"""The closest known spelling of a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known spelling closest to ``word``, or None when none is close."""
    names = list(known)
    folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known spelling, or an empty string."""
    best = find_nearest(word, known)
    return f" Did you mean {best!r}?" if best else ""
