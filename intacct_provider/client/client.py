"""The client: what a program can do with the records of one company."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

from intacct_provider.client import wire
from intacct_provider.client.auth import CredentialStore
from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.errors import (
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctResponseError,
)
from intacct_provider.client.hints import Hints
from intacct_provider.client.paging import Page, Row, iter_rows, read_page
from intacct_provider.client.query import Filters, Query, check_object_name, check_page, field
from intacct_provider.client.records import (
    BATCH_SIZE,
    IdempotencyKeys,
    RecordResult,
    collection,
    read_results,
    record_path,
)
from intacct_provider.client.references import gone, keys_by_id
from intacct_provider.client.retry import RetryPolicy
from intacct_provider.client.transport import ENTITY_HEADER, Reply, Request, Transport
from intacct_provider.client.writer import RecordWriter

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
# Named here, because inside the class ``list`` is the method of that name.
Results = list[RecordResult]
References = list[dict[str, Any]]
Names = list[str]


class IntacctClient:
    """Reads and writes the records of one Intacct company, or of one entity of it.

    Safe to share between threads. Reads are complete or raise; writes carry idempotency keys, so that a
    repeated sending never makes a second record.

    :param config: company, credentials and limits.
    :param store: keeps rotated refresh tokens (``auth_type="refresh_token"`` only).
    :param on_secret: told of every token as soon as it is known, so that it can be masked.
    :param retry: how patient to be with a server that does not answer.
    """

    def __init__(
        self,
        config: IntacctConfig,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.config = config
        self._transport = Transport(config, store=store, on_secret=on_secret, retry=retry)
        self._entity = {ENTITY_HEADER: config.entity_id} if config.entity_id else {}
        self._models: dict[str, dict[str, Any]] = {}
        self._hints = Hints(self)
        self._writer = RecordWriter(self._send, self._hints.explained, self._bill, partial(gone, self))
        self._billed = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Tokens are never revoked: that would end every session of the user."""
        self._transport.close()

    @property
    def idempotency(self) -> IdempotencyKeys:
        """What makes the idempotency keys of this client's writes."""
        return self._writer.idempotency

    @property
    def transactions(self) -> int:
        """Billed API transactions so far: each read that was answered, each record that was written."""
        return self._billed

    # Reading

    def list(self, object_name: str) -> References:
        """Return references (key, id, href) as Intacct's list gives them: 100 at most, without order.

        To read records use :meth:`iter_rows`.
        """
        reply = self._read(object_name, Request("GET", collection(object_name)))
        return _list_of(reply, object_name)

    def get(self, object_name: str, key: str) -> dict[str, Any]:
        """Return one record, nested as Intacct keeps it.

        :raises IntacctNotFoundError: if there is no record with that key.
        """
        reply = self._read(object_name, Request("GET", record_path(object_name, [key])))
        return _with_key(reply.result, key)

    def get_many(self, object_name: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the records with these keys, in order, reading 500 a call.

        :raises IntacctNotFoundError: if one of them does not exist.
        """
        for start in range(0, len(keys), BATCH_SIZE):
            chunk = [str(key) for key in keys[start : start + BATCH_SIZE]]
            if len(chunk) == 1:
                yield self.get(object_name, chunk[0])
                continue
            reply = self._send(Request("GET", record_path(object_name, chunk)))
            for result in read_results(reply, len(chunk), start):
                if result.error:
                    raise self._hints.explained(result.error, object_name)
            self._bill(1)
            yield from _in_order(reply.result, chunk, object_name)

    def find(self, object_name: str, id: str) -> dict[str, Any] | None:  # noqa: A002
        """Return the reference (key, id, href) of the record with this id, or None.

        :raises IntacctError: if several records have it.
        """
        page = self.query(object_name, ["key", "id", "href"], filters=field("id") == id, size=2)
        if len(page.rows) > 1:
            raise IntacctError(
                f"Several records of {object_name} have the id {id!r}; name the one you mean by its key."
            )
        return page.rows[0] if page.rows else None

    def query(
        self,
        object_name: str,
        fields: Sequence[str],
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        start: int = 1,
        size: int | None = None,
    ) -> Page:
        """Return one page of a query. To read everything use :meth:`iter_rows`.

        :param fields: field names, ``relation.field`` names or aggregates such as ``sum:totalDue``.
        :param filters: Intacct's JSON conditions, or an expression of :func:`field`.
        :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``.
        :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
            ``includePrivate``.
        :param order_by: such as ``[{"id": "asc"}]``. Without one Intacct keeps to no order.
        :param start: position of the first row, from 1.
        :param size: rows at most, 1 to 4000; by default the connection's ``page_size``.
        :raises IntacctArgumentError: for a query that cannot be right, before a call is made.
        """
        size = self.config.page_size if size is None else size
        check_page(start, size)
        query = Query.checked(
            object_name,
            fields,
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
            order_by=order_by,
        )
        return self._page(query, start, size)

    def iter_rows(
        self,
        object_name: str,
        fields: Sequence[str],
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
    ) -> Iterator[Row]:
        """Yield every row that existed during the whole read, once, or raise.

        Rows come in order of key with one page in memory. With an ``order_by`` they come in that order and
        are held in memory. Records that are created or deleted meanwhile may be among them or not.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        query = Query.checked(
            object_name,
            fields,
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
            order_by=order_by,
        )
        return iter_rows(self._page, query, self.config.page_size)

    def model(self, object_name: str) -> dict[str, Any]:
        """Return the model service's description: ``fields``, ``groups``, ``refs`` and ``lists``.

        Asked once per client and object. ``required`` is always False in it, and it tells no lengths.

        :raises IntacctNotFoundError: if Intacct knows no such object, naming the closest.
        """
        check_object_name(object_name)
        if object_name not in self._models:
            request = Request("GET", "/services/core/model", params={"name": object_name, "schema": "true"})
            found = self._read(object_name, request, explain=False).result
            # Intacct answers an unknown object with HTTP 200 and an empty list.
            if not isinstance(found, Mapping) or not found:
                raise IntacctNotFoundError(
                    f"Intacct knows no object {object_name!r}.", hint=self._hints.for_object(object_name)
                )
            self._models[object_name] = dict(found)
        return self._models[object_name]

    def object_names(self) -> Names:
        """Return the paths of all objects of the company, custom ones included."""
        found = self._read("", Request("GET", "/services/core/model"), explain=False).result
        names = (str(item.get("apiObject", "")) for item in found or () if isinstance(item, Mapping))
        return [name.removeprefix("objects/") for name in names if name.startswith("objects/")]

    def unknown_object(self, object_name: str) -> bool:
        """Whether Intacct has no such object; asks the model service unless the path is well known."""
        return bool(self._hints.for_object(object_name))

    # Writing

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

    # What the methods above share

    def _page(self, query: Query, start: int, size: int) -> Page:
        body = wire.encode(query.payload(start=start, size=size))
        request = Request("POST", "/services/core/query", content=body)
        return read_page(query, self._read(query.object_name, request).body, start)

    def _read(self, object_name: str, request: Request, *, explain: bool = True) -> Reply:
        reply = self._send(request)
        error = reply.error()
        if error:
            raise self._hints.explained(error, object_name) if explain else error
        self._bill(1)
        return reply

    def _send(self, request: Request) -> Reply:
        return self._transport.send(replace(request, headers={**self._entity, **(request.headers or {})}))

    def _bill(self, transactions: int) -> None:
        with self._lock:
            self._billed += transactions


def _list_of(reply: Reply, object_name: str) -> list[dict[str, Any]]:
    if not isinstance(reply.result, list):
        raise IntacctResponseError(f"The answer to the list of {object_name} holds no list.")
    return [dict(item) for item in reply.result]


def _with_key(record: Any, key: str) -> dict[str, Any]:
    """Return the record with its key, which Intacct leaves out for account groups."""
    if not isinstance(record, Mapping):
        raise IntacctResponseError(f"The answer for key {key} holds no record.")
    return {"key": str(key), **record}


def _in_order(records: Any, keys: Sequence[str], object_name: str) -> Iterator[dict[str, Any]]:
    for key, record in zip(keys, records, strict=True):
        found = _with_key(record.get("ia::result", record), key)
        if str(found["key"]) != key:
            raise IntacctResponseError(
                f"Intacct answered with record {found['key']} of {object_name} where {key} was asked for."
            )
        yield found
