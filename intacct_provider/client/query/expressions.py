"""Filters written in Python: ``(field("status") == "active") & (field("totalDue") > "1000")``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from intacct_provider.exceptions import IntacctArgumentError

_PARENTHESES = (
    'Put each comparison in its own parentheses, as in (field("a") == 1) & (field("b") == 2); for a field that is true '
    'or false write field("a") == True.'
)
#: Each operator and its negation; ``$has`` has none.
_PAIRS = {
    "$eq": "$ne",
    "$lt": "$gte",
    "$lte": "$gt",
    "$in": "$notIn",
    "$between": "$notBetween",
    "$contains": "$notContains",
    "$startsWith": "$notStartsWith",
    "$endsWith": "$notEndsWith",
}
OPPOSITES = _PAIRS | {opposite: operator for operator, opposite in _PAIRS.items()}
_SIGNS = {"$eq": "==", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_METHODS = {
    "$in": "in_",
    "$notIn": "not_in",
    "$between": "between",
    "$notBetween": "not_between",
    "$contains": "contains",
    "$notContains": "not_contains",
    "$startsWith": "startswith",
    "$notStartsWith": "not_startswith",
    "$endsWith": "endswith",
    "$notEndsWith": "not_endswith",
    "$has": "has",
}


class Expression:
    """A condition on records, or several joined by ``&`` (and), ``|`` (or) and ``~`` (not).

    Made by :func:`field`. Immutable, and printed as the code that makes it. Python binds ``&`` tighter than ``==``, so
    each comparison needs its own parentheses: ``(field("status") == "active") & (field("totalDue") > "1000")``.

    ``~`` becomes the opposite operators, since Intacct has no *not*: ``~(a & b)`` is ``~a | ~b``. As in SQL, a field
    that is null fits neither a comparison nor its opposite; add ``| field("name").is_null()`` to select it too.
    """

    def __and__(self, other: Expression) -> Expression:
        return _join("and", self, other)

    def __or__(self, other: Expression) -> Expression:
        return _join("or", self, other)

    def __rand__(self, other: Any) -> NoReturn:
        raise _reject_join(other)

    __ror__ = __rand__

    def __invert__(self) -> Expression:
        raise NotImplementedError

    def __bool__(self) -> NoReturn:
        raise IntacctArgumentError(
            "A filter expression has no truth value: join conditions with & and |, not with 'and' and 'or', and negate "
            f"them with ~. {_PARENTHESES}"
        )

    def compile(self, conditions: list[dict[str, Any]]) -> str:
        """Append the conditions and return the expression over their numbers."""
        raise NotImplementedError

    def replace_conditions(self, conditions: Iterator[Mapping[str, Any]]) -> Expression:
        """Return the expression with other conditions, in the order in which ``compile`` lists them."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class _Condition(Expression):
    operator: str
    name: str
    value: Any

    def __invert__(self) -> Expression:
        if self.operator not in OPPOSITES:
            raise IntacctArgumentError(
                f"{self!r} cannot be negated: Intacct has no opposite of {self.operator}. Leave such rows out after "
                "reading them."
            )
        return _Condition(OPPOSITES[self.operator], self.name, self.value)

    def __repr__(self) -> str:
        name = repr(Field(self.name))
        if self.value is None and self.operator in ("$eq", "$ne"):
            return f"{name}.{'is_null' if self.operator == '$eq' else 'is_not_null'}()"
        if self.operator in _SIGNS:
            return f"{name} {_SIGNS[self.operator]} {self.value!r}"
        if self.operator in ("$between", "$notBetween"):
            return f"{name}.{_METHODS[self.operator]}{self.value!r}"
        return f"{name}.{_METHODS[self.operator]}({_to_json(self.value)!r})"

    def compile(self, conditions: list[dict[str, Any]]) -> str:
        conditions.append({self.operator: {self.name: _to_json(self.value)}})
        return str(len(conditions))

    def replace_conditions(self, conditions: Iterator[Mapping[str, Any]]) -> Expression:
        [(operator, operand)] = next(conditions).items()
        [(name, value)] = operand.items()
        return _Condition(operator, name, tuple(value) if isinstance(value, list) else value)


@dataclass(frozen=True, repr=False)
class _Joined(Expression):
    """Two parts or more, none of them joined by the same word, so that parentheses stand only where words change."""

    word: Literal["and", "or"]
    parts: tuple[Expression, ...]

    def __invert__(self) -> Expression:
        return _Joined("or" if self.word == "and" else "and", tuple(~part for part in self.parts))

    def __repr__(self) -> str:
        texts = (repr(part) if _is_call(part) else f"({part!r})" for part in self.parts)
        return f" {'&' if self.word == 'and' else '|'} ".join(texts)

    def compile(self, conditions: list[dict[str, Any]]) -> str:
        texts = []
        for part in self.parts:
            text = part.compile(conditions)
            # Sage does not say which word binds tighter, so none is relied on.
            texts.append(f"({text})" if isinstance(part, _Joined) else text)
        return f" {self.word} ".join(texts)

    def replace_conditions(self, conditions: Iterator[Mapping[str, Any]]) -> Expression:
        return _Joined(self.word, tuple(part.replace_conditions(conditions) for part in self.parts))


