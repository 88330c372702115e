"""The reading half of the client."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from intacct_provider.client.batches import collection, elements, key_batches, read_results, record_path
from intacct_provider.client.flatten import flat
from intacct_provider.client.hints import Hints
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import Reply, Request
from intacct_provider.client.model import ModelField, every_queryable, flattened, with_maps
from intacct_provider.client.paging.offset import iter_rows
from intacct_provider.client.paging.pages import Page, Row, read_page
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, check_object_name, check_page
from intacct_provider.client.session import ClientCore
from intacct_provider.exceptions import IntacctError, IntacctNotFoundError, IntacctResponseError

QUERY = "/services/core/query"
# Named here, because inside the class ``list`` is the method of that name.
References = list[dict[str, Any]]
Names = list[str]


class ReadCalls(ClientCore):
    """What :class:`~intacct_provider.client.client.IntacctClient` reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._models: dict[str, dict[str, Any]] = {}
        self._model_lock = threading.Lock()
        self._hints = Hints(self)

    def list(self, object_name: str) -> References:
        """Return references (key, id, href) as Intacct's list gives them: 100 at most, without order.

        To read records use :meth:`iter_rows`.
        """
        reply = self._read(object_name, Request("GET", collection(object_name)))
        return _list_of(reply, object_name)

    def get(self, object_name: str, key: str, *, flatten: bool = False) -> dict[str, Any]:
        """Return one record, nested as Intacct keeps it.

        :param flatten: give dotted names, as in the rows of a query, and None for what an empty reference holds.
            Lists stay lists of nested records.
        :raises IntacctNotFoundError: if there is no record with that key.
        """
        reply = self._read(object_name, Request("GET", record_path(object_name, [key])))
        record = _with_key(reply.result, key)
        return flat(record) if flatten else record

    def get_many(
        self, object_name: str, keys: Sequence[str], *, flatten: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield the records with these keys, in order, reading 500 a call.

        :param flatten: as in :meth:`get`.
        :raises IntacctNotFoundError: if one of them does not exist.
        """
        for chunk in key_batches(object_name, keys):
            if len(chunk) == 1:
                yield self.get(object_name, chunk[0], flatten=flatten)
                continue
            reply = self._send(Request("GET", record_path(object_name, chunk)))
            for result in read_results(reply, len(chunk), 0):
                if result.error:
                    raise self._hints.explained(result.error, object_name)
            self._bill(1)
            for record in in_order_of_keys(elements(reply), chunk, object_name):
                yield flat(record) if flatten else record

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

        :param fields: field names, ``relation.field`` names or aggregates such as ``sum:totalDue``; ``"*"`` for all of
            :meth:`queryable_fields`.
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
        query = self.checked_query(
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
        are held in memory; when they fill more than one page, another read of the keys alone proves them complete.
        Where the server does not sort or compare keys as numbers, rows are read by position, and come in no order
        that can be relied on. Records that are created or deleted meanwhile may be among them or not. The parameters
        are those of :meth:`query`.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        query = self.checked_query(
            object_name,
            fields,
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
            order_by=order_by,
        )
        return iter_rows(self._page, query, self.config.page_size)

    def checked_query(self, object_name: str, fields: Sequence[str], **parts: Any) -> Query:
        """Check the parts of a query, and give ``"*"`` its names, which costs a call once per client and object."""
        if fields != "*":
            return Query.checked(object_name, fields, **parts)
        # The other parts first, before the call is paid for.
        query = Query.checked(object_name, ["key"], **parts)
        return replace(query, fields=tuple(self.queryable_fields(object_name)))

    def model(self, object_name: str) -> dict[str, Any]:
        """Return the model service's description: ``fields``, ``groups``, ``refs`` and ``lists``.

        Asked once per client and object. As Intacct sends it, except that an empty map is a map. :meth:`fields` is
        easier to read.

        :raises IntacctNotFoundError: if Intacct knows no such object, naming the closest.
        """
        check_object_name(object_name)
        with self._model_lock:
            if object_name not in self._models:
                self._models[object_name] = self._read_model(object_name)
        return self._models[object_name]

    def fields(self, object_name: str) -> dict[str, ModelField]:
        """Return the object's fields by dotted name, those of groups and references and lists included.

        Asked once per client and object, together with :meth:`model`.

        :raises IntacctNotFoundError: if Intacct knows no such object, naming the closest.
        """
        return flattened(self.model(object_name))

    def queryable_fields(self, object_name: str) -> Names:
        """Return the names that ``fields="*"`` stands for: all but lists and write-only fields, ``key`` first.

        Whatever order Intacct sends them in, the others are sorted, so that the columns of two exports agree.

        :raises IntacctNotFoundError: if Intacct knows no such object, naming the closest.
        """
        names = every_queryable(self.fields(object_name))
        if not names:
            raise IntacctResponseError(f"Intacct's model of {object_name} has no field that can be queried.")
        return names

    def object_names(self) -> Names:
        """Return the paths of all objects of the company, custom ones included."""
        found = self._read("", Request("GET", "/services/core/model"), explain=False).result
        names = (str(item.get("apiObject", "")) for item in found or () if isinstance(item, Mapping))
        return [name.removeprefix("objects/") for name in names if name.startswith("objects/")]

    def unknown_object(self, object_name: str) -> bool:
        """Whether Intacct has no such object; asks the model service unless the path is well known."""
        return bool(self._hints.for_object(object_name))

    def _read_model(self, object_name: str) -> dict[str, Any]:
        request = Request("GET", "/services/core/model", params={"name": object_name, "schema": "true"})
        found = self._read(object_name, request, explain=False).result
        # Intacct answers an unknown object with HTTP 200 and an empty list.
        if not isinstance(found, Mapping) or not found:
            raise IntacctNotFoundError(
                f"Intacct knows no object {object_name!r}.", hint=self._hints.for_object(object_name)
            )
        return with_maps(found)

    def _page(self, query: Query, start: int, size: int) -> Page:
        body = codec.encode(query.payload(start=start, size=size))
        request = Request("POST", QUERY, content=body)
        return read_page(query, self._read(query.object_name, request).body, start, size)

    def _read(self, object_name: str, request: Request, *, explain: bool = True) -> Reply:
        reply = self._send(request)
        error = reply.error()
        if error:
            raise self._hints.explained(error, object_name) if explain else error
        self._bill(1)
        return reply


def _list_of(reply: Reply, object_name: str) -> list[dict[str, Any]]:
    if not isinstance(reply.result, list):
        raise IntacctResponseError(f"The answer to the list of {object_name} holds no list.")
    return [dict(item) for item in reply.result]


def _with_key(record: Any, key: str) -> dict[str, Any]:
    """Return the record with its key, which Intacct leaves out for account groups."""
    if not isinstance(record, Mapping):
        raise IntacctResponseError(f"The answer for key {key} holds no record.")
    return {"key": str(key), **record}


def in_order_of_keys(records: Any, keys: Sequence[str], object_name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of an answer, each with its key.

    :raises IntacctResponseError: if they are not those with these keys.
    """
    for key, record in zip(keys, records, strict=True):
        found = _with_key(record.get("ia::result", record), key)
        if str(found["key"]) != key:
            raise IntacctResponseError(
                f"Intacct answered with record {found['key']} of {object_name} where {key} was asked for."
            )
        yield found
