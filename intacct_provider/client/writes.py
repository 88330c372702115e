"""The writing half of the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from intacct_provider.client.errors import IntacctArgumentError
from intacct_provider.client.reads import ReadCalls
from intacct_provider.client.records import IdempotencyKeys, RecordResult
from intacct_provider.client.references import gone, keys_by_id
from intacct_provider.client.writer import RecordWriter

Record = Mapping[str, Any]
# Named here, because inside the class ``list`` is the method of that name.
Results = list[RecordResult]


class WriteCalls(ReadCalls):
    """What :class:`~intacct_provider.client.client.IntacctClient` writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writer = RecordWriter(self._send, self._hints.explained, self._bill, partial(gone, self))

    @property
    def idempotency(self) -> IdempotencyKeys:
        """What makes the idempotency keys of this client's writes."""
        return self._writer.idempotency

    def create(self, object_name: str, record: Record) -> dict[str, Any]:
        """Create a record and return its reference (key, id, href).

        Intacct tells no key for a new customer group; it is looked up by id then.

        :raises IntacctConflictError: if another record has that id.
        :raises IntacctValidationError: if Intacct refuses the content.
        """
        reply = self._writer.one("POST", object_name, None, record)
        reference = {name: reply.get(name) for name in ("key", "id", "href")}
        if reference["key"] is None and reference["id"] is not None:
            keys = keys_by_id(self, object_name, [str(reference["id"])])
            reference["key"] = keys.get(str(reference["id"]))
        return reference

    def update(self, object_name: str, key: str, changes: Record) -> dict[str, Any]:
        """Change fields of a record and return its reference; fields that are not named stay as they are.

        None clears a field. ``groupMembers`` of a customer group is replaced as a whole.

        :raises IntacctNotFoundError: if there is no record with that key.
        """
        reply = self._writer.one("PATCH", object_name, key, changes)
        return {"key": str(key), "id": reply.get("id"), "href": reply.get("href")}

    def delete(self, object_name: str, key: str) -> None:
        """Delete a record.

        :raises IntacctNotFoundError: if there is none with that key, unless a deletion whose answer was
            lost on the way has just removed it.
        """
        self._writer.delete(object_name, key)

    def create_many(self, object_name: str, records: Sequence[Record], atomic: bool = False) -> Results:
        """Create records, 500 a call, and return one result per record in order.

        :param atomic: all or none; only for as many records as fit into one call.
        :raises IntacctInterruptedWriteError: if the write stopped half way; it keeps the results so far.
        """
        results = self._writer.many("POST", object_name, records, atomic)
        unknown = [result.id for result in results if result.ok and result.key is None and result.id]
        keys = keys_by_id(self, object_name, unknown) if unknown else {}
        return [replace(r, key=keys.get(r.id)) if r.id and r.key is None else r for r in results]

    def update_many(self, object_name: str, changes: Sequence[Record], atomic: bool = False) -> Results:
        """Update records, 500 a call, and return one result per record in order.

        :param changes: for each record its ``key`` and the fields to change.
        :param atomic: all or none; only for as many records as fit into one call.
        :raises IntacctInterruptedWriteError: if the write stopped half way; it keeps the results so far.
        """
        for n, change in enumerate(changes):
            if not isinstance(change, Mapping) or not change.get("key"):
                raise IntacctArgumentError(f"changes[{n}] needs the key of the record that it changes.")
        results = self._writer.many("PATCH", object_name, changes, atomic)
        return [replace(result, key=str(changes[result.index]["key"])) for result in results]

    def delete_many(self, object_name: str, keys: Sequence[str]) -> Results:
        """Delete records, 500 a call, and return one result per key in order.

        :raises IntacctInterruptedWriteError: if the write stopped half way; it keeps the results so far.
        """
        return self._writer.delete_many(object_name, keys)
