"""Desired records in JSON and in lines of JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value


def read_json(source: str, text: str) -> list[tuple[str, Any]]:
    """Return the elements of a JSON array, each with its place."""
    records = _parse(source, text, first_line=1)
    if not isinstance(records, list):
        raise IntacctArgumentError(
            f"{source}: line 1: the file must hold an array of objects; use .jsonl for one object a line"
        )
    return [(f"record {number}", record) for number, record in enumerate(records, start=1)]


def read_json_lines(source: str, text: str) -> list[tuple[str, Any]]:
    """Return the value of each line that is not blank, with its place."""
    return [
        (f"line {number}", _parse(source, line, first_line=number))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def parse_cell(cell: str) -> Any:
    """Return the object or array in a cell of a table; other text as it is."""
    if cell.lstrip()[:1] not in {"{", "["}:
        return cell
    try:
        return _loads(cell)
    except (ValueError, RecursionError):
        return cell


class _JsonRuleError(ValueError):
    """Valid JSON that is ambiguous."""


def _parse(source: str, text: str, *, first_line: int) -> Any:
    """Parse JSON with exact numbers; errors name the place and never show the content."""
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise IntacctArgumentError(
            f"{source}: line {line}, column {error.colno}: not valid JSON ({error.msg})"
        ) from None
    except _JsonRuleError as error:
        raise IntacctArgumentError(f"{source}: from line {first_line} on: {error}") from None
    except (ValueError, RecursionError):
        raise IntacctArgumentError(
            f"{source}: from line {first_line} on: a number is too long or objects are nested too deeply"
        ) from None


def _loads(text: str) -> Any:
    return json.loads(
        text, parse_float=Decimal, parse_constant=_reject_constant, object_pairs_hook=_reject_duplicates
    )


def _reject_constant(name: str) -> None:
    raise _JsonRuleError(f"{name} is not a JSON value; use null")


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _JsonRuleError(f"an object has the name {show_value(twice)} twice; keep one")
    return record
