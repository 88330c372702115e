"""Fingerprints of live records, by which a plan recognizes later that they have changed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from intacct_provider.client.http.codec import encode_value
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.records import flatten, is_blank, value_at

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number")


def to_json_types(value: Any) -> Any:
    """Return a copy in the types that JSON gives back, so that a saved plan equals the one that was made."""
    if type(value) is str:  # most values by far
        return value
    if isinstance(value, Mapping):
        return {name: to_json_types(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_types(item) for item in value]
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise IntacctArgumentError(f"{value} cannot be written as JSON; use null")
        number = Decimal(str(value))
        return int(number) if number.as_tuple().exponent == 0 else number
    return encode_value(value)


def fingerprint_record(row: Mapping[str, Any], fields: Iterable[str]) -> str:
    """Return the SHA-256 of what was read of a record, nested or dotted, as hexadecimal digits.

    :param fields: dotted paths that count; a blank value equals a missing one.
    """
    flat = flatten(row)
    values = {path: value_at(flat, path) for path in fields}
    seen = {path: value for path, value in values.items() if not is_blank(value)}
    return hashlib.sha256(_canonical.encode(to_json_types(seen))).hexdigest()
