"""Values in filters that no record can have, as far as the model of the object says."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from intacct_provider.client.model import ModelField
from intacct_provider.client.query.comparison import Kind, to_text
from intacct_provider.client.query.contradictions import (
    FieldType,
    find_contradictions,
    list_comparisons,
)
from intacct_provider.client.query.dates import is_impossible_date, read_date, suggest_date
from intacct_provider.client.query.expressions import OPPOSITES
from intacct_provider.client.query.periods import PERIODS
from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import did_you_mean, list_some

_EQUALITY = ("$eq", "$ne", "$in", "$notIn", "$has")
_SEARCHES: Mapping[str, Callable[[str, str], bool]] = {
    "$contains": str.__contains__,
    "$startsWith": str.startswith,
    "$endsWith": str.endswith,
}
_WORDS = {"$contains": "that contains ", "$startsWith": "that starts with ", "$endsWith": "that ends with "}
#: Fields in which any text is possible, so that no model needs to be read for them.
_FREE_TEXT = ("id", "name", "href")
_MOST_SHOWN = 12

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_YES, _NO = ("true", "t", "yes", "y", "1", "on"), ("false", "f", "no", "n", "0", "off")
_DESCRIPTIONS: Mapping[Kind, str] = {
    "boolean": "true or false",
    "date": "a date such as '2025-03-16', or a period such as 'today'",
    "date-time": "a time such as '2025-03-16T13:26:56Z', a date, or a period such as 'today'",
    "integer": "a whole number",
    "key": "a whole number, as keys usually are",
    "number": "a number",
    "text": "text",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value of a filter that no record can have, as far as the model says.

    :param name: the field, and
    :param value: what it is compared with.
    :param lookup: condition that selects the records that have it nevertheless.
    :param problem: what is wrong, as the beginning of a sentence.
    :param advice: the nearest value as a sentence of its own, or nothing.
    """

    name: str
    value: Any
    lookup: Mapping[str, Any]
    problem: str
    advice: str


def list_doubtful_values(query: Query, find_field: Callable[[str], ModelField | None]) -> Iterator[Doubt]:
    """Yield the values in the filters of a query that no record can have.

    :param find_field: returns the description of a field; None if the model has none. Only called for fields whose
        values it can rule out.
    """
    folds = ignores_case(query)
    for operator, name, values in _list_comparisons(query):
        checked = [value for value in values if not _is_free(name, value)]
        found = find_field(name) if checked else None
        if found is not None:
            doubts = (_find_doubt(operator, name, value, found, ignore_case=folds) for value in checked)
            yield from filter(None, doubts)


def _find_doubt(
    operator: str, name: str, value: Any, found: ModelField, *, ignore_case: bool
) -> Doubt | None:
    """Return why no record can have a value; None if one can."""
    kind, test = _find_kind(name, found), _find_test(operator)
    if test in _SEARCHES and kind not in ("key", "text"):
        problem = f"{name} is not text, and {operator} only compares text"
        return Doubt(name, value, {test: {name: value}}, problem, "")
    listed = [str(one) for one in found.enum if one is not None]
    if listed and kind != "boolean" and (test != "$eq" or operator in _EQUALITY):
        return _find_unlisted(test, name, value, listed, ignore_case=ignore_case)
    if _fits(kind, value, equality=operator in _EQUALITY):
        return None
    # A server that accepts a time for a date compares it as one; anything else is found by equality, if at all.
    if kind == "date" and _is_time(value) and operator in ("$lt", "$lte", "$gt", "$gte"):
        test = operator
    problem = f"{name} is compared with {value!r}, which is not {_DESCRIPTIONS[kind]}"
    return Doubt(name, value, {test: {name: value}}, problem, _suggest(name, kind, value))


def _find_unlisted(
    test: str, name: str, value: Any, listed: Sequence[str], *, ignore_case: bool
) -> Doubt | None:
    """Return why none of the values that a field may have passes a test; None if one does."""
    compare = _SEARCHES.get(test, str.__eq__)
    fold = partial(fold_value, ignore_case=ignore_case)
    if not isinstance(value, bool) and any(compare(fold(one), fold(value)) for one in listed):
        return None
    known = list_some(map(repr, listed), _MOST_SHOWN)
    problem = f"{name} has no value {_WORDS.get(test, '')}{value!r}: the model lists {known}"
    return Doubt(name, value, {test: {name: value}}, problem, did_you_mean(to_text(value), listed))


def rows_prove_values(query: Query) -> bool:
    """Whether a single row of the query proves that records have the values that its filters ask for.

    If so, there is nothing to check as long as rows come.
    """
    joined = re.findall(r"[a-z]+", query.expression.lower())
    return (
        not query.aggregated
        and ("or" not in joined or len(query.filters) == 1)
        and all(_is_proven_by_rows(*comparison) for comparison in _list_comparisons(query))
    )


def has_values_to_check(query: Query) -> bool:
    """Whether the model could rule out a value in the filters of a query."""
    return any(
        not _is_free(name, value) for _operator, name, values in _list_comparisons(query) for value in values
    )


