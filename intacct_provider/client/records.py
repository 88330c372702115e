"""Records on the wire: paths, batches, idempotency keys, and each record's own outcome."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intacct_provider.client import wire
from intacct_provider.client.errors import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctConflictError,
    IntacctError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctValidationError,
    build_error,
)
from intacct_provider.client.query import check_object_name

if TYPE_CHECKING:
    from intacct_provider.client.transport import Reply

#: Records that Intacct takes in one call at most.
BATCH_SIZE = 500
#: Bytes of a request body at most; Intacct is said to refuse more than 1 MB.
BATCH_BYTES = 900_000
#: Cached failures that are passed over before the last one is believed.
MAX_GENERATIONS = 10
_REFUSALS = (IntacctValidationError, IntacctConflictError, IntacctNotFoundError, IntacctPermissionError)


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record of a write of many.

    :param index: its position in the list given, from 0.
    :param key: the record's key; None when it was refused, or when Intacct does not tell (customer groups).
    :param id: the record's id, as far as it is known.
    :param error: why it was refused, or None.
    """

    index: int
    key: str | None = None
    id: str | None = None
    error: IntacctAPIError | None = None

    @property
    def ok(self) -> bool:
        """Whether the record was written."""
        return self.error is None


@dataclass(slots=True)
class IdempotencyKeys:
    """Makes idempotency keys that a repeated run of the same work makes again.

    The key of a write is made of its scope, its content, and how often that content was written in this
    scope before. With the same scope (an Airflow retry), the server recognizes a write that it has done
    and answers from its cache, for 48 hours, instead of doing it twice.

    :param scopes: what the writes of a method belong to. By default nothing but this object.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    _own: str = field(default_factory=lambda: uuid.uuid4().hex)
    _written: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, method: str, path: str, content: bytes) -> str:
        """Return the key for one more write of this content."""
        digest = hashlib.sha256(b"\0".join((method.encode(), path.encode(), content))).hexdigest()
        with self._lock:
            self._written[digest] += 1
            times = self._written[digest]
        scope = self.scopes.get(method, self._own)
        text = f"{scope}\0{digest}\0{times}"
        return f"airflow-{hashlib.sha256(text.encode()).hexdigest()}"


def collection(object_name: str) -> str:
    """Return the path of an object's records.

    :raises IntacctArgumentError: for what cannot be an object's path.
    """
    check_object_name(object_name)
    return f"/objects/{quote(object_name, safe='/:')}"


def record_path(object_name: str, keys: Sequence[str]) -> str:
    """Return the path of one record, or of several at once.

    :raises IntacctArgumentError: for a key that is not one.
    """
    for key in keys:
        if not str(key).strip() or "," in str(key):
            raise IntacctArgumentError(
                f"key must be a record's key, such as '24', not {key!r}; to find a record by its id use record_id."
            )
    return f"{collection(object_name)}/{','.join(quote(str(key), safe='') for key in keys)}"


def batches(records: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Split records into lists that one call can carry, in order."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for record in records:
        length = len(wire.encode(record)) + 1
        if batch and (len(batch) == BATCH_SIZE or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def read_results(reply: Reply, count: int, first: int) -> list[RecordResult]:
    """Return each record's outcome from a batch's answer, whichever way it says so.

    Intacct answers a batch with a list in the order sent, under 2xx or 4xx; a deletion that succeeded as a whole
    without a body; a batch refused as a whole with one error, which then is every record's.

    :param count: records that were sent.
    :param first: position of the first of them in the whole write.
    :raises IntacctResponseError: if the answer does not account for every record.
    """
    if reply.status == 204:
        return [RecordResult(first + n) for n in range(count)]
    items = reply.result
    if isinstance(items, Mapping) and count == 1 and not reply.error():
        items = [items]
    if isinstance(items, list) and len(items) == count:
        return [_result(first + n, item, reply) for n, item in enumerate(items)]
    error = reply.error()
    if error:
        if not isinstance(error, _REFUSALS):
            raise error
        return [RecordResult(first + n, error=error) for n in range(count)]
    raise IntacctResponseError(
        f"Intacct answered HTTP {reply.status} to {count} records without accounting for each of them; which of them "
        "were written is unknown."
    )


def _result(index: int, item: Any, reply: Reply) -> RecordResult:
    fields = item if isinstance(item, Mapping) else {}
    inner = fields.get("ia::result")
    reference = inner if isinstance(inner, Mapping) else fields
    found = fields.get("ia::error") or reference.get("ia::error")
    status = fields.get("ia::status")
    status = status if isinstance(status, int) else reply.status
    if found or status >= 400:
        error = build_error(status, found or {"message": f"refused with status {status}"})
        error.replayed = reply.replayed
        return RecordResult(index, error=error)
    return RecordResult(index, key=_text(reference.get("key")), id=_text(reference.get("id")))


def interrupted(
    verb: str, object_name: str, total: int, done: list[RecordResult], cause: IntacctError
) -> IntacctError:
    """Return the exception for a write of many that stopped, which keeps what was answered so far."""
    if not done:
        return cause
    written = sum(result.ok for result in done)
    error = IntacctInterruptedWriteError(
        f"{verb} of {total} records of {object_name} stopped after {len(done)} ({written} written): {cause}",
        done,
    )
    error.__cause__ = cause
    return error


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
