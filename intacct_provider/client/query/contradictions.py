"""Filters that no record can match, because their conditions exclude each other or leave no value."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import permutations, product
from typing import Any, NamedTuple, TypeAlias

from intacct_provider.client.query.comparison import (
    Kind,
    are_different,
    are_equal,
    compare,
    to_number,
    to_text,
)
from intacct_provider.client.query.dates import read_date
from intacct_provider.client.query.expressions import OPPOSITES
from intacct_provider.client.query.joins import Tree, flatten_and, parse_joins
from intacct_provider.client.spelling import list_some

_MOST_SHOWN = 5
_MOST_LISTED = 12
_PARTS: Mapping[str, Callable[[str, str], bool]] = {
    "$contains": str.__contains__,
    "$startsWith": str.startswith,
    "$endsWith": str.endswith,
}
#: Operators whose condition can be such that no value of a type meets it, whatever values are listed.
_ORDERED = ("$lt", "$lte", "$gt", "$gte", "$between")
#: The first and the last value of a type.
_ENDS: Mapping[Kind | None, tuple[Any, Any]] = {"date": ("0001-01-01", "9999-12-31"), "key": (0, None)}
#: Whole numbers above are not counted from one to the next.
_LARGEST = 10**18

_Clash: TypeAlias = "Callable[[Sequence[int]], Sequence[Contradiction]]"


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """One condition: an operator, a field, and the value or the list of values that it is compared with."""

    operator: str
    name: str
    operand: Any

    def __str__(self) -> str:
        if not isinstance(self.operand, list):
            return f"{self.operator} {self.operand!r}"
        return f"{self.operator} [{list_some(map(repr, self.operand), _MOST_SHOWN)}]"


class FieldType(NamedTuple):
    """What is known of a field.

    :param kind: of its values; None if unknown: then only what holds for every kind is certain.
    :param listed: the only values that it has; empty for any.
    """

    kind: Kind | None = None
    listed: tuple[str, ...] = ()


class Contradiction(NamedTuple):
    """Conditions of one field that no value meets together, as few as are needed for that.

    :param comparisons: the conditions.
    :param known: what is known of the field.
    """

    comparisons: Sequence[Comparison]
    known: FieldType

    @property
    def conditions(self) -> tuple[Mapping[str, Any], ...]:
        """The conditions as Intacct's JSON."""
        return tuple({one.operator: {one.name: one.operand}} for one in self.comparisons)

    def __str__(self) -> str:
        one, listed = self.comparisons[0], self.known.listed
        if len(self.comparisons) > 1:
            both = list_some(map(str, self.comparisons), _MOST_SHOWN, " and ")
            either = Comparison("$in", one.name, [each.operand for each in self.comparisons])
            equal = all(each.operator == "$eq" and each.operand is not None for each in self.comparisons)
            advice = (
                f"Did you mean {either}?"
                if equal
                else "Remove one of these conditions, or join them by 'or' (|)."
            )
            return f"{one.name} cannot be {both} at once. {advice}"
        if listed:
            return f"no {one.name} is {one}: the model lists {list_some(map(repr, listed), _MOST_LISTED)}."
        low, high = one.operand if one.operator == "$between" else (None, None)
        if low is not None and compare(low, high, self.known.kind) == 1:
            return f"no {one.name} is {one}: the lower value comes first. Did you mean {[high, low]!r}?"
        return f"no {one.name} is {one}."


def find_contradictions(
    filters: Iterable[Mapping[str, Any]], expression: str, describe: Callable[[str], FieldType | None]
) -> Sequence[Contradiction]:
    """Return why no record can match some filters, for each branch of an ``or``; empty if a record can.

    :param filters: conditions as Intacct's JSON.
    :param expression: how they are joined.
    :param describe: returns what is known of a field; None if its conditions must not be compared. Called once for a
        field.
    """
    comparisons = list_comparisons(filters)
    find_type = cache(describe)

    def clash(some: Sequence[int]) -> Sequence[Contradiction]:
        by_name = defaultdict(list)
        for number in some:
            by_name[comparisons[number].name].append(comparisons[number])
        for name, given in by_name.items():
            if len(given) > 1 or given[0].operator in _ORDERED:
                known = find_type(name)
                found = _find_excluding(given, known) if known is not None else []
                if known is not None and found:
                    return [Contradiction(found, known)]
        return []

    try:
        return _search(parse_joins(expression, len(comparisons)), (), clash) if comparisons else []
    except RecursionError:
        return []


