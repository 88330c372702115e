"""The closest known spelling of a name that is not known, and how names are listed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two names are, from 0 to 1, when one suggests the other, and when it is most likely a misspelling of it.
ALIKE, ALMOST_EQUAL = 0.6, 0.8


def find_nearest(word: str, known: Iterable[str], cutoff: float = ALIKE) -> str | None:
    """Return the known spelling closest to ``word``, or None when none is close.

    :param cutoff: how alike they must be at least.
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known spelling, or an empty string."""
    best = find_nearest(word, known)
    return f" Did you mean {best!r}?" if best else ""


def list_some(texts: Iterable[str], most: int, separator: str = ", ") -> str:
    """Return the first of some texts, joined, and how many more there are."""
    every = list(texts)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return separator.join(every[:most]) + more
