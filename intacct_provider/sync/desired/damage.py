"""Text that a spreadsheet or a data frame left in place of a value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from intacct_provider.sync.problems import show_value
from intacct_provider.sync.records import flatten

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired

#: ``#N/A``, ``#REF!``, ``#NAME?``, ``#DIV/0!``, ``#SPILL!``, ``#GETTING_DATA`` and their like, also as Excel says them
#: in other languages: ``#NV``, ``#N/D``, ``#¡VALOR!``, ``#¿NOMBRE?``, ``#ДЕЛ/0!``; and ``####``, a column too narrow.
_ERROR = re.compile(
    r"#([^\W\d_]/[^\W\d_]{1,4}|[¡¿]?[^\W\d]+(/0)?[!?]|NV|YOK|REF|GETTING_DATA|NENÍ_K_DISPOZICI|HIÁNYZIK)( N/A)?"
    r"|#{3,}|(Err|#ERR):?[0-9]{3}",
    re.IGNORECASE,
)
#: A long number as Excel and data frames show and save it.
_SCIENTIFIC = re.compile(r"-?[0-9]{1,3}([.,][0-9]+)?E[+-][0-9]{2,3}", re.IGNORECASE)
_NOT_A_NUMBER = frozenset({"nan", "-nan", "nat", "<na>", "#nan", "1.#qnan", "-1.#ind", "1.#inf", "-1.#inf"})
#: Characters of the longest text that :func:`describe_damage` recognizes.
MAX_DAMAGED = 60
#: A whole number as a data frame writes it once one of its column is missing.
_FLOAT = re.compile(r"[0-9]+\.0")
#: Words for nothing; some people are called so.
_WORDS = frozenset({"null", "none", "n/a", "(null)", "<null>", "nil", "\\n"})


def describe_damage(text: str) -> str:
    """Return what is wrong with a text that stands for a lost value, as the end of a sentence; ``""`` if nothing is."""
    text = text.strip()
    if _ERROR.fullmatch(text):
        what = "an error value of a spreadsheet"
    elif text.casefold() in _NOT_A_NUMBER:
        what = "which a data frame writes for a missing value"
    elif _SCIENTIFIC.fullmatch(text):
        what = "a number that a spreadsheet has shortened, so its digits may be lost"
    else:
        return ""
    return f"{what}; correct it, or set allow_damaged_text=True to take such text as it is"


def warn_of_text(desired: Desired) -> Iterator[str]:
    """Yield warnings of texts that may not be meant, and are written as they are."""
    yield from _warn_of_floats(desired)
    yield from _warn_of_words(desired)


def _warn_of_floats(desired: Desired) -> Iterator[str]:
    """Yield a warning for each column of ids in which a data frame may have made ``17.0`` of ``17``."""
    for column, (place, value, count) in _find_floats(desired).items():
        number = f"{count:,} records have" if count > 1 else "1 record has"
        yield (
            f"{number} an id such as {show_value(value)} in {column} (from {place} on), which a data frame makes of "
            f"{show_value(value[:-2])}, and which is written as it is."
        )


def _find_floats(desired: Desired) -> dict[str, tuple[str, str, int]]:
    found: dict[str, tuple[str, str, int]] = {}
    for place, record in zip(desired.places, desired.records, strict=True):
        for path, value in flatten(record).items():
            if path.rpartition(".")[2] == "id" and isinstance(value, str) and _FLOAT.fullmatch(value.strip()):
                first = found.get(desired.column(path), (place, value.strip(), 0))
                found[desired.column(path)] = (*first[:2], first[2] + 1)
    return found


def _warn_of_words(desired: Desired) -> Iterator[str]:
    """Yield a warning for each field and each word for nothing, such as ``NULL``, that records have as its text."""
    found: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for place, record in zip(desired.places, desired.records, strict=True):
        for path, value in flatten(record).items():
            if isinstance(value, str) and len(value) < 9 and value.strip().casefold() in _WORDS:
                kind = desired.column(path), value.strip()
                found[kind] += 1
                first.setdefault(kind, place)
    for (column, word), count in found.items():
        number = f"{count:,} records have" if count > 1 else "1 record has"
        where = f"from {first[column, word]} on" if count > 1 else f"in {first[column, word]}"
        clears = (
            f"; to clear the field there, give null_markers=[{show_value(word)}]"
            if desired.from_text
            else "; to clear the field there, give null"
        )
        yield f"{number} the text {show_value(word)} in {column} ({where}), which is written as it is{clears}."