def describe_field(name: str, find_field: Callable[[str], ModelField | None]) -> FieldType | None:
    """Return what is known of a field; None if its conditions must not be compared.

    :param find_field: returns its description; not called if the name says enough.
    """
    leaf = name.rpartition(".")[2]
    if leaf in _FREE_TEXT or leaf == "key":
        return FieldType("key" if leaf == "key" else "text")
    found = find_field(name)
    if found is None or found.is_list or not found.type:
        return None
    listed = ("true", "false") if found.type == "boolean" else found.enum
    return FieldType(_find_kind(name, found), tuple(str(one) for one in listed if one is not None))


def looks_wrong(query: Query) -> bool:
    """Whether a query may well match nothing, so that its filters are checked before it is sent.

    That is so for days that do not exist, and for conditions that exclude each other if all fields whose names do not
    say their type have the same one.
    """
    values = (value for _operator, _name, some in _list_comparisons(query) for value in some)
    if any(map(is_impossible_date, values)):
        return True
    types = map(FieldType, () if query.narrowed else _DESCRIPTIONS)
    return any(find_contradictions(query.filters, query.expression, partial(_assume, one)) for one in types)


def _assume(usual: FieldType, name: str) -> FieldType:
    return describe_field(name, lambda _: None) or usual


def ignores_case(query: Query) -> bool:
    """Whether the query compares text without regard to case."""
    given = (query.parameters or {}).get("caseSensitiveComparison", True)
    return to_text(given).casefold() == "false"


def fold_value(value: Any, *, ignore_case: bool) -> str:
    """Return a value in the form in which Intacct compares it with text."""
    return to_text(value).casefold() if ignore_case else to_text(value)


def _list_comparisons(query: Query) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """Yield operator, field and values of each condition; null is a value that any field may have."""
    for one in list_comparisons(query.filters):
        values = one.operand if isinstance(one.operand, list) else [one.operand]
        yield one.operator, one.name, [value for value in values if value is not None]


def _is_proven_by_rows(operator: str, _name: str, values: Sequence[Any]) -> bool:
    if operator in ("$eq", "$has", *_SEARCHES):
        return True
    if operator in _EQUALITY:
        return operator == "$in" and len(values) == 1
    # Compared as text, a date is below or above any word.
    return operator not in OPPOSITES or all(map(_is_ordered, values))


def _is_ordered(value: Any) -> bool:
    """Whether a value is a number, a date or a time, whatever the field's type."""
    return any(_fits(kind, value, equality=False) for kind in ("number", "date-time"))


def _is_free(name: str, value: Any) -> bool:
    leaf = name.rpartition(".")[2]
    if leaf in _FREE_TEXT:
        return not isinstance(value, bool)
    return leaf == "key" and _fits("key", value, equality=True)


def _find_test(operator: str) -> str:
    """Return the operator that finds records with a value: that of parts of text, or equality."""
    tests = [one for one in (operator, OPPOSITES.get(operator, "")) if one in _SEARCHES or one == "$has"]
    return tests[0] if tests else "$eq"


def _find_kind(name: str, found: ModelField) -> Kind:
    if name.rpartition(".")[2] == "key":
        return "key"
    if found.type in ("boolean", "integer", "number"):
        return found.type  # type: ignore[return-value]
    if found.type == "decimal" or found.format.startswith("decimal"):
        return "number"
    return found.format if found.format in ("date", "date-time") else "text"  # type: ignore[return-value]


def _fits(kind: Kind, value: Any, *, equality: bool) -> bool:
    """Whether a field of a kind can be compared with a value.

    :param equality: whether it is asked to be equal, which a whole number never is to a fraction.
    """
    text = to_text(value)
    if kind == "boolean":
        return text in ("true", "false")
    if isinstance(value, bool):
        return False
    if kind in ("integer", "number"):
        return bool((_WHOLE if kind == "integer" and equality else _NUMBER).fullmatch(text))
    if kind == "key":
        return text.isascii() and text.isdigit()
    if kind == "date":
        return text in PERIODS or read_date(text) is not None
    if kind == "date-time":
        return text in PERIODS or read_date(text) is not None or _is_time(text)
    return True


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and bool(_TIME.fullmatch(value)) and _is_in_calendar(value.upper())


def _is_in_calendar(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _suggest(name: str, kind: Kind, value: Any) -> str:
    """Return the value of the right kind that is probably meant, as a sentence; else nothing."""
    text = to_text(value).strip()
    meant: object = None
    if kind == "boolean":
        meant = True if text.casefold() in _YES else False if text.casefold() in _NO else None
    elif kind in ("integer", "number") and _GROUPED.fullmatch(text):
        plain = text.replace(",", "")
        meant = plain if _fits(kind, plain, equality=True) else None
    elif kind == "text":
        meant = text
    elif kind == "key":
        return f" Did you mean the field {name.removesuffix('key') + 'id'!r}?"
    elif kind in ("date", "date-time"):
        meant = suggest_date(text) or text
        meant = meant if kind == "date-time" or not _is_time(meant) else meant[:10]
        return (
            f" Did you mean {meant!r}?" if _fits(kind, meant, equality=True) else did_you_mean(text, PERIODS)
        )
    return "" if meant is None else f" Did you mean {meant!r}?"
