"""Writing: one record, a batch, a deletion, each with what keeps it from happening twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from intacct_provider.client import wire
from intacct_provider.client.errors import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctResponseError,
)
from intacct_provider.client.records import (
    BATCH_SIZE,
    MAX_GENERATIONS,
    IdempotencyKeys,
    RecordResult,
    batches,
    collection,
    interrupted,
    read_results,
    record_path,
)
from intacct_provider.client.references import Reference
from intacct_provider.client.transport import Reply, Request

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
    """

    def __init__(
        self,
        send: Callable[[Request], Reply],
        explain: Callable[[IntacctAPIError, str, Record | None], IntacctAPIError],
        bill: Callable[[int], None],
        gone: Callable[[str, Sequence[Reference]], set[int]],
    ) -> None:
        self.idempotency = IdempotencyKeys()
        self._send = send
        self._explain = explain
        self._bill = bill
        self._gone = gone

    def one(self, method: Method, object_name: str, key: str | None, record: Record) -> Mapping[str, Any]:
        """Create or update one record and return the reference in the answer, which may lack the key."""
        path = collection(object_name) if key is None else record_path(object_name, [key])
        content = wire.encode(record)
        generation = 1
        while True:
            reply = self._send_keyed(method, object_name, path, content)
            error = reply.error()
            reference = reply.result if isinstance(reply.result, Mapping) else {}
            last = generation == MAX_GENERATIONS
            if error is None and method == "POST" and not (reference.get("key") or reference.get("id")):
                raise IntacctResponseError(
                    f"Intacct answered HTTP {reply.status} to the creation of a record of {object_name} without naming "
                    "it; whether it exists is unknown."
                )
            if error is None and (last or not self._undone(method, object_name, reply, [reference])):
                self._bill(0 if _done_before(reply) else 1)
                return reference
            if error and (last or not reply.replayed):
                raise self._explain(error, object_name, record)
            generation += 1

    def many(
        self, method: Method, object_name: str, records: Sequence[Record], atomic: bool
    ) -> list[RecordResult]:
        """Create or update records and return one result per record, in order."""
        chunks = [*batches(records)]
        if atomic and len(chunks) > 1:
            raise IntacctArgumentError(
                f"atomic needs all {len(records)} records in one call, which takes {BATCH_SIZE} at most and about "
                "1 MB: send fewer at a time, or leave atomic out."
            )
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

    def delete(self, object_name: str, key: str) -> None:
        """Delete one record."""
        reply = self._send(Request("DELETE", record_path(object_name, [key])))
        error = reply.error()
        # A 404 after a sending whose answer was lost: that one did it.
        if error and not (isinstance(error, IntacctNotFoundError) and reply.unsure):
            raise self._explain(error, object_name, None)
        self._bill(1)

    def delete_many(self, object_name: str, keys: Sequence[str]) -> list[RecordResult]:
        """Delete records and return one result per key, in order."""
        results: list[RecordResult] = []
        for start in range(0, len(keys), BATCH_SIZE):
            chunk = [str(key) for key in keys[start : start + BATCH_SIZE]]
            try:
                reply = self._send(Request("DELETE", record_path(object_name, chunk)))
                outcome = read_results(reply, len(chunk), start)
            except IntacctError as err:
                raise interrupted("Deletion", object_name, len(keys), results, err) from err
            if reply.unsure:
                outcome = [
                    replace(r, error=None) if isinstance(r.error, IntacctNotFoundError) else r
                    for r in outcome
                ]
            # A partial deletion's answer has no keys; the position tells.
            named = [replace(result, key=key) for result, key in zip(outcome, chunk, strict=True)]
            results += self._settled(object_name, named)
        return results

    def _batch(
        self, method: Method, object_name: str, records: Sequence[Record], atomic: bool, generation: int = 1
    ) -> list[RecordResult]:
        headers = {_ATOMIC_HEADER: "true"} if atomic else {}
        reply = self._send_keyed(method, object_name, collection(object_name), wire.encode(records), headers)
        results = read_results(reply, len(records), 0)
        written = [{"key": result.key, "id": result.id} for result in results]
        again = self._undone(method, object_name, reply, written)
        again |= {result.index for result in results if reply.replayed and not result.ok}
        if not again or generation == MAX_GENERATIONS:
            return self._settled(object_name, results, records, done_before=_done_before(reply))
        self._bill(0 if _done_before(reply) else len(results) - len(again))
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

    def _settled(
        self,
        object_name: str,
        results: list[RecordResult],
        records: Sequence[Record] = (),
        *,
        done_before: bool = False,
    ) -> list[RecordResult]:
        """Explain what was refused and bill what was written."""
        for result in results:
            if result.error:
                self._explain(result.error, object_name, records[result.index] if records else None)
        self._bill(0 if done_before else sum(result.ok for result in results))
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
        keyed = {**(headers or {}), "Idempotency-Key": key}
        reply = self._send(Request(method, path, content=content, headers=keyed))
        if reply.replayed:
            log.info(
                "Intacct: an earlier attempt sent this %s of %s; its answer is used.", method, object_name
            )
        return reply


def _done_before(reply: Reply) -> bool:
    """Whether the answer tells of a write that an earlier attempt of the task made, and was billed for."""
    return reply.replayed and not reply.unsure
