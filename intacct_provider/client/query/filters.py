"""Filters as Intacct's JSON, checked for their shape before a call is paid for."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from intacct_provider.client.http.codec import encode_value
from intacct_provider.client.query.expressions import Expression, compile_expression
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError

OPERATORS = (
    "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$notIn", "$between", "$notBetween", "$contains",
    "$notContains", "$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith", "$has",
)  # fmt: skip
_LISTS = ("$in", "$notIn", "$between", "$notBetween")

Filters = Expression | Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


def check_filters(
    filters: Filters, expression: str | None, argument: str = "filters"
) -> tuple[list[dict[str, Any]], str]:
    """Return filters of either form as conditions that can be sent, and how they are joined.

    :param argument: name of the argument that they come from, for messages.
    :raises IntacctArgumentError: naming the condition or the part of the expression that is wrong.
    """
    given: Any = filters
    if isinstance(filters, Expression):
        if expression:
            raise IntacctArgumentError(
                f"filter_expression goes with {argument} as a list of conditions; an expression of field(...) already "
                "says how its conditions are joined."
            )
        given, expression = compile_expression(filters)
    elif isinstance(filters, Mapping):
        given = [filters]
    elif isinstance(filters, str) or not isinstance(filters, Iterable | None):
        raise IntacctArgumentError(
            f"{argument} must be a list of conditions or an expression of field(...), not {filters!r}."
        )
    conditions = [
        _check_condition(f"{argument}: condition {number}", condition)
        for number, condition in enumerate(given or (), 1)
    ]
    if not isinstance(expression, str | None):
        raise IntacctArgumentError(
            f"filter_expression must be text such as '(1 and 2) or 3', not {expression!r}."
        )
    expression = (expression or "and").strip()
    _check_expression(expression, len(conditions), argument)
    return conditions, expression


def make_templatable(filters: Filters, filter_expression: str | None) -> tuple[Filters, str | None]:
    """Return filters as plain JSON, in which Airflow renders templates; it does not look into expressions."""
    if isinstance(filters, Expression) and not filter_expression:
        return compile_expression(filters)
    return filters, filter_expression


def _check_condition(where: str, condition: Any) -> dict[str, Any]:
    if isinstance(condition, Expression):
        raise IntacctArgumentError(
            f"{where} is an expression of field(...): join expressions with & or | instead of listing them."
        )
    if not isinstance(condition, Mapping) or len(condition) != 1:
        raise IntacctArgumentError(
            f'{where} must be one operator with one field, such as {{"$eq": {{"status": "active"}}}}.'
        )
    ((operator, operand),) = condition.items()
    if operator not in OPERATORS:
        closest = did_you_mean(operator if str(operator).startswith("$") else f"${operator}", OPERATORS)
        raise IntacctArgumentError(
            f"{where} has the unknown operator {operator!r}.{closest} Operators: {', '.join(OPERATORS)}."
        )
    if not isinstance(operand, Mapping) or len(operand) != 1:
        raise IntacctArgumentError(
            f'{where}: {operator} takes one field with its value, such as {{"{operator}": {{"status": ...}}}}.'
        )
    ((name, value),) = operand.items()
    if not isinstance(name, str) or not name.strip():
        raise IntacctArgumentError(
            f"{where}: {operator} names the field {name!r}, which is not a field name."
        )
    return {operator: {name: _check_operand(f"{where}: {operator} on {name!r}", operator, value)}}


def _check_operand(where: str, operator: str, value: Any) -> Any:
    is_list = isinstance(value, list | tuple)
    if operator in ("$in", "$notIn") and not (is_list and value):
        empty = " Leave the condition out, or skip the task, if there is no value." if is_list else ""
        raise IntacctArgumentError(f"{where} takes a list of one value or more, not {value!r}.{empty}")
    if operator in ("$between", "$notBetween") and not (is_list and len(value) == 2):
        raise IntacctArgumentError(f"{where} takes a list of two values, lowest first, not {value!r}.")
    if operator not in _LISTS and (is_list or isinstance(value, Mapping)):
        raise IntacctArgumentError(f"{where} takes a single value, not {value!r}.")
    if value is None and operator in ("$eq", "$ne"):
        return None
    return [_encode_operand(where, item) for item in value] if is_list else _encode_operand(where, value)


def _encode_operand(where: str, value: Any) -> Any:
    """Return a value as it is sent: a decimal as text, as Intacct itself writes amounts, so that no float rounds it."""
    if value is None:
        raise IntacctArgumentError(f"{where} cannot be compared with None; $eq and $ne can.")
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise IntacctArgumentError(f"{where} cannot be compared with {value}, which is not a number.")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int | float | dt.date):
        return encode_value(value)
    raise IntacctArgumentError(f"{where} takes text, a number, a date, a time, True or False, not {value!r}.")


def _check_expression(expression: str, count: int, argument: str) -> None:
    if expression.lower() in ("and", "or"):
        return
    words = re.findall(r"[0-9]+|[A-Za-z]+|\S", expression)
    for word in words:
        if _is_number(word) and not 1 <= _parse_number(word) <= count:
            have = f"there are no {argument}" if not count else f"{argument} has conditions 1 to {count}"
            raise IntacctArgumentError(
                f"filter_expression {expression!r} names condition {word}, but {have}."
            )
        if not _is_number(word) and word.lower() not in ("and", "or", "(", ")"):
            raise IntacctArgumentError(
                f"filter_expression {expression!r} contains {word!r}; it takes condition numbers, 'and', 'or' and "
                "parentheses, such as '(1 and 2) or 3'."
            )
    _check_grammar(expression, words)
    missing = sorted(set(range(1, count + 1)) - {_parse_number(word) for word in words if _is_number(word)})
    if missing:
        raise IntacctArgumentError(
            f"filter_expression {expression!r} leaves out condition {', '.join(map(str, missing))}: a condition that "
            "it does not name would not filter anything."
        )


def _check_grammar(expression: str, words: Sequence[str]) -> None:
    depth, want_operand = 0, True
    for word in words:
        opens = word == "(" or _is_number(word)
        if opens != want_operand:
            raise IntacctArgumentError(f"filter_expression {expression!r} is not well formed near {word!r}.")
        depth += {"(": 1, ")": -1}.get(word, 0)
        want_operand = word == "(" or word.lower() in ("and", "or")
        if depth < 0:
            break
    if depth or want_operand:
        raise IntacctArgumentError(
            f"filter_expression {expression!r} is not well formed: count its parentheses and give each 'and' and 'or' "
            "two sides."
        )


def _is_number(word: str) -> bool:
    return word[0] in "0123456789"


def _parse_number(word: str) -> int:
    # Python does not parse numbers of thousands of digits; no query has that many conditions.
    return int(word[-9:]) if len(word.lstrip("0")) < 10 else 10**9
