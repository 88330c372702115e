"""Filters written in Python: ``(field("status") == "active") & (field("totalDue") > "1000")``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from intacct_provider.client.errors import IntacctArgumentError


class Expression:
    """A condition on records, or several joined by ``&`` (and) and ``|`` (or).

    Made by :func:`field`. Python binds ``&`` tighter than ``==``, so each comparison needs its own
    parentheses: ``(field("status") == "active") & (field("totalDue") > "1000")``.
    """

    def __and__(self, other: Expression) -> Expression:
        return _Joined("and", (self, _expression(other)))

    def __or__(self, other: Expression) -> Expression:
        return _Joined("or", (self, _expression(other)))

    def __bool__(self) -> NoReturn:
        raise IntacctArgumentError(
            "A filter expression has no truth value: join conditions with & and |, not with 'and' and 'or', and "
            "put each comparison in its own parentheses."
        )

    def numbered(self, conditions: list[dict[str, Any]]) -> str:
        """Append the conditions and return the expression over their numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Condition(Expression):
    operator: str
    name: str
    value: Any

    def numbered(self, conditions: list[dict[str, Any]]) -> str:
        conditions.append({self.operator: {self.name: self.value}})
        return str(len(conditions))


@dataclass(frozen=True)
class _Joined(Expression):
    word: Literal["and", "or"]
    parts: tuple[Expression, Expression]

    def numbered(self, conditions: list[dict[str, Any]]) -> str:
        texts = []
        for part in self.parts:
            text = part.numbered(conditions)
            # Parentheses wherever the words differ, so that no precedence rule is relied on.
            differs = isinstance(part, _Joined) and part.word != self.word
            texts.append(f"({text})" if differs else text)
        return f" {self.word} ".join(texts)


class Field:
    """A field of the object that is queried, to be compared with a value. Made by :func:`field`."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, value: object) -> Expression:  # type: ignore[override]
        return _Condition("$eq", self.name, value)

    def __ne__(self, value: object) -> Expression:  # type: ignore[override]
        return _Condition("$ne", self.name, value)

    def lt(self, value: Any) -> Expression:
        """Less than ``value``."""
        return _Condition("$lt", self.name, value)

    def lte(self, value: Any) -> Expression:
        """Less than ``value`` or equal."""
        return _Condition("$lte", self.name, value)

    def gt(self, value: Any) -> Expression:
        """Greater than ``value``."""
        return _Condition("$gt", self.name, value)

    def gte(self, value: Any) -> Expression:
        """Greater than ``value`` or equal."""
        return _Condition("$gte", self.name, value)

    __lt__, __le__, __gt__, __ge__ = lt, lte, gt, gte

    def in_(self, values: Iterable[Any]) -> Expression:
        """One of ``values``."""
        return _Condition("$in", self.name, list(values))

    def not_in(self, values: Iterable[Any]) -> Expression:
        """None of ``values``."""
        return _Condition("$notIn", self.name, list(values))

    def between(self, low: Any, high: Any) -> Expression:
        """From ``low`` to ``high``, both included."""
        return _Condition("$between", self.name, [low, high])

    def not_between(self, low: Any, high: Any) -> Expression:
        """Below ``low`` or above ``high``."""
        return _Condition("$notBetween", self.name, [low, high])

    def contains(self, text: str) -> Expression:
        """Text that contains ``text``; not for dates."""
        return _Condition("$contains", self.name, text)

    def not_contains(self, text: str) -> Expression:
        """Text that does not contain ``text``."""
        return _Condition("$notContains", self.name, text)

    def starts_with(self, text: str) -> Expression:
        """Text that starts with ``text``."""
        return _Condition("$startsWith", self.name, text)

    def not_starts_with(self, text: str) -> Expression:
        """Text that does not start with ``text``."""
        return _Condition("$notStartsWith", self.name, text)

    def ends_with(self, text: str) -> Expression:
        """Text that ends with ``text``."""
        return _Condition("$endsWith", self.name, text)

    def not_ends_with(self, text: str) -> Expression:
        """Text that does not end with ``text``."""
        return _Condition("$notEndsWith", self.name, text)


def field(name: str) -> Field:
    """Name a field to compare, such as ``field("status") == "active"`` or ``field("parent.id")``.

    :param name: field of the object, or ``relation.field`` of a related one.
    """
    if not isinstance(name, str) or not name.strip():
        raise IntacctArgumentError(f"A field needs a name, not {name!r}.")
    return Field(name)


def _expression(value: Any) -> Expression:
    if not isinstance(value, Expression):
        raise IntacctArgumentError(
            f"Cannot join a filter expression with {type(value).__name__}: put each comparison in its own "
            'parentheses, as in (field("a") == 1) & (field("b") == 2).'
        )
    return value


def compiled(expression: Expression) -> tuple[list[dict[str, Any]], str]:
    """Return an expression as Intacct's JSON: numbered conditions, and how they are joined."""
    conditions: list[dict[str, Any]] = []
    joined = expression.numbered(conditions)
    return conditions, joined
