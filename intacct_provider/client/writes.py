"""The writing half of the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from intacct_provider.client.batches import RecordResult
from intacct_provider.client.reads import ReadCalls
from intacct_provider.client.writing.existence import gone, keys_by_id, known
from intacct_provider.client.writing.idempotency import IdempotencyKeys
from intacct_provider.client.writing.writer import RecordWriter
from intacct_provider.exceptions import IntacctArgumentError

Record = Mapping[str, Any]
# Named here, because inside the class ``list`` is the method of that name.
Results = list[RecordResult]


class WriteCalls(ReadCalls):
    """What :class:`~intacct_provider.client.client.IntacctClient` writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writer = RecordWriter(
            self._send,
            self._hints.explained,
            self._bill,
            gone=partial(gone, self),
            known=partial(known, self),
        )

    @property
    def idempotency(self) -> IdempotencyKeys:
        """What makes the idempotency keys of this client's writes."""
        return self._writer.idempotency

    def create(self, object_name: str, record: Record, *, with_key: bool = True) -> dict[str, Any]:
        """Create a record and return its reference (key, id, href); one transaction.

        Done once, however often it is sent: it carries an idempotency key.

        :param with_key: look the key up by id, for one more transaction, if Intacct does not tell it, as for
            customer groups. It is None if it cannot be found; the record is written then all the same.
        :raises IntacctConflictError: if another record has that id.
        :raises IntacctValidationError: if Intacct refuses the content.
        :raises IntacctIdempotencyError: if the idempotency key was used for other content, a defect of this
            provider; nothing was written.
        :raises IntacctConnectionError: if no answer came; the record may be written. The same work under the same
            :attr:`idempotency` scopes finds out, and does not write it twice.
        :raises IntacctServerError: likewise, after answers that say neither yes nor no.
        """
        reply = self._writer.one("POST", object_name, None, record)
        reference = {name: reply.get(name) for name in ("key", "id", "href")}
        if with_key and reference["key"] is None and reference["id"] is not None:
            keys = keys_by_id(self, object_name, [str(reference["id"])])
            reference["key"] = keys.get(str(reference["id"]))
        return reference

    def update(self, object_name: str, key: str, changes: Record) -> dict[str, Any]:
        """Change fields of a record and return its reference (key, id, href); one transaction.

        Fields that are not named stay as they are, None clears a field. ``groupMembers`` of a customer group is
        replaced as a whole. Done once, however often it is sent, as :meth:`create`.

        :raises IntacctNotFoundError: if there is no record with that key.
        :raises IntacctError: what :meth:`create` raises.
        """
        reply = self._writer.one("PATCH", object_name, key, changes)
        return {"key": str(key), "id": reply.get("id"), "href": reply.get("href")}

    def delete(self, object_name: str, key: str, *, missing_ok: bool = False) -> None:
        """Delete a record; one transaction if it was there.

        A record that is missing when a deletion without an answer is sent again was deleted by it.

        :param missing_ok: take a record that is not there for deleted. An object that Intacct does not know is an
            error all the same; whether it does costs one more read for an object that is not a common one.
        :raises IntacctNotFoundError: if there is no record with that key, or no such object.
        :raises IntacctValidationError: if the record is in use.
        """
        self._writer.delete(object_name, key, missing_ok)

    def create_many(
        self, object_name: str, records: Sequence[Record], atomic: bool = False, *, with_key: bool = True
    ) -> Results:
        """Create records and return one result per record, in order; one transaction per record written.

        A call carries 500 records and about 1 MB at most. A record that is refused is a result with an error, and
        keeps no other from being written. Every call carries an idempotency key: sent again, also by a later attempt
        under the same :attr:`idempotency` scopes, it writes nothing twice, and what was refused then is tried anew.

        :param atomic: all or none; only for as many records as fit into one call. If one is refused the others are
            results whose ``unprocessed`` is True.
        :param with_key: look keys up by id, 500 a read, if Intacct does not tell them, as for customer groups.
        :raises IntacctArgumentError: for records that cannot be sent, before a call is made.
        :raises IntacctInterruptedWriteError: if the write stopped half way; it keeps the results so far.
        :raises IntacctError: what stopped it, if no call was answered; see :meth:`create`.
        """
        for n, record in enumerate(_list_of("records", records)):
            if not isinstance(record, Mapping):
                raise IntacctArgumentError(
                    f"records[{n}] must be a mapping of fields, not {type(record).__name__}."
                )
        results = self._writer.many("POST", object_name, records, atomic)
        unknown = [result.id for result in results if with_key and result.key is None and result.id]
        keys = keys_by_id(self, object_name, unknown) if unknown else {}
        return [replace(r, key=keys.get(r.id)) if r.id and r.key is None else r for r in results]

    def update_many(self, object_name: str, changes: Sequence[Record], atomic: bool = False) -> Results:
        """Update records and return one result per record, in order; one transaction per record written.

        As :meth:`create_many`. Every result has the key that was given.

        :param changes: for each record its ``key`` and the fields to change.
        :param atomic: all or none; only for as many records as fit into one call.
        :raises IntacctArgumentError: for a change without a key, before a call is made.
        :raises IntacctInterruptedWriteError: if the write stopped half way; it keeps the results so far.
        """
        for n, change in enumerate(_list_of("changes", changes)):
            if not isinstance(change, Mapping) or not change.get("key"):
                raise IntacctArgumentError(f"changes[{n}] needs the key of the record that it changes.")
        keyed = [{**change, "key": str(change["key"])} for change in changes]
        results = self._writer.many("PATCH", object_name, keyed, atomic)
        return [replace(result, key=keyed[result.index]["key"]) for result in results]

    def delete_many(
        self, object_name: str, keys: Sequence[str], atomic: bool = False, *, missing_ok: bool = False
    ) -> Results:
        """Delete records and return one result per key, in order; one transaction per record deleted.

        A call carries 500 keys at most. Sent again after a lost answer, what is missing then was deleted before.

        :param atomic: all or none; only for as many keys as fit into one call.
        :param missing_ok: take records that are not there for deleted, as :meth:`delete` does. Then they keep no
            other record of an atomic deletion from being deleted.
        :raises IntacctArgumentError: for what is no key, before a call is made.
        :raises IntacctInterruptedWriteError: if the deletion stopped half way; it keeps the results so far.
        """
        return self._writer.delete_many(object_name, _list_of("keys", keys), atomic, missing_ok)


def _list_of(argument: str, value: Any) -> Any:
    """Return a list of things to write; a single record or key is none, though it can be counted through."""
    if isinstance(value, Mapping | str | bytes) or not isinstance(value, Sequence):
        raise IntacctArgumentError(f"{argument} must be a list, not {type(value).__name__}.")
    return value
