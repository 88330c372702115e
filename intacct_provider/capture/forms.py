"""The forms of values: how long they are, what they are made of, how often they are missing. Never a value."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intacct_provider.client.model import ModelField

#: Longer texts are prose, whose pattern says nothing.
_LONGEST_PATTERN = 40
#: Patterns of a field that are kept, the most frequent ones, and how many values must share one.
_PATTERNS, _SHARED = 3, 2
#: Characters that separate the parts of ids and numbers, which patterns show.
_SEPARATORS = frozenset("-_./ @:+")
_CLASSES = ((str.isdecimal, "[0-9]"), (str.isupper, "[A-Z]"), (str.isalpha, "[a-z]"))


def describe_forms(fields: Mapping[str, ModelField], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the forms of the values in some rows of a query, by field.

    :param fields: those of the object's model. Values of enumerations and dates have the form that their model says.
    """
    names = sorted(set(itertools.chain.from_iterable(rows)) & fields.keys())
    return {
        name: _describe_values([row.get(name) for row in rows], free=_is_free_text(fields[name]))
        for name in names
    }


def _is_free_text(field: ModelField) -> bool:
    return field.type == "string" and not field.enum and not field.format.startswith("date")


def _describe_values(values: Sequence[Any], *, free: bool) -> dict[str, Any]:
    texts = [str(value) for value in values if value not in (None, "")]
    described: dict[str, Any] = {"nulls": round(1 - len(texts) / len(values), 2)}
    if free and texts:
        lengths = [len(text) for text in texts]
        described["lengths"] = [min(lengths), max(lengths)]
        described["patterns"] = _list_patterns(texts)
    return described


def _list_patterns(texts: Iterable[str]) -> list[str]:
    counts = Counter(describe_pattern(text) for text in texts if len(text) <= _LONGEST_PATTERN)
    shared = [pattern for pattern, count in counts.most_common(_PATTERNS) if count >= _SHARED]
    return sorted(shared)


def describe_pattern(text: str) -> str:
    """Return a regular expression for texts of the same form, such as ``[A-Z]{1}-[0-9]{5}`` for ``C-00042``."""
    runs = ((kind, len(list(same))) for kind, same in itertools.groupby(text, key=_classify))
    return "".join(f"{kind}{{{length}}}" if kind[0] in "[." else kind * length for kind, length in runs)


def _classify(character: str) -> str:
    """Return what stands for a character in a pattern."""
    for belongs, kind in _CLASSES:
        if belongs(character):
            return kind
    return re.escape(character) if character in _SEPARATORS else "."
