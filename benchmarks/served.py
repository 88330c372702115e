"""The data of the benchmark's server: accounts encoded in advance, and the ids of written records."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import msgspec

ACCOUNT = "general-ledger/account"
FIELDS = (
    "key", "id", "name", "accountType", "normalBalance", "status", "closingType", "isTaxable", "category",
    "audit.createdDateTime", "audit.modifiedDateTime",
)  # fmt: skip
MAX_SIZE = 4000
MEMBERS = {"object", "fields", "filters", "filterExpression", "filterParameters", "orderBy", "start", "size"}
_WORD = re.compile(r"\d+|\(|\)|\w+")
Spans = list[tuple[int, int]]
_CHOICES = (("balanceSheet", "debit"), ("incomeStatement", "credit"), ("incomeStatement", "debit"))
_NAMES = (
    "Cash at bank",
    "Travel, meals",
    'Rent "Süd"',
    "Löhne und Gehälter",
    "Sales",
    "Freight in",
    "消費税",
)


class Refused(ValueError):  # noqa: N818 - the caller converts it to an error
    """A query that cannot be answered; the text says why."""


def key_of(number: int) -> int:
    """Return the key of the record with a number from 1; one key in ten is unused, as after deletions."""
    return number + (number - 1) // 9


def account(number: int) -> dict[str, Any]:
    """Return an account as a row of a query."""
    kind, balance = _CHOICES[number % 3]
    return {
        "key": str(key_of(number)),
        "id": f"{100_000_000 + number}",
        "name": f"{_NAMES[number % 7]} {number}",
        "accountType": kind,
        "normalBalance": balance,
        "status": "inactive" if number % 50 == 0 else "active",
        "closingType": "nonClosingAccount",
        "isTaxable": number % 4 == 0,
        "category": None if number % 5 else "Operating Expenses",
        "audit.createdDateTime": f"2024-{1 + number % 12:02}-{1 + number % 28:02}T08:{number % 60:02}:00Z",
        "audit.modifiedDateTime": f"2026-{1 + number % 6:02}-{1 + number % 28:02}T17:{number % 60:02}:30Z",
    }


class _Encoded:
    """Encoded rows of some fields, each followed by a comma, and the offset of each."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = fields
        self.content = bytearray()
        self.begins = array("q", [0])

    def grow(self, count: int) -> None:
        encode, content, begins = msgspec.json.Encoder().encode, self.content, self.begins
        for number in range(len(begins), count + 1):
            row = account(number)
            content += encode({name: row[name] for name in self.fields})
            content += b","
            begins.append(len(content))