def list_comparisons(filters: Iterable[Mapping[str, Any]]) -> list[Comparison]:
    """Return conditions that are Intacct's JSON."""
    found = []
    for condition in filters:
        ((operator, operand),) = condition.items()
        ((name, value),) = operand.items()
        found.append(Comparison(operator, name, value))
    return found


def _search(tree: Tree, given: tuple[int, ...], clash: _Clash) -> Sequence[Contradiction]:
    """Return why nothing can match both the tree and the conditions that are given."""
    word, parts = tree
    if word == "or":
        found: list[Contradiction] = []
        for part in parts:
            why = _search(("and", [part]) if isinstance(part, int) else part, given, clash)
            if not why:
                return []
            found += why
        return found
    parts = list(flatten_and(parts))
    given = (*given, *(part for part in parts if isinstance(part, int)))
    branches = (_search(part, given, clash) for part in parts if not isinstance(part, int))
    return clash(given) or next(filter(None, branches), [])


def _find_excluding(given: Sequence[Comparison], known: FieldType) -> list[Comparison]:
    """Return conditions that no value meets together, as few as are needed; empty if a value may meet all."""
    for one in given:
        others = [other for other in given if other is not one]
        if found := _find_excluding_all(_list_wanted(one), others, known.kind):
            return [one, *found]
    if known.listed:
        # Values that conditions ask for are checked on their own.
        wanted = [value for one in given for value in _list_wanted(one)]
        if found := _find_excluding_all([None, *known.listed, *wanted], given, known.kind):
            return found
    return _find_outside(given, known.kind) or _find_opposites(given, known.kind)


def _list_wanted(comparison: Comparison) -> Sequence[Any]:
    """Return the values that meet a condition of equality."""
    if comparison.operator == "$in":
        return list(comparison.operand)
    return [comparison.operand] if comparison.operator == "$eq" else []


def _find_excluding_all(
    values: Sequence[Any], given: Sequence[Comparison], kind: Kind | None
) -> list[Comparison]:
    """Return the conditions that leave none of some values; empty if a value may be left."""
    found: list[Comparison] = []
    for value in values:
        excluding = [one for one in given if _excludes(one, value, kind)]
        if not excluding:
            return []
        if found and found[0] in excluding:
            continue
        found.append(excluding[0])
    # One that excludes all values says it in fewer words.
    alone = [one for one in found if all(_excludes(one, value, kind) for value in values)]
    return alone[:1] or list(dict.fromkeys(found))


def _excludes(comparison: Comparison, value: Any, kind: Kind | None) -> bool:
    """Whether a value certainly does not meet a condition; None is a field without a value."""
    operator, operand = comparison.operator, comparison.operand
    if operand is None:
        return (value is None) == (operator == "$ne")
    if value is None:
        # It is not certain that a null meets no negation either, as in SQL.
        return operator not in ("$ne", "$has") and not operator.startswith("$not")
    if operator == "$eq":
        return are_different(value, operand, kind)
    if operator == "$in":
        return value not in operand and all(are_different(value, one, kind) for one in operand)
    if operator in ("$ne", "$notIn"):
        return any(are_equal(value, one, kind) for one in (operand if operator == "$notIn" else [operand]))
    if operator in _PARTS:
        return kind == "text" and not _PARTS[operator](to_text(value).casefold(), to_text(operand).casefold())
    if OPPOSITES.get(operator) in _PARTS:
        return kind == "text" and _PARTS[OPPOSITES[operator]](to_text(value), to_text(operand))
    return _is_outside(operator, value, operand, kind)


