"""Converts values of Intacct to a column's type: exactly, or not at all."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import REST, Column

#: Digits that a decimal column has room for, before and after the point together.
PRECISION = 38
#: Digits that a number may have when it is written without an exponent.
MOST_DIGITS = 60
_DECIMAL = Context(prec=PRECISION)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
#: What most numbers look like, so that they need no closer look.
_SHORT_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,20})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = r"\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::\d\d(?:\.\d{1,6})?)?)?"
_OFFSET = r"(?:Z|[+-]\d\d(?::?\d\d)?)"
_TIMESTAMP = re.compile(_CLOCK + _OFFSET, re.ASCII)
_MOMENT = re.compile(f"{_CLOCK}{_OFFSET}?", re.ASCII)
#: Rows with a tuple each at the same time: from 700 on Python looks for garbage, which takes 0.1 s among all that
#: Airflow has loaded.
_FEW_ROWS = 512
#: Intacct mixes null and empty text; in columns that are not text, both are null.
_NOTHING = (None, "")
_BOOLEANS = {"true": True, "false": False}
_encode = msgspec.json.Encoder(decimal_format="number").encode

Convert = Callable[[Any], Any]


def read_values(rows: Sequence[Any], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    """Return the values of rows, structs of one form or mappings, in the order of the columns."""
    if isinstance(rows[0], Mapping):
        return [tuple([row.get(column.field) for column in columns]) for row in rows]
    values = list(map(msgspec.structs.astuple, rows))
    fields = tuple(type(rows[0]).__struct_encode_fields__)
    wanted = tuple(column.field for column in columns)
    if fields == wanted:
        return values
    at = [fields.index(field) for field in wanted]
    return [tuple([row[n] for n in at]) for row in values]


def read_columns(rows: Sequence[Any], columns: Sequence[Column]) -> list[list[Any]]:
    """Return the values of each column, for rows as :func:`read_values` takes them."""
    values: list[list[Any]] = [[] for _ in columns]
    for first in range(0, len(rows), _FEW_ROWS):
        some = read_values(rows[first : first + _FEW_ROWS], columns)
        for column, found in zip(values, zip(*some, strict=True), strict=True):
            column.extend(found)
    return values


def to_text(value: Any) -> str | None:
    """Return any value as text: text unchanged, amounts with every digit, objects and lists as JSON.

    Only an amount of more than 60 digits has an exponent.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # One of more digits keeps its exponent: 1E+999999999 would fill the memory.
        return format(value, "f") if _is_writable(value) else str(value)
    return _encode(value).decode()


def to_json(value: Any) -> str | None:
    """Return any value but None as JSON."""
    return None if value is None else _encode(value).decode()


def converter(column: Column) -> Convert:
    """Return what makes Python values of a column's type: ``Decimal``, ``date``, ``datetime`` in UTC and so on.

    It raises :class:`ValueError` for what the type cannot hold exactly. None stays None.
    """
    if column.type == "struct":
        return _struct(column.members)
    if column.type == "list":
        return _list(converter(column.members[0]))
    if column.type == "decimal":
        step = Decimal(1).scaleb(-(column.scale or 0))
        return lambda value: None if value in _NOTHING else _decimal(value, step)
    return _PLAIN[column.type]


def convert_values(column: Column, values: Sequence[Any], keys: Sequence[str]) -> list[Any]:
    """Return a column's values in its type.

    :raises IntacctColumnError: naming the column, the key and the value of the first that does not fit.
    """
    convert = converter(column)
    made = []
    for value, key in zip(values, keys, strict=True):
        try:
            made.append(convert(value))
        except (ValueError, OverflowError):
            raise reject(column, key, value) from None
    return made


def check_values(column: Column, values: Sequence[Any], keys: Sequence[str]) -> None:
    """Check that values are what the column's type is for, before a database reads them in its own way.

    A moment may lack an offset, and an integer or a decimal may have up to 60 digits.

    :raises IntacctColumnError: naming the column, the key and the value of the first that is not.
    """
    check = _CHECKS.get(column.type)
    if check is None or (column.type == "string" and _is_text(values)):
        return
    for value, key in zip(values, keys, strict=True):
        try:
            if value is not None:
                check(value)
        except (ValueError, OverflowError):
            raise reject(column, key, value) from None


