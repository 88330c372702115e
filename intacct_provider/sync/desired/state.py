"""Desired records as they were given, where each is, and those that are wrong in a form to correct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from intacct_provider.client.http.codec import wire_value
from intacct_provider.sync.problems import REJECT, Problem, finite


@dataclass(frozen=True)
class Desired:
    """Desired records as they were given.

    :param records: nested, under the paths of Intacct's fields; in the order of the source.
    :param places: where each record is: ``line 7``, ``record 3`` or ``row 2``.
    :param source: name of the file or argument, for errors.
    :param from_text: whether the values are text or a table's, so that in a field for booleans the text ``true`` and
        the number 1 are one.
    :param columns: what the user calls a field, by the field's path, where the two differ.
    :param problems: what is wrong with the records whatever the object;
        :func:`~intacct_provider.sync.desired.coerce.typed` tells of it.
    """

    records: tuple[dict[str, Any], ...]
    places: tuple[str, ...]
    source: str
    from_text: bool
    columns: Mapping[str, str]
    problems: tuple[Problem, ...] = ()


def column_of(path: str, columns: Mapping[str, str]) -> str:
    """Return what the user calls a field: its column, or its path and the column that it is part of."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        name = columns.get(".".join(parts[:count]))
        if name is None:  # a column of whole lists has no number
            name = columns.get(".".join(part for part in parts[:count] if not part.isdigit()))
        if name is not None:
            known = ".".join(parts[:count])
            return (
                name
                if count == len(parts) and "[]" not in name
                else path
                if name == known
                else f"{name} ({path})"
            )
    return path


def rejected_lines(desired: Desired, problems: Iterable[Problem]) -> Iterator[bytes]:
    """Yield the records that have problems as lines of JSON, in their order.

    Each has its fields by their paths, and a member ``_reject`` with ``place``, ``match`` and ``problems`` (of
    ``column``, ``value`` and ``problem``). Corrected, such lines are desired records of a ``.jsonl`` file:
    reading leaves ``_reject`` out, and takes names and constants for applied already.
    """
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.place, []).append(problem)
    for place, record in zip(desired.places, desired.records, strict=True):
        if place not in found:
            continue
        told = [{"column": one.column, "value": one.value, "problem": one.text} for one in found[place]]
        reject = {"place": place, "match": found[place][0].match, "problems": told}
        yield _encoder.encode(_plain({**record, REJECT: reject})) + b"\n"


def _plain(value: Any) -> Any:
    """Return what JSON can carry; a value that it can not, which is a problem of its own, as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | Decimal) and not finite(value):
        return str(value)
    found = wire_value(value)
    return found if found is None or isinstance(found, bool | int | float | Decimal | str) else str(found)


_encoder = msgspec.json.Encoder(decimal_format="number")
