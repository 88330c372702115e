"""Writing: one record, a batch, a deletion, each with what keeps it from happening twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from intacct_provider.client.batches import (
    BATCH_SIZE,
    REFUSALS,
    RecordResult,
    batches,
    check_counts,
    collection,
    interrupted,
    key_batches,
    read_one,
    read_results,
    record_path,
)
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import IDEMPOTENCY_HEADER, Reply, Request
from intacct_provider.client.writing.existence import Reference
from intacct_provider.client.writing.idempotency import MAX_GENERATIONS, IdempotencyKeys, still_under_way
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctResponseError,
)

log = logging.getLogger(__name__)

_ATOMIC_HEADER = "X-IA-API-Param-Transaction"
Method = Literal["POST", "PATCH"]
Record = Mapping[str, Any]


class RecordWriter:
    """Writes records through one client.

    Creations and updates carry idempotency keys. Intacct caches failures under them too, so a failure
    that comes out of that cache is asked again under the next key.

    :param send: sends a request.
    :param explain: adds to a refusal what is known about its cause.
    :param bill: counts records written.
    :param gone: tells which of some references lead to no record any more.
    :param known: tells whether there is an object of that path.
    """

    def __init__(
        self,
        send: Callable[[Request], Reply],
        explain: Callable[[IntacctAPIError, str, Record | None], IntacctAPIError],
        bill: Callable[[int], None],
        *,
        gone: Callable[[str, Sequence[Reference]], set[int]],
        known: Callable[[str], bool],
    ) -> None:
        self.idempotency = IdempotencyKeys()
        self._send = send
        self._explain = explain
        self._bill = bill
        self._gone = gone
        self._known = known
        self._known_objects: set[str] = set()

    def one(self, method: Method, object_name: str, key: str | None, record: Record) -> Mapping[str, Any]:
        """Create or update one record and return the reference in the answer, which may lack the key."""
        path = collection(object_name) if key is None else record_path(object_name, [key])
        content = codec.encode(record)
        generation = 1
        while True:
            reply = self._send_keyed(method, object_name, path, content)
            error, reference = read_one(reply)
            last = generation == MAX_GENERATIONS
            if error is None:
                _check_reference(method, object_name, reply, reference)
                check_counts(reply, 0)
            if error is None and (last or not self._undone(method, object_name, reply, [reference or {}])):
                self._bill(0 if _done_before(reply) else 1)
                return reference or {}
            if error and (last or not reply.replayed):
                raise self._explain(error, object_name, record)
            generation += 1

    def many(
        self, method: Method, object_name: str, records: Sequence[Record], atomic: bool
    ) -> list[RecordResult]:
        """Create or update records and return one result per record, in order."""
        chunks = [*batches(records)]
        _check_one_call(chunks, len(records), atomic)
        results: list[RecordResult] = []
        for chunk in chunks:
            try:
                outcome = self._batch(method, object_name, chunk, atomic)
            except IntacctError as err:
                verb = "Creation" if method == "POST" else "Update"
                raise interrupted(verb, object_name, len(records), results, err) from err
            first = len(results)
            results += [replace(result, index=first + result.index) for result in outcome]
        return results

    def delete(self, object_name: str, key: str, missing_ok: bool) -> None:
        """Delete one record."""
        reply = self._send(Request("DELETE", record_path(object_name, [key])))
        error = reply.error()
        missing = isinstance(error, IntacctNotFoundError)
        # A 404 after a sending whose answer was lost: that one did it.
        if error and not (missing and (missing_ok or reply.unsure) and self._has_object(object_name)):
            raise self._explain(error, object_name, None)
        self._bill(int(reply.unsure or not missing))

    def delete_many(
        self, object_name: str, keys: Sequence[str], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        """Delete records and return one result per key, in order."""
        # Whatever is no key, also of a later call, is refused before the first.
        record_path(object_name, keys)
        chunks = [*key_batches(object_name, keys)]
        _check_one_call(chunks, len(keys), atomic)
        results: list[RecordResult] = []
        for chunk in chunks:
            try:
                outcome = self._delete_batch(object_name, chunk, atomic, missing_ok)
            except IntacctError as err:
                raise interrupted("Deletion", object_name, len(keys), results, err) from err
            first = len(results)
            # A partial deletion's answer has no keys; the position tells.
            results += [
                replace(result, index=first + n, key=key)
                for n, (result, key) in enumerate(zip(outcome, chunk, strict=True))
            ]
        return results

    def _delete_batch(
        self, object_name: str, keys: Sequence[str], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        headers = {_ATOMIC_HEADER: "true"} if atomic else {}
        reply = self._send(Request("DELETE", record_path(object_name, keys), headers=headers))
        results = read_results(reply, len(keys), 0)
        _check_atomic(results, atomic)
        missing = {result.index for result in results if isinstance(result.error, IntacctNotFoundError)}
        # What a sending whose answer was lost deleted is missing now; an atomic one deleted all or none.
        before = missing if reply.unsure and (not atomic or len(missing) == len(keys)) else set()
        if (before or (missing and missing_ok)) and not self._has_object(object_name):
            before, missing_ok = set(), False
        for n in missing if missing_ok else before:
            results[n] = replace(results[n], error=None)
        self._bill(sum(result.ok for result in results) - len(missing - before if missing_ok else ()))
        skipped = [result.index for result in results if result.unprocessed]
        if atomic and missing_ok and skipped and all(r.ok or r.unprocessed for r in results):
            # Nothing but missing records kept the others from being deleted.
            redone = self._delete_batch(object_name, [keys[n] for n in skipped], atomic, missing_ok)
            for n, result in zip(skipped, redone, strict=True):
                results[n] = replace(result, index=n)
        return self._explained(object_name, results)

    def _has_object(self, object_name: str) -> bool:
        """Whether a 404 is about the record and not about the object; asked once while the answer is yes."""
        if object_name not in self._known_objects and self._known(object_name):
            self._known_objects.add(object_name)
        return object_name in self._known_objects

    def _batch(
        self, method: Method, object_name: str, records: Sequence[Record], atomic: bool, generation: int = 1
    ) -> list[RecordResult]:
        headers = {_ATOMIC_HEADER: "true"} if atomic else {}
        reply = self._send_keyed(method, object_name, collection(object_name), codec.encode(records), headers)
        error, last = reply.error(), generation == MAX_GENERATIONS
        if reply.replayed and error and not isinstance(error, REFUSALS) and not last:
            return self._batch(method, object_name, records, atomic, generation + 1)
        results = read_results(reply, len(records), 0)
        _check_atomic(results, atomic)
        _check_references(method, object_name, results, records)
        written = [{"key": result.key, "id": result.id} for result in results]
        again = self._undone(method, object_name, reply, written)
        again |= {result.index for result in results if reply.replayed and not result.ok}
        self._bill(0 if _done_before(reply) else sum(result.ok for result in results))
        if not again or last:
            return self._explained(object_name, results, records)
        # Nothing else is asked again: what succeeded then, and is still there, must not happen twice.
        order = sorted(again)
        redone = self._batch(method, object_name, [records[n] for n in order], atomic, generation + 1)
        for n, result in zip(order, redone, strict=True):
            results[n] = replace(result, index=n)
        return results

    def _undone(
        self, method: Method, object_name: str, reply: Reply, references: Sequence[Mapping[str, Any]]
    ) -> set[int]:
        """Return the positions of records whose creation the cache tells of, but which were deleted since.

        That is how a task finds it that is cleared within the cache's 48 hours.
        """
        if method != "POST" or not _done_before(reply):
            return set()
        named = {
            n: (r.get("key"), r.get("id")) for n, r in enumerate(references) if r.get("key") or r.get("id")
        }
        gone = self._gone(object_name, list(named.values())) if named else set()
        return {n for place, n in enumerate(named) if place in gone}

    def _explained(
        self, object_name: str, results: list[RecordResult], records: Sequence[Record] = ()
    ) -> list[RecordResult]:
        """Return results whose errors say what is known about their cause."""
        guilty = [result for result in results if result.error and not result.unprocessed]
        for result in guilty:
            if result.error:
                self._explain(result.error, object_name, records[result.index] if records else None)
        for result in results:
            if result.error and result.unprocessed and guilty:
                result.error.hint = f"The refused one is at index {guilty[0].index}: {guilty[0].error}"
        return results

    def _send_keyed(
        self,
        method: Method,
        object_name: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        key = self.idempotency.make(method, path, content)
        keyed = {**(headers or {}), IDEMPOTENCY_HEADER: key}
        reply = self._send(Request(method, path, content=content, headers=keyed))
        running = still_under_way(reply.error(), unsure=reply.unsure)
        if running:
            raise running
        if reply.replayed:
            log.info(
                "Intacct: an earlier attempt sent this %s of %s; its answer is used.", method, object_name
            )
        return reply


def _done_before(reply: Reply) -> bool:
    """Whether the answer tells of a write that an earlier attempt of the task made, and was billed for."""
    return reply.replayed and not reply.unsure


def _check_one_call(chunks: Sequence[Any], count: int, atomic: bool) -> None:
    if atomic and len(chunks) > 1:
        raise IntacctArgumentError(
            f"atomic needs all {count} records in one call, which takes {BATCH_SIZE} at most and about 1 MB: send "
            "fewer at a time, or leave atomic out."
        )


def _check_atomic(results: Sequence[RecordResult], atomic: bool) -> None:
    """Refuse an answer that says of an atomic call that only some of it was done.

    :raises IntacctResponseError: then, because either the successes or the rest are not what they seem.
    """
    written = sum(result.ok for result in results)
    if atomic and 0 < written < len(results):
        raise IntacctResponseError(
            f"Intacct answered a call of all or none that {written} of {len(results)} records are written; which of "
            "them are is unknown."
        )


def _check_reference(
    method: Method, object_name: str, reply: Reply, reference: Mapping[str, Any] | None
) -> None:
    """Refuse the success of one record that does not show it.

    :raises IntacctResponseError: then.
    """
    if reference is not None and (method == "PATCH" or reference.get("key") or reference.get("id")):
        return
    what, doubt = ("creation", "it exists") if method == "POST" else ("update", "it is changed")
    raise IntacctResponseError(
        f"Intacct answered HTTP {reply.status} to the {what} of a record of {object_name} without naming it; whether "
        f"{doubt} is unknown."
    )


def _check_references(
    method: Method, object_name: str, results: Sequence[RecordResult], records: Sequence[Record]
) -> None:
    """Refuse successes that name no record, or another than the one at their place.

    :raises IntacctResponseError: for the first such one.
    """
    for result, record in zip(results, records, strict=True):
        if not result.ok:
            continue
        if method == "POST" and result.key is None and result.id is None:
            raise IntacctResponseError(
                f"Intacct answered the creation of {len(records)} records of {object_name} without naming the one at "
                f"index {result.index}; whether it exists is unknown."
            )
        if method == "PATCH" and result.key is not None and result.key != record.get("key"):
            raise IntacctResponseError(
                f"Intacct answered with record {result.key} of {object_name} where {record.get('key')} was changed, at "
                f"index {result.index}; which records are changed is unknown."
            )
