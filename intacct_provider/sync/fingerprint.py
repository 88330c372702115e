"""What a plan saw of the live records, in a form that can be compared later."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from intacct_provider.client.errors import IntacctArgumentError
from intacct_provider.client.wire import wire_value
from intacct_provider.sync.desired import match_text
from intacct_provider.sync.diff import flatten, is_blank, value_at

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number")


def plain(value: Any) -> Any:
    """Return a copy in the types that JSON gives back, so that a saved plan equals the one made."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise IntacctArgumentError(f"{value} is not a number that JSON can carry; use null")
        number = Decimal(str(value))
        return int(number) if number.as_tuple().exponent == 0 else number
    return wire_value(value)


def fingerprint_of(
    rows: Iterable[Mapping[str, Any]], matches: Iterable[str], fields: Iterable[str], match_on: str
) -> str:
    """Return the SHA-256 of what was read of some records, whatever their order, nested or dotted.

    :param rows: live records; those whose ``match_on`` value is not in ``matches`` are ignored.
    :param fields: dotted paths that count; a blank value is the same as an absent one.
    """
    touched, paths = frozenset(matches), tuple(fields)
    digests = []
    for row in rows:
        flat = flatten(row)
        if match_text(flat.get(match_on)) in touched:
            values = {path: value_at(flat, path) for path in paths}
            seen = {path: value for path, value in values.items() if not is_blank(value)}
            digests.append(hashlib.sha256(_canonical.encode(plain(seen))).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