def _is_outside(operator: str, value: Any, operand: Any, kind: Kind | None) -> bool:
    """Whether a value certainly does not meet a condition of order."""
    if operator == "$between":
        return compare(value, operand[0], kind) == -1 or compare(value, operand[1], kind) == 1
    if operator == "$notBetween":
        return compare(value, operand[0], kind) in (0, 1) and compare(value, operand[1], kind) in (0, -1)
    excluded = {"$lt": (0, 1), "$lte": (1,), "$gt": (0, -1), "$gte": (-1,)}
    return compare(value, operand, kind) in excluded.get(operator, ())


class _Bound(NamedTuple):
    """A limit of a range: a value, whether it is excluded, and the condition that sets it."""

    value: Any
    excluded: bool
    comparison: Comparison | None


def _find_outside(given: Sequence[Comparison], kind: Kind | None) -> list[Comparison]:
    """Return conditions of order between which there is no value."""
    first, last = _ENDS.get(kind, (None, None))
    lows = [_Bound(first, excluded=False, comparison=None)] if first is not None else []
    highs = [_Bound(last, excluded=False, comparison=None)] if last is not None else []
    for one in given:
        if one.operator in ("$gt", "$gte", "$between"):
            low = one.operand[0] if one.operator == "$between" else one.operand
            lows.append(_Bound(low, one.operator == "$gt", one))
        if one.operator in ("$lt", "$lte", "$between"):
            high = one.operand[1] if one.operator == "$between" else one.operand
            highs.append(_Bound(high, one.operator == "$lt", one))
    for low, high in product(lows, highs):
        if _is_empty(low, high, kind):
            return list(dict.fromkeys(one.comparison for one in (low, high) if one.comparison))
    return []


def _is_empty(low: _Bound, high: _Bound, kind: Kind | None) -> bool:
    """Whether there is certainly no value from one bound to the other."""
    order = compare(low.value, high.value, kind)
    if order == 1 or (order == 0 and (low.excluded or high.excluded)):
        return True
    if low.excluded and high.excluded and are_equal(low.value, high.value, kind):
        return True
    first, last = _count(low.value, kind), _count(high.value, kind)
    if first is None or last is None or max(abs(first), abs(last)) > _LARGEST:
        return False
    lowest = math.floor(first) + 1 if low.excluded else math.ceil(first)
    highest = math.ceil(last) - 1 if high.excluded else math.floor(last)
    return lowest > highest


def _count(value: Any, kind: Kind | None) -> Decimal | None:
    """Return where a value is among those of a kind that can be counted: whole numbers and days."""
    if kind == "date":
        day = read_date(value)
        return None if day is None else Decimal(day.toordinal())
    return to_number(value) if kind in ("integer", "key") else None


def _find_opposites(given: Sequence[Comparison], kind: Kind | None) -> list[Comparison]:
    """Return two conditions, one of which is the opposite of the other, or of what follows from it."""
    positive = [one for one in given if one.operator in _PARTS and kind in ("text", None)]
    for one, other in permutations(positive, 2):
        if one.operator == other.operator != "$contains" and not _overlap(one, other):
            return [one, other]
    for one, other in product(positive, given):
        opposite = OPPOSITES.get(other.operator)
        whole = opposite == "$contains" or opposite == one.operator != "$contains"
        if whole and opposite and _PARTS[opposite](to_text(one.operand), to_text(other.operand)):
            return [one, other]
    for one, other in permutations(given, 2):
        if OPPOSITES.get(one.operator) == other.operator and repr(one.operand) == repr(other.operand):
            return [one, other]
    return []


def _overlap(one: Comparison, other: Comparison) -> bool:
    """Whether a text may begin, or end, with both of two."""
    first, second = to_text(one.operand).casefold(), to_text(other.operand).casefold()
    part = _PARTS[one.operator]
    return part(first, second) or part(second, first)
