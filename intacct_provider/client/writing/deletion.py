"""Deleting records, and what a missing one means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from intacct_provider.client.batches import split_keys
from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http.transport import Request
from intacct_provider.client.paths import check_key, check_keys, record_path
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.result_matching import Sent
from intacct_provider.client.results import RecordResult, read_elements, read_one
from intacct_provider.client.session import Session
from intacct_provider.client.writing.batch_rules import (
    ATOMIC_HEADERS,
    build_interruption,
    check_all_or_none,
    check_list,
    check_one_call,
    explain_results,
)
from intacct_provider.client.writing.existence import find_missing
from intacct_provider.exceptions import IntacctError, IntacctNotFoundError


class RecordDeleter:
    """Deletes records. Deletions carry no idempotency keys: a record that is missing is the proof."""

    def __init__(self, session: Session, catalog: Catalog, queries: QueryReader) -> None:
        self._session = session
        self._catalog = catalog
        self._queries = queries

    def delete(self, object_name: str, key: str, missing_ok: bool) -> None:
        """Delete one record."""
        key = check_key(key)
        reply = self._session.send(Request("DELETE", record_path(object_name, [key])))
        error, _ = read_one(reply, Sent(0, key), done="deleted")
        missing = isinstance(error, IntacctNotFoundError)
        # A 404 after a request whose response was lost: that one deleted it.
        if error and not (
            missing and (missing_ok or reply.maybe_already_done) and self._catalog.has_object(object_name)
        ):
            raise self._catalog.explain_one(error, object_name, key=key)
        self._session.bill(int(reply.maybe_already_done or not missing))

    def delete_many(
        self, object_name: str, keys: Sequence[str], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        """Delete records and return one result per key, in order."""
        check_list("keys", keys)
        # Whatever is not a key, also of a later call, is rejected before the first.
        keys = check_keys(keys)
        chunks = [*split_keys(object_name, keys)]
        if atomic:
            check_one_call(chunks, len(keys))
        results: list[RecordResult] = []
        for chunk in chunks:
            sent = [Sent(len(results) + n, key) for n, key in enumerate(chunk)]
            try:
                outcome = self._delete_batch(object_name, sent, atomic, missing_ok)
            except IntacctError as err:
                raise build_interruption("Deletion", object_name, len(keys), results, err) from err
            results += [replace(result, key=key) for result, key in zip(outcome, chunk, strict=True)]
        return results

    def _delete_batch(
        self, object_name: str, sent: Sequence[Sent], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        headers = ATOMIC_HEADERS if atomic else {}
        path = record_path(object_name, [one.key or "" for one in sent])
        reply = self._session.send(Request("DELETE", path, headers=headers))
        found = read_elements(reply, sent, done="deleted")
        results = [result for result, _ in found]
        if atomic:
            check_all_or_none(results)
        missing = {n for n, result in enumerate(results) if isinstance(result.error, IntacctNotFoundError)}
        left: list[int] = []
        doubtful = (missing_ok or reply.maybe_already_done) and len(missing) == len(sent) > 1
        if doubtful and all(element is None for _, element in found):
            # One response for all says that some of them do not exist, but not which.
            missing = find_missing(self._queries, object_name, [(one.key, None) for one in sent])
            left = [n for n in range(len(sent)) if missing and n not in missing]
        # What a request whose response was lost deleted is missing now; an atomic one deleted all or none.
        before = missing if reply.maybe_already_done and (not atomic or len(missing) == len(sent)) else set()
        if (before or (missing and missing_ok)) and not self._catalog.has_object(object_name):
            before, missing_ok = set(), False
        for n in missing if missing_ok else before:
            results[n] = replace(results[n], error=None)
        self._session.bill(sum(result.ok for result in results) - len(missing - before if missing_ok else ()))
        if atomic and all(result.ok or result.unprocessed for result in results):
            left = [n for n, result in enumerate(results) if not result.ok]
        if left and (missing_ok or not atomic):
            # Nothing but missing records kept these from being deleted.
            redone = self._delete_batch(object_name, [sent[n] for n in left], atomic, missing_ok)
            for n, result in zip(left, redone, strict=True):
                results[n] = result
        return explain_results(self._catalog, object_name, results)
