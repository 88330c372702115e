"""Desired records as they were given, where each is, and the rejected ones as lines to correct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from intacct_provider.client.http.codec import encode_value
from intacct_provider.sync.problems import REJECT, Problem, is_finite
from intacct_provider.sync.records import flatten, match_text


@dataclass(frozen=True)
class Desired:
    """Desired records as they were given.

    :param records: nested, under the paths of Intacct's fields; in the order of the source.
    :param places: where each record is: ``line 7``, ``record 3`` or ``row 2``.
    :param source: name of the file or argument, for errors.
    :param from_text: whether the values are text or come from a table, so that the text ``true`` and the number 1 are
        booleans too.
    :param columns: names of fields in the source, by field path, where the two differ.
    :param problems: what is wrong with the records, whatever the object;
        :func:`~intacct_provider.sync.desired.typed_records.convert_records` reports it.
    :param allow_damaged_text: whether text such as ``#N/A``, ``nan`` and ``4.7E+17`` is taken as it is.
    :param left_out: number of rows that do not count, by ``where`` or by a mark of their own.
    :param spared: values of ``match_on`` in rows that are marked as not to be imported; a mirror leaves them alone.
    :param partial: whether these records were rejected before, so that they are not all that is desired; a mirror
        deletes nothing then.
    :param warnings: sentences about how the source was read, for the person who approves.
    """

    records: tuple[dict[str, Any], ...]
    places: tuple[str, ...]
    source: str
    from_text: bool
    columns: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    allow_damaged_text: bool = False
    left_out: int = 0
    spared: frozenset[str] = frozenset()
    partial: bool = False
    warnings: tuple[str, ...] = ()

    def column(self, path: str) -> str:
        """Return the name of a field in the source: its column, or its path and the column that it is part of."""
        parts = path.split(".")
        for count in range(len(parts), 0, -1):
            start = ".".join(parts[:count])
            # A column of whole lists has no number.
            bare = ".".join(part for part in parts[:count] if not part.isdigit())
            name = self.columns.get(start, self.columns.get(bare))
            if name is None:
                continue
            if count == len(parts) and "[]" not in name:
                return name
            return path if name == start else f"{name} ({path})"
        return path

    def select(self, kept: Iterable[bool]) -> Desired:
        """Return the records for which ``kept`` is true."""
        pairs = [
            pair for pair, keep in zip(zip(self.records, self.places, strict=True), kept, strict=True) if keep
        ]
        records, places = tuple(record for record, _ in pairs), tuple(place for _, place in pairs)
        return replace(self, records=records, places=places)

    def places_by_match(self, match_on: str) -> dict[str, str]:
        """Return where each record is, by its ``match_on`` value."""
        return {
            match_text(flatten(record).get(match_on)): place
            for place, record in zip(self.places, self.records, strict=True)
        }


def encode_rejected(desired: Desired, problems: Iterable[Problem]) -> Iterator[bytes]:
    """Yield the records that have problems as lines of JSON, in their order.

    Each has its fields by path, and a member ``_reject`` with ``place``, ``match`` and ``problems`` (a list of
    ``column``, ``value`` and ``problem``). Once corrected, such lines are the desired records of a ``.jsonl`` file:
    reading them ignores ``_reject``, and does not apply ``columns`` and ``constants`` again.
    """
    by_place: dict[str, list[Problem]] = {}
    for problem in problems:
        by_place.setdefault(problem.place, []).append(problem)
    for place, record in zip(desired.places, desired.records, strict=True):
        if found := by_place.get(place):
            listed = [{"column": one.column, "value": one.value, "problem": one.text} for one in found]
            reject = {"place": place, "match": found[0].match, "problems": listed}
            yield _encoder.encode(_to_json(record | {REJECT: reject})) + b"\n"


def _to_json(value: Any) -> Any:
    """Return what JSON can carry; other values, which are problems of their own, as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(name): _to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float | Decimal) and not is_finite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return Decimal(value)
    found = encode_value(value)
    return found if found is None or isinstance(found, bool | int | float | Decimal | str) else str(found)


_encoder = msgspec.json.Encoder(decimal_format="number")