def _is_text(values: Sequence[Any]) -> bool:
    """Whether all values are text that UTF-8 can encode, or None."""
    try:
        "".join([value for value in values if value is not None]).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def reject(column: Column, key: str, value: Any) -> IntacctColumnError:
    """Return the error for a value that a column cannot hold."""
    return IntacctColumnError(
        f"Column {column.name!r} is {_describe(column)}, and record {key} has {show_value(value)} in it, which does "
        "not fit exactly. Leave the field out, or write jsonl or csv, which accept whatever Intacct sends."
    )


def read_moment(value: Any) -> dt.datetime:
    """Return a moment in UTC; one without an offset is in UTC.

    :raises ValueError: if it is not one, or has digits beyond microseconds.
    """
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("not a date and time")
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def read_number(value: Any) -> Decimal:
    """Return a number that can be written with at most 60 digits.

    :raises ValueError: if it is not one.
    """
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        raise ValueError("not a number")
    number = Decimal(str(value))
    if not _is_writable(number):
        raise ValueError("too many digits")
    return number


def _is_writable(number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return False
    return max(len(digits) + exponent, 0) + max(-exponent, 0) <= MOST_DIGITS


def find_rest(value: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """Return the members of a record, or of a part of one, that its columns do not cover."""
    known = {column.field: column for column in columns}
    found = {}
    for name, inner in value.items():
        below = _rest_below(inner, known[name]) if name in known else inner
        if name not in known or below:
            found[name] = below
    return found


def _rest_below(value: Any, column: Column) -> Any:
    keeps_its_own = any(member.name == REST for member in column.members)
    if column.type == "struct" and isinstance(value, Mapping) and not keeps_its_own:
        return find_rest(value, column.members)
    return None


def _struct(members: Sequence[Column]) -> Convert:
    parts = [(member.name, member.field, converter(member)) for member in members]
    keeps_rest = any(member.name == REST for member in members)

    def convert(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise ValueError("not an object")
        if keeps_rest:
            value = {**value, REST: find_rest(value, members) or None}
        return {name: part(value.get(field)) for name, field, part in parts}

    return convert


def _list(element: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise ValueError("not a list")
        return [element(item) for item in value]

    return convert


def _boolean(value: Any) -> bool | None:
    if value in _NOTHING:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise ValueError("neither true nor false")


def _integer(value: Any) -> int | None:
    if value in _NOTHING:
        return None
    number = _decimal(value, Decimal(1))
    if not -(2**63) <= number < 2**63:
        raise ValueError("too large")
    return int(number)


def _decimal(value: Any, step: Decimal) -> Decimal:
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        raise ValueError("not a number")
    try:
        number = Decimal(str(value))
        fitted = number.quantize(step, context=_DECIMAL)
    except InvalidOperation:
        raise ValueError("too many digits") from None
    if fitted != number:
        raise ValueError("too many digits after the point")
    return fitted


def _date(value: Any) -> dt.date | None:
    if value in _NOTHING:
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("not a date")
    return dt.date.fromisoformat(value)


def _timestamp(value: Any) -> dt.datetime | None:
    if value in _NOTHING:
        return None
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError("not a date and time with an offset")
    return dt.datetime.fromisoformat(value).astimezone(dt.UTC)


def _text(value: Any) -> str | None:
    text = to_text(value)
    if text is not None:
        text.encode()  # raises for a lone surrogate, which UTF-8 cannot encode
    return text


_PLAIN: dict[str, Convert] = {
    "string": _text,
    "json": to_json,
    "boolean": _boolean,
    "integer": _integer,
    "date": _date,
    "timestamp": _timestamp,
}


def _number(value: Any) -> None:
    if not isinstance(value, str) or not _SHORT_NUMBER.fullmatch(value):
        read_number(value)


def _whole(value: Any) -> None:
    number = read_number(value)
    if number != number.to_integral_value():
        raise ValueError("not a whole number")


_CHECKS: dict[str, Convert] = {
    "string": _text,
    "boolean": _boolean,
    "integer": _whole,
    "decimal": _number,
    "date": _date,
    "timestamp": read_moment,
}


def _describe(column: Column) -> str:
    if column.type == "decimal":
        return f"decimal({PRECISION}, {column.scale})"
    return "a list" if column.type == "list" else column.type


def show_value(value: Any) -> str:
    """Return a value, or its kind if it is long."""
    shown = repr(to_text(value)) if not isinstance(value, Mapping | list) else ""
    return shown if shown and len(shown) <= 80 else f"a {type(value).__name__}"
