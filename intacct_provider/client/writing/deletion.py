"""Deleting records, and what a missing one means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from intacct_provider.client.batches import split_keys
from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http.transport import Request
from intacct_provider.client.paths import check_keys, record_path
from intacct_provider.client.results import RecordResult, read_results
from intacct_provider.client.session import Session
from intacct_provider.client.writing.batch_rules import (
    ATOMIC_HEADERS,
    build_interruption,
    check_all_or_none,
    check_list,
    check_one_call,
    explain_results,
)
from intacct_provider.exceptions import IntacctError, IntacctNotFoundError


class RecordDeleter:
    """Deletes records. Deletions carry no idempotency keys: a record that is missing is the proof."""

    def __init__(self, session: Session, catalog: Catalog) -> None:
        self._session = session
        self._catalog = catalog

    def delete(self, object_name: str, key: str, missing_ok: bool) -> None:
        """Delete one record."""
        reply = self._session.send(Request("DELETE", record_path(object_name, [key])))
        error = reply.error()
        missing = isinstance(error, IntacctNotFoundError)
        # A 404 after a request whose response was lost: that one deleted it.
        if error and not (
            missing and (missing_ok or reply.maybe_already_done) and self._catalog.has_object(object_name)
        ):
            raise self._catalog.explain(error, object_name)
        self._session.bill(int(reply.maybe_already_done or not missing))

    def delete_many(
        self, object_name: str, keys: Sequence[str], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        """Delete records and return one result per key, in order."""
        check_list("keys", keys)
        # Whatever is not a key, also of a later call, is rejected before the first.
        check_keys(keys)
        chunks = [*split_keys(object_name, keys)]
        if atomic:
            check_one_call(chunks, len(keys))
        results: list[RecordResult] = []
        for chunk in chunks:
            try:
                outcome = self._delete_batch(object_name, chunk, atomic, missing_ok)
            except IntacctError as err:
                raise build_interruption("Deletion", object_name, len(keys), results, err) from err
            first = len(results)
            # A partial deletion's response has no keys, so the position is what identifies a record.
            results += [
                replace(result, index=first + n, key=key)
                for n, (result, key) in enumerate(zip(outcome, chunk, strict=True))
            ]
        return results

    def _delete_batch(
        self, object_name: str, keys: Sequence[str], atomic: bool, missing_ok: bool
    ) -> list[RecordResult]:
        headers = ATOMIC_HEADERS if atomic else {}
        reply = self._session.send(Request("DELETE", record_path(object_name, keys), headers=headers))
        results = read_results(reply, len(keys), 0)
        if atomic:
            check_all_or_none(results)
        missing = {result.index for result in results if isinstance(result.error, IntacctNotFoundError)}
        # What a request whose response was lost deleted is missing now; an atomic one deleted all or none.
        before = missing if reply.maybe_already_done and (not atomic or len(missing) == len(keys)) else set()
        if (before or (missing and missing_ok)) and not self._catalog.has_object(object_name):
            before, missing_ok = set(), False
        for n in missing if missing_ok else before:
            results[n] = replace(results[n], error=None)
        self._session.bill(sum(result.ok for result in results) - len(missing - before if missing_ok else ()))
        skipped = [result.index for result in results if result.unprocessed]
        if atomic and missing_ok and skipped and all(r.ok or r.unprocessed for r in results):
            # Nothing but missing records kept the others from being deleted.
            redone = self._delete_batch(object_name, [keys[n] for n in skipped], atomic, missing_ok)
            for n, result in zip(skipped, redone, strict=True):
                results[n] = replace(result, index=n)
        return explain_results(self._catalog, object_name, results)