class Served:
    """The company's records.

    :param count: number of accounts.
    """

    def __init__(self, count: int) -> None:
        self._encoded: dict[tuple[str, ...], _Encoded] = {}
        self._ids: dict[str, dict[str, int]] = {}
        self.resize(count)

    def resize(self, count: int) -> None:
        """Reset to this many accounts, none of them deleted, and no other records."""
        self._numbers: Sequence[int] = range(1, count + 1)
        self._keys: Sequence[int] = array("q", map(key_of, self._numbers))
        self._deleted = False
        self._ids.clear()
        self._of(FIELDS)
        self._of(("key",))

    def delete(self, keys: Sequence[int]) -> None:
        """Delete accounts."""
        gone = set(keys)
        self._numbers = [number for number in self._numbers if key_of(number) not in gone]
        self._keys = array("q", map(key_of, self._numbers))
        self._deleted = True

    def query(self, body: bytes) -> tuple[list[bytes], int]:
        """Return the parts of the answer to a query, and the number of its rows.

        :raises Refused: for queries that the query service would refuse or this server does not support.
        """
        asked = {name: value for name, value in json.loads(body).items() if value is not None}
        if set(asked) - MEMBERS or asked.get("object") != ACCOUNT:
            raise Refused("only accounts can be queried here")
        fields, start, size = tuple(asked["fields"]), asked.get("start", 1), asked.get("size", 100)
        if not 1 <= size <= MAX_SIZE:
            raise Refused(f"size must be between 1 and {MAX_SIZE}")
        if start < 1:
            raise Refused("start must be at least 1: records are counted from 1")
        spans = self._spans(asked.get("filters", []), asked.get("filterExpression", "and"))
        spans = [(low, high) for low, high in spans if low < high]
        matching: Sequence[int] = (
            range(*spans[0]) if len(spans) == 1 else [n for span in spans for n in range(*span)]
        )
        if any(":" in name for name in fields):
            row = {name: self._aggregate(name, matching) for name in fields}
            return [_whole(json.dumps([row]).encode()[1:-1], 1, 1, size)], 1
        backwards = _is_descending(asked.get("orderBy", []))
        chosen = (matching[::-1] if backwards else matching)[start - 1 : start - 1 + size]
        return [_whole(self._rows(fields, chosen), len(matching), start, size)], len(chosen)

    def write(self, method: str, name: str, body: bytes) -> tuple[bytes, int]:
        """Create or update records; return the answer and how many were written."""
        payload = json.loads(body)
        object_name, _, key = name.partition("/")
        object_name = f"{object_name}/{key.partition('/')[0]}"
        ids = self._ids.setdefault(object_name, {})
        records = payload if isinstance(payload, list) else [payload]
        if len(records) > 500:
            raise Refused(f"A request can have at most 500 records, not {len(records)}")
        if method == "POST":
            keys = [ids.setdefault(record["id"], len(ids) + 1) for record in records]
        else:
            keys = [int(record.get("key") or name.rpartition("/")[2]) for record in records]
        names = list(ids)
        references = [
            {"key": str(key), "id": names[key - 1], "href": f"/objects/{object_name}/{key}"} for key in keys
        ]
        result = references if isinstance(payload, list) else references[0]
        meta = {"totalCount": len(records), "totalSuccess": len(records), "totalError": 0}
        return json.dumps({"ia::result": result, "ia::meta": meta}).encode(), len(records)

    def _of(self, fields: tuple[str, ...]) -> _Encoded:
        unknown = set(fields) - set(FIELDS)
        if unknown or not fields:
            raise Refused(f"{', '.join(sorted(unknown))} is not a field of {ACCOUNT} here")
        made = self._encoded.setdefault(fields, _Encoded(fields))
        made.grow(self._numbers[-1])
        return made

    def _rows(self, fields: tuple[str, ...], chosen: Sequence[int]) -> bytes | memoryview:
        """Return the encoded rows at some positions, without a trailing comma."""
        made = self._of(fields)
        if not chosen:
            return b""
        numbers = [self._numbers[place] for place in chosen] if self._deleted else None
        if numbers is None and isinstance(chosen, range) and chosen.step == 1:
            return memoryview(made.content)[made.begins[chosen[0]] : made.begins[chosen[-1] + 1] - 1]
        numbers = numbers or [self._numbers[place] for place in chosen]
        return b",".join(bytes(made.content[made.begins[n - 1] : made.begins[n] - 1]) for n in numbers)

    def _spans(self, filters: Sequence[Any], expression: str) -> Spans:
        """Return the ranges of positions that match conditions on the key, ascending and disjoint."""
        given = [self._span(condition) for condition in filters]
        if not given:
            return [(0, len(self._keys))]
        if expression.lower() in ("and", "or"):
            expression = f" {expression} ".join(str(number) for number in range(1, len(given) + 1))
        words = _WORD.findall(expression.lower())
        spans = _parse_or(words, given)
        if words:
            raise Refused(f"filterExpression has {words[0]} where it should end")
        return spans

    def _span(self, condition: dict[str, dict[str, Any]]) -> Spans:
        ((operator, operand),) = condition.items()
        ((name, value),) = operand.items()
        if name != "key":
            raise Refused("conditions can only be about the key here")
        keys, count = self._keys, len(self._keys)
        if operator in ("$gt", "$gte"):
            return [(_place(keys, value, after=operator == "$gt"), count)]
        if operator in ("$lt", "$lte"):
            return [(0, _place(keys, value, after=operator == "$lte"))]
        if operator in ("$in", "$eq"):
            wanted = sorted({int(one) for one in (value if operator == "$in" else [value])})
            places = [(_place(keys, one, after=False), _place(keys, one, after=True)) for one in wanted]
            return [span for span in places if span[0] < span[1]]
        raise Refused(f"{operator} is unknown here")

    def _aggregate(self, name: str, matching: Sequence[int]) -> Any:
        function, _, field = name.partition(":")
        if function == "count":
            return len(matching)
        if field == "key" and function in ("min", "max"):
            return str(self._keys[matching[0 if function == "min" else -1]]) if matching else None
        if field == "key" and function == "sum":
            return str(sum(self._keys[place] for place in matching))
        raise Refused(f"{name} is unknown here")


def _parse_or(words: list[str], given: Sequence[Spans]) -> Spans:
    """Parse an expression with ``or`` from the front of the words."""
    spans = _parse_and(words, given)
    while words and words[0] == "or":
        words.pop(0)
        spans = _merge(spans + _parse_and(words, given))
    return spans


def _parse_and(words: list[str], given: Sequence[Spans]) -> Spans:
    """Parse an expression with ``and``, which binds tighter."""
    spans = _operand(words, given)
    while words and words[0] == "and":
        words.pop(0)
        other = _operand(words, given)
        spans = [(max(a, c), min(b, d)) for a, b in spans for c, d in other if max(a, c) < min(b, d)]
    return spans


def _operand(words: list[str], given: Sequence[Spans]) -> Spans:
    word = words.pop(0) if words else ""
    if word == "(":
        spans = _parse_or(words, given)
        if not words or words.pop(0) != ")":
            raise Refused("filterExpression lacks a bracket")
        return spans
    if not word.isdigit() or not 1 <= int(word) <= len(given):
        raise Refused(f"filterExpression has {word!r} in place of a condition's number")
    return given[int(word) - 1]


def _merge(spans: Spans) -> Spans:
    """Sort spans, and merge those that touch."""
    made: Spans = []
    for low, high in sorted(span for span in spans if span[0] < span[1]):
        if made and low <= made[-1][1]:
            made[-1] = (made[-1][0], max(high, made[-1][1]))
        else:
            made.append((low, high))
    return made


def _place(keys: Sequence[int], value: Any, *, after: bool) -> int:
    return bisect_right(keys, int(value)) if after else bisect_left(keys, int(value))


def _is_descending(order: Sequence[dict[str, str]]) -> bool:
    """Whether rows are requested in descending order of key; the default is ascending."""
    for item in order:
        ((name, direction),) = item.items()
        if name not in ("key", "id") or direction not in ("asc", "desc"):
            raise Refused("rows can only be sorted by key or id here")
        return direction == "desc"
    return False


def _whole(rows: bytes | memoryview, total: int, start: int, size: int) -> bytes:
    following = start + size
    meta = {
        "totalCount": total,
        "start": start,
        "pageSize": size,
        "next": following if following <= total else None,
        "previous": max(1, start - size) if start > 1 else None,
    }
    return b'{"ia::result":[%b],"ia::meta":%b}' % (rows, json.dumps(meta).encode())
