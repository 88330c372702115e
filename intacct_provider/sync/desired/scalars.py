"""Single values in Intacct's types: converted exactly, or rejected."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from intacct_provider.client.http.codec import encode_value
from intacct_provider.sync.desired.yaml_reader import Unquoted
from intacct_provider.sync.lookalikes import find_control
from intacct_provider.sync.problems import is_finite

#: How tables write booleans besides, those of Intacct's import templates among them.
_TABLE_BOOLEANS = {"1": True, "0": False, "t": True, "f": False}
#: Dates from 1954 to 2118, as Excel counts days.
_SERIAL = re.compile(r"[2-7][0-9]{4}(\.0)?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SCIENTIFIC = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class ConversionError(ValueError):
    """A value cannot be converted; the text says what it should look like."""


def convert_untyped(value: Any) -> Any:
    """Return a value of unknown type as JSON can carry it.

    :raises ConversionError: if JSON cannot carry it, or it is ambiguous.
    """
    if isinstance(value, str):
        return value.meaning if isinstance(value, Unquoted) else _check_text(value)
    if isinstance(value, Mapping):
        return {str(name): convert_untyped(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [convert_untyped(item) for item in value]
    if isinstance(value, float | Decimal):
        if not is_finite(value):
            raise ConversionError("which is not a number; use null to clear the field")
        return Decimal(str(value))
    if isinstance(value, dt.datetime):
        return _format_time(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, bool | dt.date):
        return encode_value(value)
    raise ConversionError(f"which is of type {type(value).__name__}; give text, a number, a date or a list")


def _to_boolean(value: Any, from_text: bool) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (from_text or isinstance(value, Unquoted)):
        text = value.strip().lower()
        if text in {"true", "false"}:
            return text == "true"
        if text in _TABLE_BOOLEANS and not isinstance(value, Unquoted):
            return _TABLE_BOOLEANS[text]
    elif from_text and isinstance(value, int | Decimal) and str(value) in ("0", "1"):
        return str(value) == "1"  # many databases have no other booleans
    raise ConversionError("but must be true or false")


def _to_integer(value: Any, _from_text: bool) -> int:
    value = _read_exponent(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    # Data frames make whole numbers 10.0; the bound keeps 1e999999 from becoming a million digits.
    if isinstance(value, float | Decimal) and is_finite(value):
        number = Decimal(str(value))
        if abs(number) < 10**18 and number % 1 == 0:
            return int(number)
    raise ConversionError("but must be a whole number, such as 1000")


def _to_number(value: Any, _from_text: bool) -> int | Decimal:
    value = _read_exponent(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float | Decimal) and is_finite(value) and abs(Decimal(str(value))) < 10**30:
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        return Decimal(text) if "." in text else int(text) if len(text) < 19 else Decimal(text)
    raise ConversionError("but must be a number, such as 1000.50, without thousands separators")


def _read_exponent(value: Any) -> Any:
    """Return an unquoted YAML number with an exponent as a number; text must not have one."""
    return Decimal(value) if isinstance(value, Unquoted) and _SCIENTIFIC.fullmatch(value) else value


def _to_amount(value: Any, from_text: bool) -> str:
    if isinstance(value, str) and value == "":
        return value
    number = _to_number(value, from_text)
    return (
        str(value).strip()
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip())
        else format(Decimal(number), "f")
    )


def _to_text(value: Any, _from_text: bool) -> str:
    if isinstance(value, str):
        return _check_text(str(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent == 0:
        return str(value)  # databases return whole numbers as decimals
    if isinstance(value, dt.datetime):
        return _format_time(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    raise ConversionError("but must be text")


def _to_date(value: Any, _from_text: bool) -> str:
    if isinstance(value, dt.datetime):
        if value.time() == dt.time():  # databases and data frames return dates so
            return value.date().isoformat()
    elif isinstance(value, dt.date):
        return value.isoformat()
    elif isinstance(value, str) and (
        value == "" or (_DATE.fullmatch(value.strip()) and _is_valid_time(value.strip()))
    ):
        return str(value).strip()
    raise ConversionError(f"but must be a date written YYYY-MM-DD{_describe_serial(value)}")


def _describe_serial(value: Any) -> str:
    """Return which date a number of days is, as Excel counts them, as the end of a sentence; ``""`` for others."""
    if isinstance(value, bool) or not _SERIAL.fullmatch(str(value).strip()):
        return ""
    day = dt.date(1899, 12, 30) + dt.timedelta(days=int(float(value)))
    return f". It is a number of days, which Excel shows as {day}; format the cell as a date"


def _to_date_time(value: Any, _from_text: bool) -> str:
    if isinstance(value, dt.datetime):
        return _format_time(value)
    if isinstance(value, str):
        text = str(value).strip()
        if text == "":
            return text
        if _DATE_TIME.fullmatch(text) and _is_valid_time(text):
            return _format_time(dt.datetime.fromisoformat(text))
    raise ConversionError("but must be a time written YYYY-MM-DDThh:mm:ssZ")


def _format_time(value: dt.datetime) -> str:
    if value.tzinfo is None:
        raise ConversionError("which has no time zone; add one, such as UTC")
    return str(encode_value(value))


def _is_valid_time(moment: str) -> bool:
    try:
        dt.datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


def _check_text(text: str) -> str:
    if control := find_control(text, allowed="\t\n\r"):
        raise ConversionError(f"which has the control character {control}; remove it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConversionError("which has a lone surrogate, so it cannot be written as UTF-8") from None
    return text


#: How to convert a value to each type of a model. The second argument says whether the source has only text.
CONVERTERS: dict[str, Callable[[Any, bool], Any]] = {
    "boolean": _to_boolean,
    "integer": _to_integer,
    "number": _to_number,
    "decimal": _to_amount,
    "string": _to_text,
    "date": _to_date,
    "date-time": _to_date_time,
}
