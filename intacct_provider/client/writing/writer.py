"""Creating and updating: one record or many, each with an idempotency key, so that it happens once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from intacct_provider.client.batches import split_records
from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import IDEMPOTENCY_HEADER, Reply, Request
from intacct_provider.client.idempotency import MAX_GENERATIONS, find_unfinished
from intacct_provider.client.keys import text_or_none
from intacct_provider.client.paths import check_key, check_keys, collection_path, record_path
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.result_matching import Sent
from intacct_provider.client.results import REJECTIONS, RecordResult, read_one, read_results
from intacct_provider.client.session import Session
from intacct_provider.client.writing.batch_rules import (
    ATOMIC_HEADERS,
    build_interruption,
    check_all_or_none,
    check_list,
    check_one_call,
    explain_results,
)
from intacct_provider.client.writing.existence import find_keys, find_missing
from intacct_provider.client.writing.repetition import Repetition
from intacct_provider.exceptions import IntacctArgumentError, IntacctError, IntacctResponseError

log = logging.getLogger(__name__)

Method = Literal["POST", "PATCH"]
Record = Mapping[str, Any]


class RecordWriter:
    """Creates and updates records. The public methods of the client say what each of these promises.

    Both carry idempotency keys. Intacct caches failures under them too, so a failure that comes out of that cache is
    asked again under the next key.
    """

    def __init__(self, session: Session, catalog: Catalog, queries: QueryReader) -> None:
        self._session = session
        self._catalog = catalog
        self._queries = queries
        self._repetition = Repetition(catalog, queries)

    def create(self, object_name: str, record: Record, *, with_key: bool) -> dict[str, Any]:
        """Create a record and return its reference."""
        path, sent = collection_path(object_name), _identify("POST", 0, record)
        with self._repetition.guard([] if sent.id else [object_name]):
            response = self._write_one("POST", object_name, path, record, sent)
        reference = {name: response.get(name) for name in ("key", "id", "href")}
        if with_key and reference["key"] is None and reference["id"] is not None:
            record_id = str(reference["id"])
            reference["key"] = find_keys(self._queries, object_name, [record_id]).get(record_id)
        return reference

    def update(self, object_name: str, key: str, changes: Record) -> dict[str, Any]:
        """Change fields of a record and return its reference."""
        key = check_key(key)
        response = self._write_one(
            "PATCH", object_name, record_path(object_name, [key]), changes, Sent(0, key)
        )
        return {"key": key, "id": response.get("id"), "href": response.get("href")}

    def create_many(
        self, object_name: str, records: Sequence[Record], atomic: bool, *, with_key: bool
    ) -> list[RecordResult]:
        """Create records and return one result per record, in order."""
        check_list("records", records)
        for n, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise IntacctArgumentError(
                    f"records[{n}] must be a mapping of fields, not {type(record).__name__}."
                )
        results = self._write_many("POST", object_name, records, atomic)
        unknown = [result.id for result in results if with_key and result.key is None and result.id]
        keys = find_keys(self._queries, object_name, unknown) if unknown else {}
        return [replace(r, key=keys.get(r.id)) if r.id and r.key is None else r for r in results]

    def update_many(self, object_name: str, changes: Sequence[Record], atomic: bool) -> list[RecordResult]:
        """Update records and return one result per record, in order."""
        check_list("changes", changes)
        for n, change in enumerate(changes):
            if not isinstance(change, Mapping) or change.get("key") in (None, ""):
                raise IntacctArgumentError(f"changes[{n}] needs the key of the record that it changes.")
        keys = check_keys((change["key"] for change in changes), "changes")
        keyed = [{**change, "key": key} for change, key in zip(changes, keys, strict=True)]
        results = self._write_many("PATCH", object_name, keyed, atomic)
        return [replace(result, key=keyed[result.index]["key"]) for result in results]

    def _write_one(self, method: Method, object_name: str, path: str, record: Record, sent: Sent) -> Record:
        """Create or update one record and return the reference in the response, which may lack the key."""
        content = codec.encode(record)
        generation = 1
        while True:
            reply = self._send_keyed(method, object_name, path, content, [sent])
            error, reference = read_one(reply, sent)
            last = generation == MAX_GENERATIONS
            if error is None:
                _check_reference(method, object_name, reply, reference)
            if error is None and (
                last or not self._find_undone(method, object_name, reply, [reference or {}])
            ):
                self._session.bill(0 if _is_done_before(reply) else 1)
                return reference or {}
            if error and (last or not reply.replayed):
                if method == "POST":
                    self._repetition.check_rejected(
                        object_name, reply, [RecordResult(0, error=error)], [sent]
                    )
                raise self._catalog.explain_one(error, object_name, record, key=sent.key)
            generation += 1

    def _write_many(
        self, method: Method, object_name: str, records: Sequence[Record], atomic: bool
    ) -> list[RecordResult]:
        """Create or update records in as many calls as they need."""
        chunks = [*split_records(records)]
        if atomic:
            check_one_call(chunks, len(records))
        results: list[RecordResult] = []
        for chunk in chunks:
            sent = [_identify(method, len(results) + n, record) for n, record in enumerate(chunk)]
            created = method == "POST" and not all(one.id for one in sent)
            try:
                with self._repetition.guard([object_name] if created else []):
                    results += self._write_batch(method, object_name, chunk, sent, atomic)
            except IntacctError as err:
                verb = "Creation" if method == "POST" else "Update"
                raise build_interruption(verb, object_name, len(records), results, err) from err
        return results

    def _write_batch(
        self,
        method: Method,
        object_name: str,
        records: Sequence[Record],
        sent: Sequence[Sent],
        atomic: bool,
        generation: int = 1,
    ) -> list[RecordResult]:
        headers = ATOMIC_HEADERS if atomic else {}
        path, content = collection_path(object_name), codec.encode(records)
        reply = self._send_keyed(method, object_name, path, content, sent, headers)
        error, last = reply.error(), generation == MAX_GENERATIONS
        if reply.replayed and error and not isinstance(error, REJECTIONS) and not last:
            return self._write_batch(method, object_name, records, sent, atomic, generation + 1)
        results = read_results(reply, sent, named=method == "POST")
        if atomic:
            check_all_or_none(results)
        if method == "POST":
            self._repetition.check_rejected(object_name, reply, results, sent)
        written = [{"key": result.key, "id": result.id} for result in results]
        again = self._find_undone(method, object_name, reply, written)
        again |= {n for n, result in enumerate(results) if reply.replayed and not result.ok}
        self._session.bill(0 if _is_done_before(reply) else sum(result.ok for result in results))
        if not again or last:
            return explain_results(self._catalog, object_name, results, records)
        # Nothing else is asked again: what succeeded then, and still exists, must not happen twice.
        order = sorted(again)
        redone = self._write_batch(
            method, object_name, [records[n] for n in order], [sent[n] for n in order], atomic, generation + 1
        )
        for n, result in zip(order, redone, strict=True):
            results[n] = result
        return results

    def _find_undone(
        self, method: Method, object_name: str, reply: Reply, references: Sequence[Record]
    ) -> set[int]:
        """Return the positions of records that the cache reports as created, but which were deleted since.

        A task that is cleared within the cache's 48 hours meets them.
        """
        if method != "POST" or not _is_done_before(reply):
            return set()
        named = {
            n: (r.get("key"), r.get("id")) for n, r in enumerate(references) if r.get("key") or r.get("id")
        }
        missing = find_missing(self._queries, object_name, list(named.values())) if named else set()
        return {n for place, n in enumerate(named) if place in missing}

    def _send_keyed(
        self,
        method: Method,
        object_name: str,
        path: str,
        content: bytes,
        sent: Sequence[Sent],
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        key = self._session.idempotency.make(method, path, content)
        keyed = {**(headers or {}), IDEMPOTENCY_HEADER: key}
        request = Request(method, path, content=content, headers=keyed)
        if method == "POST" and not all(one.id for one in sent):
            request = replace(request, may_repeat=lambda: bool(self._repetition.is_recognized(object_name)))
        reply = self._session.send(request)
        running = find_unfinished(reply.error(), maybe_already_done=reply.maybe_already_done)
        if running:
            raise running
        if reply.replayed:
            log.info(
                "Intacct: an earlier attempt sent this %s of %s; its response is used.", method, object_name
            )
        return reply


def _is_done_before(reply: Reply) -> bool:
    """Whether the response is about a write that an earlier attempt of the task made, and was billed for."""
    return reply.replayed and not reply.maybe_already_done


def _check_reference(
    method: Method, object_name: str, reply: Reply, reference: Mapping[str, Any] | None
) -> None:
    """Reject a success that does not identify the record.

    :raises IntacctResponseError: in that case.
    """
    if reference is not None and (method == "PATCH" or reference.get("key") or reference.get("id")):
        return
    what, doubt = ("creation", "it exists") if method == "POST" else ("update", "it is changed")
    raise IntacctResponseError(
        f"Intacct answered HTTP {reply.status} to the {what} of a record of {object_name} without naming it; whether "
        f"{doubt} is unknown."
    )


def _identify(method: Method, index: int, record: Record) -> Sent:
    if method == "PATCH":
        return Sent(index, key=record["key"])
    return Sent(index, id=text_or_none(record.get("id")))
