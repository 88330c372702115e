"""Filters and their expression, translated to an SQL condition with bound values.

Nulls compare as in SQL: a null field matches ``{"$eq": {field: null}}`` only. ``$ne``, ``$notIn`` and the other
negations with a value do not match it; ``{"$ne": {field: null}}`` matches all other records. Text compares by code
point and is case-sensitive unless ``caseSensitiveComparison`` is false. Keys, numbers and amounts compare as numbers,
even if given as strings. A date-time compares as an instant; a plain date means midnight UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypeAlias

from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.query.columns import Column, Tables
from intacct_provider.sandbox.query.expressions import Expression, ExpressionError, Word, parse
from intacct_provider.sandbox.query.operands import Operand, Span


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and the values for its question marks, in order."""

    text: str
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of comparisons."""

    today: date
    case_sensitive: bool
    faults: Faults


def build_condition(tables: Tables, filters: object, expression: object, settings: Settings) -> Sql | None:
    """Return the SQL condition of a query's filters; ``None`` if there are none.

    :param filters: ``[{"$eq": {"status": "active"}}, ...]``.
    :param expression: ``"(1 and 2) or 3"``; a filter whose number is not in it has no effect.
    :raises ApiError: 400; the message has the number of the invalid filter.
    """
    if not isinstance(filters, list):
        raise invalid("filters must be an array of conditions")
    if not isinstance(expression, str):
        raise invalid("filterExpression must be a string")
    conditions = [_condition(tables, number, item, settings) for number, item in enumerate(filters, 1)]
    try:
        parsed = parse(expression, len(conditions))
    except ExpressionError as error:
        raise invalid(f"filterExpression {expression[:200]!r} is not valid: {error}") from None
    return None if parsed is None else _combine(parsed, conditions)


def _combine(expression: Expression, conditions: Sequence[Sql]) -> Sql:
    if isinstance(expression, int):
        return conditions[expression - 1]
    return _join(expression.word, [_combine(operand, conditions) for operand in expression.operands])


def _join(word: Word, parts: Sequence[Sql]) -> Sql:
    """Join conditions as a balanced tree, because SQLite rejects trees deeper than 1,000."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = _join(word, parts[:middle]), _join(word, parts[middle:])
    return Sql(f"({left.text} {word.upper()} {right.text})", left.values + right.values)


def _condition(tables: Tables, number: int, item: object, settings: Settings) -> Sql:
    operator, operand = _pair(item, f"filter {number} must be an object with exactly one operator")
    if operator == "$has":
        raise invalid(
            f"filter {number}: this sandbox has no $has, since no field of its objects has several values"
        )
    if operator not in OPERATORS:
        raise invalid(f"filter {number}: {operator} is not an operator; use {', '.join(OPERATORS)}")
    path, value = _pair(operand, f"filter {number}: {operator} must name exactly one field")
    compare, negated = OPERATORS[operator]
    column = tables.comparable(path)
    if path == "key" and not settings.faults.key_filter:
        raise tables.unqueryable(path)
    try:
        sql = compare(_operand(column, settings), value)
    except ValueError as error:
        raise _build_error(number, operator, path, error) from None
    return Sql(f"NOT ({sql.text})", sql.values) if negated else sql


def _operand(column: Column, settings: Settings) -> Operand:
    faults = settings.faults
    as_text = column.type == "key" and (faults.text_keys or faults.varies("keys-filter-as-text"))
    return Operand(column, settings.today, case_sensitive=settings.case_sensitive, key_as_text=as_text)


def _build_error(number: int, operator: str, path: str, error: ValueError) -> ApiError:
    return invalid(f"filter {number}: {operator} on {path}: {error}", code="invalidParameter")


def _pair(value: object, message: str) -> tuple[str, object]:
    if not isinstance(value, dict) or len(value) != 1:
        raise invalid(message)
    [(name, content)] = value.items()
    return name, content


def _equal(operand: Operand, value: object) -> Sql:
    if value is None:
        return Sql(f"{operand.sql} IS NULL")
    return _within(operand, operand.span(value))


def _within(operand: Operand, span: Span) -> Sql:
    if span.low == span.high:
        return Sql(f"{operand.sql} = ?", (span.low,))
    return Sql(f"{operand.sql} BETWEEN ? AND ?", (span.low, span.high))


def _compare_order(sign: str, side: Callable[[Span], object], operand: Operand, value: object) -> Sql:
    return Sql(f"{operand.sql} {sign} ?", (side(operand.span(value)),))


def _low(span: Span) -> object:
    return span.low


def _high(span: Span) -> object:
    return span.high


def _in(operand: Operand, value: object) -> Sql:
    if not isinstance(value, list) or not value:
        raise ValueError("the value must be an array with at least one element")
    spans = [operand.span(element) for element in value]
    if any(span.low != span.high for span in spans):
        return _join("or", [_within(operand, span) for span in spans])
    # A JSON array is a single bound value, whatever its length.
    elements = json.dumps([span.low for span in spans])
    return Sql(f"{operand.sql} IN (SELECT value FROM json_each(?))", (elements,))  # noqa: S608 - values are bound


def _between(operand: Operand, value: object) -> Sql:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("the value must be an array of two elements, the lower one first")
    low, high = (operand.span(element) for element in value)
    return Sql(f"{operand.sql} BETWEEN ? AND ?", (low.low, high.high))


def _contains(operand: Operand, value: object) -> Sql:
    return Sql(f"instr({operand.text_sql()}, ?) > 0", (operand.text(value),))


def _starts_with(operand: Operand, value: object) -> Sql:
    text = operand.text(value)
    return Sql(f"substr({operand.text_sql()}, 1, {len(text)}) = ?", (text,))


def _ends_with(operand: Operand, value: object) -> Sql:
    text = operand.text(value)
    # substr(x, -0) would be all of x.
    start = f"-{len(text)}" if text else "length({0}) + 1"
    return Sql(f"substr({{0}}, {start}) = ?".format(operand.text_sql()), (text,))


_Compare: TypeAlias = Callable[[Operand, object], Sql]

OPERATORS: Mapping[str, tuple[_Compare, bool]] = {
    "$eq": (_equal, False),
    "$ne": (_equal, True),
    "$lt": (partial(_compare_order, "<", _low), False),
    "$lte": (partial(_compare_order, "<=", _high), False),
    "$gt": (partial(_compare_order, ">", _high), False),
    "$gte": (partial(_compare_order, ">=", _low), False),
    "$in": (_in, False),
    "$notIn": (_in, True),
    "$between": (_between, False),
    "$notBetween": (_between, True),
    "$contains": (_contains, False),
    "$notContains": (_contains, True),
    "$startsWith": (_starts_with, False),
    "$notStartsWith": (_starts_with, True),
    "$endsWith": (_ends_with, False),
    "$notEndsWith": (_ends_with, True),
}


def join_all(parts: Iterable[Sql | None]) -> Sql | None:
    """Join the conditions by ``and``; ``None`` if all of them are ``None``."""
    present = [part for part in parts if part is not None]
    return _join("and", present) if present else None
