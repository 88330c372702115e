"""JSON as Intacct reads and writes it: exact numbers both ways, dates in its formats."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import msgspec

from intacct_provider.exceptions import IntacctArgumentError

# Amounts that arrive as JSON numbers, such as creditLimit, must not pass through a binary float.
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class UnreadableValueError(ValueError):
    """JSON is complete, but has a value that cannot be read; the message says which kind."""


def decode(body: bytes) -> Any:
    """Decode JSON; numbers with a fraction become :class:`decimal.Decimal`.

    Whole numbers stay whole, however long; text stays the text it is.

    :raises UnreadableValueError: for a number with too many digits, and for text that is not Unicode.
    :raises ValueError: if it is not JSON in UTF-8, or nested deeper than any response is. It does not hold the body.
    """
    try:
        return _decoder.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (ArithmeticError, msgspec.ValidationError):
        raise UnreadableValueError("a number with too many digits") from None
    except msgspec.DecodeError as err:
        if _has_lone_surrogate(body):
            raise UnreadableValueError("text with a lone surrogate, which is not Unicode") from None
        raise ValueError(str(err)) from None  # releases of msgspec up to 0.20 raise another error


def encode(value: Any) -> bytes:
    """Encode as JSON; decimals as exact numbers, dates and times as Intacct writes them.

    :raises IntacctArgumentError: for NaN and infinity, which sent as null would clear a field, and for values that
        JSON cannot carry.
    """
    try:
        return _encoder.encode(_prepare(value, ""))
    except RecursionError:
        raise IntacctArgumentError("The content is nested too deeply, or contains itself.") from None
    except UnicodeEncodeError:
        raise IntacctArgumentError(
            "The content has text with a lone surrogate, which UTF-8 cannot encode."
        ) from None


def encode_value(value: Any) -> Any:
    """Return a date or time as Intacct writes it (UTC, whole seconds); anything else unchanged."""
    if isinstance(value, dt.datetime):
        timestamp = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return timestamp.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dt.date):
        return value.isoformat()
    return value


def to_plain(value: Any) -> Any:
    """Return a copy fit for XCom: decimals as text, so that no digit of an amount is lost."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return encode_value(value)


def _has_lone_surrogate(body: bytes) -> bool:
    """Whether JSON is complete, and has text that only Python's own decoder reads."""
    if b"\\ud" not in body.lower():
        return False
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _prepare(value: Any, path: str) -> Any:
    """Return a copy in which dates and times are text; the encoder would keep their offset and fractions."""
    if type(value) is str:  # most values by far
        return value
    if isinstance(value, dict):
        return {name: _prepare(item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_prepare(item, f"{path}.{n}") for n, item in enumerate(value)]
    if (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, Decimal) and not value.is_finite()
    ):
        raise IntacctArgumentError(
            f"{path[1:] or 'The value'} is {value}; give a number, or None to clear the field."
        )
    if isinstance(value, set | frozenset):
        raise IntacctArgumentError(f"{path[1:] or 'The value'} is a set, which has no order; give a list.")
    if isinstance(value, bytes | bytearray):
        raise IntacctArgumentError(f"{path[1:] or 'The value'} is bytes; give text.")
    return encode_value(value)


def _encode_other(value: Any) -> Any:
    raise IntacctArgumentError(f"A value of type {type(value).__name__} cannot be sent to Intacct.")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_encode_other)
