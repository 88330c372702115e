"""The outcome of each record of a write, as responses report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.errors import build_error
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctConflictError,
    IntacctIdempotencyError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctValidationError,
)

if TYPE_CHECKING:
    from intacct_provider.client.http.transport import Reply

#: Rejections of a record, in which nothing was written.
REJECTIONS = (IntacctValidationError, IntacctConflictError, IntacctNotFoundError, IntacctPermissionError)
_UNPROCESSED = "unprocessed"


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The outcome of one record of a write of many.

    :param index: its position in the list given, from 0.
    :param key: the record's key; None when it was rejected, or when Intacct does not return it (customer groups).
    :param id: the record's id, as far as it is known.
    :param error: why it was not written, or None.
    """

    index: int
    key: str | None = None
    id: str | None = None
    error: IntacctAPIError | None = None

    @property
    def ok(self) -> bool:
        """Whether the record was written, or deleted."""
        return self.error is None

    @property
    def unprocessed(self) -> bool:
        """Whether it was only skipped, because another record of its atomic call was rejected."""
        return is_unprocessed(self.error)


def read_one(reply: Reply) -> tuple[IntacctAPIError | None, Mapping[str, Any] | None]:
    """Return what the response to the write of one record holds: an error or None, a reference or None."""
    found = read_elements(reply)
    item = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(item, Mapping):
        return reply.error(), None
    inner = item.get("ia::result")
    return reply.error() or read_result(0, item, reply).error, inner if isinstance(inner, Mapping) else item


def read_results(reply: Reply, count: int, first: int) -> list[RecordResult]:
    """Return each record's outcome from the response to a batch, in whichever form it comes.

    Intacct answers a batch with a list in the order sent, under 2xx or 4xx; a deletion that succeeded as a whole
    without a body; a batch rejected as a whole with one error, which then is every record's.

    :param count: records that were sent.
    :param first: position of the first of them in the whole write.
    :raises IntacctResponseError: if the response does not account for every record.
    :raises IntacctError: if Intacct rejected the call itself, not its records.
    """
    if reply.status == 204:
        return [RecordResult(first + n) for n in range(count)]
    items = read_elements(reply)
    if isinstance(items, Mapping) and count == 1 and not reply.error():
        items = [items]
    if isinstance(items, list) and len(items) == count and all(isinstance(item, Mapping) for item in items):
        results = [read_result(first + n, item, reply) for n, item in enumerate(items)]
        check_counts(reply, sum(not result.ok for result in results))
        return results
    error = reply.error()
    if error:
        if not isinstance(error, REJECTIONS) or isinstance(error, IntacctIdempotencyError):
            raise error
        return [RecordResult(first + n, error=error) for n in range(count)]
    raise IntacctResponseError(
        f"Intacct answered HTTP {reply.status} to {count} records without accounting for each of them; which of them "
        "were written is unknown."
    )


def read_elements(reply: Reply) -> Any:
    """Return what a response holds for each of several records; some rejections are a bare list."""
    return reply.body if isinstance(reply.body, list) else reply.result


def read_result(index: int, item: Mapping[str, Any], reply: Reply) -> RecordResult:
    """Return one record's outcome from its element of a response: a reference or an error, and its status."""
    inner = item.get("ia::result")
    reference = inner if isinstance(inner, Mapping) else item
    found, status = item.get("ia::error") or reference.get("ia::error"), read_status(item, reply)
    if found or status >= 400:
        error = build_error(status, found or {"message": f"rejected with status {status}"}, reply.clean)
        error.replayed = reply.replayed
        return RecordResult(index, error=error)
    return RecordResult(index, key=text_or_none(reference.get("key")), id=text_or_none(reference.get("id")))


def read_status(item: Mapping[str, Any], reply: Reply) -> int:
    """Return an element's own status; that of the whole response when it has none."""
    status = str(item.get("ia::status", ""))
    return int(status) if status.isdecimal() else reply.status


def check_counts(reply: Reply, failed: int) -> None:
    """Reject a response that counts failures but shows none.

    :raises IntacctResponseError: in that case, because one of its successes is a failure.
    """
    meta = reply.body.get("ia::meta") if isinstance(reply.body, Mapping) else None
    counted = str(meta.get("totalError", "")) if isinstance(meta, Mapping) else ""
    if not failed and counted.isdecimal() and int(counted):
        raise IntacctResponseError(
            f"Intacct answered HTTP {reply.status} and counts {counted} failures without showing any; which records "
            "were written is unknown."
        )


def is_unprocessed(error: IntacctAPIError | None) -> bool:
    """Whether an error says no more than that something else of the same call was rejected."""
    return error is not None and error.code == _UNPROCESSED


def text_or_none(value: Any) -> str | None:
    """Return a key or an id as text; None where there is none."""
    return None if value in (None, "") else str(value)
