"""Check an output of any format: every row, by key and by value."""

from __future__ import annotations

import gzip
import json
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from served import FIELDS, account, key_of

#: The column names of dlt's pipelines.
_SNAKE = {
    "accountType": "account_type",
    "normalBalance": "normal_balance",
    "closingType": "closing_type",
    "isTaxable": "is_taxable",
    "audit.createdDateTime": "audit_created_date_time",
    "audit.modifiedDateTime": "audit_modified_date_time",
}
_NAMES = tuple((name, _SNAKE.get(name, name)) for name in FIELDS)


def judge(folder: Path, count: int, deleted: Container[int] = ()) -> dict[str, int]:
    """Compare an output with the accounts of the server.

    :param count: number of accounts before any were deleted.
    :param deleted: keys deleted during the export; they may be in the output or not.
    :return: ``rows``, and how many are ``missing``, ``doubled``, ``foreign`` or ``altered``: all 0 if it is right.
    """
    wanted = _wanted(count)
    seen = bytearray(len(wanted))
    rows = foreign = altered = 0
    for row in _rows(folder):
        rows += 1
        key = int(row[0])
        number = key - (key - 1) // 10
        if not 1 <= number <= count or key_of(number) != key:
            foreign += 1
            continue
        seen[number - 1] = min(2, seen[number - 1] + 1)
        altered += hash(row) != wanted[number - 1]
    missing = sum(1 for number, times in enumerate(seen, 1) if not times and key_of(number) not in deleted)
    return {
        "rows": rows,
        "missing": missing,
        "doubled": seen.count(2),
        "foreign": foreign,
        "altered": altered,
    }


def is_right(verdict: dict[str, int]) -> bool:
    """Whether the output is right."""
    return not any(number for name, number in verdict.items() if name != "rows")


@lru_cache(maxsize=2)
def _wanted(count: int) -> list[int]:
    return [hash(tuple(account(number)[name] for name in FIELDS)) for number in range(1, count + 1)]


def _rows(folder: Path) -> Iterator[tuple[Any, ...]]:
    for file in sorted(folder.rglob("*")):
        # Files that describe the export.
        if not file.is_file() or file.name.startswith(("_", ".")) or file.parent.name.startswith("_dlt"):
            continue
        if file.suffix == ".pages":
            yield from _read_pages(file)
        elif file.suffix == ".parquet":
            yield from _read_parquet(file)
        elif ".jsonl" in file.name and not file.name.endswith(".json"):
            yield from _read_lines(file)


def _read_lines(file: Path) -> Iterator[tuple[Any, ...]]:
    decode = msgspec.json.Decoder().decode
    with gzip.open(file) if file.suffix == ".gz" or _zipped(file) else file.open("rb") as lines:
        for line in lines:
            yield _values(decode(line))


def _zipped(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(2) == b"\x1f\x8b"


def _read_pages(file: Path) -> Iterator[tuple[Any, ...]]:
    with file.open("rb") as pages:
        for page in pages:
            for row in json.loads(page)["ia::result"]:
                yield _values(row)


def _read_parquet(file: Path) -> Iterator[tuple[Any, ...]]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches(20_000):
        names = set(batch.schema.names)
        columns = [batch.column(name if name in names else other).to_pylist() for name, other in _NAMES]
        for row in zip(*columns, strict=True):
            yield tuple(_plain(value) for value in row)


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    if "accountType" in row:
        return tuple(row.get(name) for name in FIELDS)
    return tuple(_plain(row.get(other)) for _, other in _NAMES)


def _plain(value: Any) -> Any:
    """Return a time in Intacct's format."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str) and value.endswith("+00:00"):
        return value.removesuffix("+00:00").partition(".")[0] + "Z"
    return value
