"""The records a user wants Intacct to have: read from a file, checked, typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from intacct_provider.client.errors import IntacctArgumentError, did_you_mean
from intacct_provider.sync.coerce import coerce
from intacct_provider.sync.csv_records import parse_csv
from intacct_provider.sync.diff import flatten, unflatten
from intacct_provider.sync.problems import refuse, shown

__all__ = ["check_desired", "coerce", "parse_desired"]

_SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson")


def parse_desired(name: str, data: bytes, *, match_on: str) -> list[dict[str, Any]]:
    """Read desired records from the content of a file; the suffix of its name tells the format.

    ``.csv`` is described at :func:`~intacct_provider.sync.csv_records.parse_csv`; its values are text
    until :func:`coerce` types them. ``.json`` is an array of objects and ``.jsonl`` (or ``.ndjson``) has
    one object a line; there a null clears the field, and numbers keep every digit. Field names may
    be nested or dotted; the records returned are nested. The text is UTF-8, with or without a
    byte-order mark.

    :param name: path or URI of the file; also named in errors.
    :param match_on: dotted path of the field that identifies a record.
    :raises IntacctArgumentError: if the file cannot be read, or for what :func:`check_desired` refuses,
        naming lines.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise IntacctArgumentError(
            f"{name}: {shown(suffix)} is not a format of desired records; "
            f"use .csv, .json or .jsonl (also named .ndjson).{did_you_mean(suffix, _SUFFIXES)}"
        )
    text = _text(name, data)
    if suffix == ".csv":
        rows = [(f"line {line}", record) for line, record in parse_csv(name, text, match_on=match_on)]
    elif suffix == ".json":
        rows = _json_records(name, text)
    else:
        rows = _json_lines(name, text)
    _check(rows, match_on=match_on, source=name)
    return [unflatten(flatten(record)) for _, record in rows]


def check_desired(records: Sequence[Mapping[str, Any]], *, match_on: str, source: str) -> None:
    """Refuse records that do not say clearly what is wanted.

    :param records: a list of objects, nested or dotted, such as an upstream task returns.
    :param match_on: dotted path of the field that identifies a record.
    :param source: what errors call the records.
    :raises IntacctArgumentError: if it is not a list of objects, if it is empty, if a record has no
        ``match_on`` value, or if two have the same. Problems are named with their position, at most 10.
    """
    if isinstance(records, str | bytes) or not isinstance(records, Sequence):
        raise IntacctArgumentError(
            f"{source}: desired records must be a list of objects, not {type(records).__name__}"
        )
    rows = [(f"record {number}", record) for number, record in enumerate(records, start=1)]
    _check(rows, match_on=match_on, source=source)


def match_text(value: Any) -> str:
    """Return a ``match_on`` value as text, which is how desired and live records are paired."""
    return "" if value is None else str(value)


def _check(rows: Sequence[tuple[str, Any]], *, match_on: str, source: str) -> None:
    if not rows:
        raise IntacctArgumentError(
            f"{source}: there are no records; an empty desired state is refused, "
            "because in mode mirror it would delete everything"
        )
    problems: list[str] = []
    places: dict[str, list[str]] = {}
    for place, record in rows:
        try:
            value = _match_value(record, match_on)
        except IntacctArgumentError as error:
            problems.append(f"{place}: {error}")
        else:
            places.setdefault(value, []).append(place)
    problems += [
        f"{match_on} {shown(value)} is given more than once: {', '.join(found[:10])}"
        f"{f' and {len(found) - 10} more' if len(found) > 10 else ''}; keep one"
        for value, found in places.items()
        if len(found) > 1
    ]
    if problems:
        refuse(source, problems)


def _match_value(record: Any, match_on: str) -> str:
    if not isinstance(record, Mapping):
        raise IntacctArgumentError(f"a record must be an object of fields, not {type(record).__name__}")
    if odd := [name for name in record if not isinstance(name, str)]:
        raise IntacctArgumentError(f"the field name {shown(odd[0])} is not text")
    flat = flatten(record)
    unflatten(flat)  # for what it refuses
    if match_on not in flat:
        raise IntacctArgumentError(f"there is no {match_on} to match on.{did_you_mean(match_on, flat)}")
    value = flat[match_on]
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise IntacctArgumentError(f"{match_on} is {shown(value)}; it must be text")
    text = match_text(value)
    if not text.strip():
        raise IntacctArgumentError(f"{match_on} is blank; give every record one")
    if text != text.strip():
        raise IntacctArgumentError(f"{match_on} {shown(text)} starts or ends with a space; remove it")
    return text


def _text(source: str, data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IntacctArgumentError(
            f"{source}: line {line}: the byte at offset {error.start} is not UTF-8; save the file as UTF-8 "
            "(in a spreadsheet: 'CSV UTF-8')"
        ) from None


def _json_records(source: str, text: str) -> list[tuple[str, Any]]:
    records = _load(source, text, first_line=1)
    if not isinstance(records, list):
        raise IntacctArgumentError(
            f"{source}: line 1: the file must hold an array of objects; use .jsonl for one object a line"
        )
    return [(f"record {number}", record) for number, record in enumerate(records, start=1)]


def _json_lines(source: str, text: str) -> list[tuple[str, Any]]:
    return [
        (f"line {number}", _load(source, line, first_line=number))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


class _JsonRuleError(ValueError):
    """Valid JSON by the letter, but not with one clear meaning."""


def _load(source: str, text: str, *, first_line: int) -> Any:
    """Parse JSON with exact numbers; errors name the place and never show the content."""
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_repeats
        )
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


def _no_constant(name: str) -> None:
    raise _JsonRuleError(f"{name} is not a JSON value; use null")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _JsonRuleError(f"an object has the name {shown(twice)} twice; keep one")
    return record
