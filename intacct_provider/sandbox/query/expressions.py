"""The grammar of ``filterExpression``: numbers, ``and``, ``or`` and parentheses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import digits
from typing import Literal, TypeAlias

Word = Literal["and", "or"]

MAX_DEPTH = 50
"""Maximum nesting of parentheses; deeper expressions are rejected so that they cannot exhaust the stack."""

_TOKEN = re.compile(r"\s*([0-9]+|[A-Za-z]+|.)", re.ASCII | re.DOTALL)


class ExpressionError(ValueError):
    """An invalid ``filterExpression``; the message names the wrong part."""


@dataclass(frozen=True, slots=True)
class Group:
    """Two or more operands joined by the same word."""

    word: Word
    operands: tuple[Expression, ...]


Expression: TypeAlias = int | Group
"""The number of a condition, counted from 1, or a group of expressions."""


def parse(text: str, conditions: int) -> Expression | None:
    """Parse an expression about conditions 1 to `conditions`; ``None`` if there are no conditions.

    ``and`` or ``or`` alone joins all conditions. Otherwise conditions are given by number. The words are not
    case-sensitive, and ``and`` binds tighter than ``or``. A condition that is not given has no effect.
    """
    word = _word(text.strip())
    if word:
        return _group(word, list(range(1, conditions + 1))) if conditions else None
    return _Parser(text, conditions).parse()


class _Parser:
    """A recursive descent parser over the tokens of one expression."""

    def __init__(self, text: str, conditions: int) -> None:
        self.tokens: list[str] = _TOKEN.findall(text.strip())
        self.conditions = conditions
        self.position = 0
        self.depth = 0

    def parse(self) -> Expression:
        expression = self.join("or")
        if self.position < len(self.tokens):
            raise ExpressionError(f"'{self.tokens[self.position]}' is not expected here")
        return expression

    def join(self, word: Word) -> Expression:
        """Parse operands joined by `word`; those of ``or`` are joined by ``and``, which binds tighter."""
        operands = [self.operand(word)]
        while self.position < len(self.tokens) and _word(self.tokens[self.position]) == word:
            self.position += 1
            operands.append(self.operand(word))
        return _group(word, operands)

    def operand(self, word: Word) -> Expression:
        return self.join("and") if word == "or" else self.term()

    def term(self) -> Expression:
        token = self.take()
        if token == "(":  # noqa: S105 - a parenthesis, not a password
            return self.parenthesis()
        if token[0] not in digits:
            raise ExpressionError(f"'{token}' stands where a condition number is expected")
        number = int(token[:9])
        if token != str(number) or not 1 <= number <= self.conditions:
            raise ExpressionError(f"there is no condition {token[:20]}: the query has {self.conditions}")
        return number

    def parenthesis(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"parentheses are nested deeper than {MAX_DEPTH}")
        expression = self.join("or")
        if self.position == len(self.tokens):
            raise ExpressionError("a '(' is never closed")
        if self.take() != ")":
            raise ExpressionError(f"'{self.tokens[self.position - 1]}' is not expected here")
        self.depth -= 1
        return expression

    def take(self) -> str:
        if self.position == len(self.tokens):
            raise ExpressionError("it ends where a condition number is expected")
        self.position += 1
        return self.tokens[self.position - 1]


def _group(word: Word, operands: list[Expression] | list[int]) -> Expression:
    return operands[0] if len(operands) == 1 else Group(word, tuple(operands))


def _word(token: str) -> Word | None:
    lowered = token.lower()
    return "and" if lowered == "and" else "or" if lowered == "or" else None
