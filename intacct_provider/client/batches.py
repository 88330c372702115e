"""Batches: how many records or keys one call can carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from intacct_provider.client.http import codec
from intacct_provider.client.paths import collection_path

#: Records that Intacct takes in one call at most.
BATCH_SIZE = 500
#: Bytes of a request body at most; Intacct reportedly rejects more than 1 MB.
BATCH_BYTES = 900_000
#: Characters of an address at most; common servers reject more than about 8,000.
ADDRESS_LENGTH = 7_000


def split_records(records: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Split records into lists that one call can carry, in order."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for record in records:
        length = len(codec.encode(record)) + 1
        if batch and (len(batch) == BATCH_SIZE or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def split_keys(object_name: str, keys: Sequence[str]) -> Iterator[list[str]]:
    """Split keys into lists that the address of one call can carry, in order."""
    room = ADDRESS_LENGTH - len(collection_path(object_name))
    batch: list[str] = []
    size = 0
    for key in map(str, keys):
        length = len(quote(key, safe="")) + 1
        if batch and (len(batch) == BATCH_SIZE or size + length > room):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += length
    if batch:
        yield batch