class Field:
    """A field of the object that is queried, to be compared with a value. Made by :func:`field`.

    Values are text, numbers, booleans, dates and times, or None with ``==`` and ``!=``. Decimals are sent as text,
    digit by digit; times in UTC and whole seconds, as Intacct keeps them. Values are checked when the query is made.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"field({self.name!r})"

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return _Condition("$eq", self.name, value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return _Condition("$ne", self.name, value)

    def lt(self, value: Any) -> Expression:
        """Less than ``value``."""
        return _Condition("$lt", self.name, value)

    def lte(self, value: Any) -> Expression:
        """Less than or equal to ``value``."""
        return _Condition("$lte", self.name, value)

    def gt(self, value: Any) -> Expression:
        """Greater than ``value``."""
        return _Condition("$gt", self.name, value)

    def gte(self, value: Any) -> Expression:
        """Greater than or equal to ``value``."""
        return _Condition("$gte", self.name, value)

    __lt__, __le__, __gt__, __ge__ = lt, lte, gt, gte

    def in_(self, values: Iterable[Any]) -> Expression:
        """One of ``values``."""
        return _Condition("$in", self.name, _to_tuple(values))

    def not_in(self, values: Iterable[Any]) -> Expression:
        """None of ``values``."""
        return _Condition("$notIn", self.name, _to_tuple(values))

    def between(self, low: Any, high: Any) -> Expression:
        """From ``low`` to ``high``, both included."""
        return _Condition("$between", self.name, (low, high))

    def not_between(self, low: Any, high: Any) -> Expression:
        """Below ``low`` or above ``high``."""
        return _Condition("$notBetween", self.name, (low, high))

    def contains(self, text: str) -> Expression:
        """Text that contains ``text``; not for dates."""
        return _Condition("$contains", self.name, text)

    def not_contains(self, text: str) -> Expression:
        """Text that does not contain ``text``."""
        return _Condition("$notContains", self.name, text)

    def startswith(self, text: str) -> Expression:
        """Text that starts with ``text``."""
        return _Condition("$startsWith", self.name, text)

    def not_startswith(self, text: str) -> Expression:
        """Text that does not start with ``text``."""
        return _Condition("$notStartsWith", self.name, text)

    def endswith(self, text: str) -> Expression:
        """Text that ends with ``text``."""
        return _Condition("$endsWith", self.name, text)

    def not_endswith(self, text: str) -> Expression:
        """Text that does not end with ``text``."""
        return _Condition("$notEndsWith", self.name, text)

    def has(self, value: Any) -> Expression:
        """A field of several values, one of which is ``value``. Intacct has no opposite."""
        return _Condition("$has", self.name, value)

    def is_null(self) -> Expression:
        """Without a value."""
        return _Condition("$eq", self.name, None)

    def is_not_null(self) -> Expression:
        """With a value."""
        return _Condition("$ne", self.name, None)

    def __and__(self, _other: Any) -> NoReturn:
        raise _reject_join(self)

    __or__ = __rand__ = __ror__ = __and__

    def __invert__(self) -> NoReturn:
        raise _reject_join(self)


def field(name: str) -> Field:
    """Name a field to compare, such as ``field("status") == "active"`` or ``field("parent.id")``.

    :param name: field of the object, or ``relation.field`` of a related one.
    """
    if not isinstance(name, str) or not name.strip():
        raise IntacctArgumentError(f"A field needs a name, not {name!r}.")
    return Field(name)


def compile_expression(expression: Expression) -> tuple[list[dict[str, Any]], str]:
    """Return an expression as Intacct's JSON: conditions numbered as they are read, and how they are joined."""
    conditions: list[dict[str, Any]] = []
    try:
        joined = expression.compile(conditions)
    except RecursionError:
        raise IntacctArgumentError(
            "The filter expression changes between & and | too often, one within the other."
        ) from None
    return conditions, joined


def _join(word: Literal["and", "or"], *sides: Any) -> Expression:
    parts: list[Expression] = []
    for side in sides:
        if not isinstance(side, Expression):
            raise _reject_join(side)
        parts += side.parts if isinstance(side, _Joined) and side.word == word else [side]
    return _Joined(word, tuple(parts))


def _reject_join(value: Any) -> IntacctArgumentError:
    what = repr(value) if isinstance(value, Field) else type(value).__name__
    return IntacctArgumentError(f"Cannot join {what}: only conditions can be joined. {_PARENTHESES}")


def _to_tuple(values: Any) -> Any:
    """Return values as a tuple, those of sets in order; leave what is not a list yet, such as a task's output."""
    if isinstance(values, set | frozenset):
        return tuple(sorted(values, key=repr))
    if isinstance(values, str | bytes | Mapping):
        return values
    try:
        return tuple(values)
    except TypeError:
        return values


def _to_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_call(part: Expression) -> bool:
    """Whether a part is printed as one call, which needs no parentheses of its own."""
    return isinstance(part, _Condition) and (part.operator not in _SIGNS or part.value is None)
