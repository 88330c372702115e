"""Records by their keys or ids: one, many, or all those that a query has found."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from intacct_provider.client.batches import split_keys
from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http.transport import Request
from intacct_provider.client.keys import text_or_none
from intacct_provider.client.nested import drop_metadata, flatten_record
from intacct_provider.client.paging.ordered_pool import in_order, make_pool
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paths import check_key, check_keys, collection_path, record_path
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.result_matching import Sent, fold_id, read_reference, shorten_name
from intacct_provider.client.results import RecordResult, read_elements
from intacct_provider.client.session import Session
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctError,
    IntacctIncompleteReadError,
    IntacctNotFoundError,
    IntacctResponseError,
)


class RecordReader:
    """Reads whole records. The public methods of the client say what each of these promises."""

    def __init__(self, session: Session, catalog: Catalog, queries: QueryReader) -> None:
        self._session = session
        self._catalog = catalog
        self._queries = queries

    def list_references(self, object_name: str) -> list[dict[str, Any]]:
        """Return the references that a GET of the collection gives, 100 at most."""
        reply = self._catalog.read(object_name, Request("GET", collection_path(object_name)))
        if not isinstance(reply.result, list):
            raise IntacctResponseError(f"The response to the list of {object_name} is not a list.")
        if not all(isinstance(item, Mapping) for item in reply.result):
            raise IntacctResponseError(
                f"The response to the list of {object_name} has elements that are not records."
            )
        return [drop_metadata(item) for item in reply.result]

    def get(self, object_name: str, key: str, *, flatten: bool) -> dict[str, Any]:
        """Return one record."""
        key = check_key(key)
        reply = self._catalog.read(object_name, Request("GET", record_path(object_name, [key])), key=key)
        record = _read_record(reply.result, key, object_name)
        return flatten_record(record) if flatten else record

    def get_many(self, object_name: str, keys: Sequence[str], *, flatten: bool) -> Iterator[dict[str, Any]]:
        """Yield the records with these keys, in order, reading 500 a call."""
        for chunk in split_keys(object_name, check_keys(keys)):
            if len(chunk) == 1:
                yield self.get(object_name, chunk[0], flatten=flatten)
                continue
            reply = self._session.send(Request("GET", record_path(object_name, chunk)))
            found = read_elements(reply, _identify(chunk), done="read")
            for result, _ in found:
                if result.error:
                    raise self._catalog.explain(result.error, object_name)
            self._session.bill(1)
            for key, (_, element) in zip(chunk, found, strict=True):
                record = _read_record(element, key, object_name)
                yield flatten_record(record) if flatten else record

    def find(self, object_name: str, record_id: str) -> dict[str, Any] | None:
        """Return the reference of the record with this id, or None."""
        if text_or_none(record_id) is None:
            raise IntacctArgumentError(f"id must be a record's id, such as 'C-100', not {record_id!r}.")
        query = Query.build(object_name, ["key", "id", "href"], filters=field("id") == record_id)
        page = self._queries.first_page(query, 2)
        if len(page.rows) > 1:
            raise IntacctError(
                f"Several records of {object_name} have the id {record_id!r}; name the one you mean by its key."
            )
        for row in page.rows:
            if fold_id(str(row["id"])) != fold_id(str(record_id)):
                raise IntacctResponseError(
                    f"Intacct answered with the record {shorten_name(row['id'])} of {object_name} (key {row['key']}) "
                    f"where the one with the id {record_id!r} was asked for."
                )
        return page.rows[0] if page.rows else None

    def read_records(self, object_name: str, pages: Iterable[Page]) -> Iterator[list[dict[str, Any]]]:
        """Yield the records with the keys of pages that still exist, in their order, in lists of 500 at most."""
        workers, stopped = self._session.transport.limit.read_allowed, threading.Event()
        read = partial(self._read_existing, object_name, stopped)
        wanted = (chunk for page in pages for chunk in split_keys(object_name, page.keys))
        with closing(wanted), closing(in_order(make_pool(workers), workers, read, wanted, stopped)) as lists:
            yield from lists

    def _read_existing(
        self, object_name: str, stopped: threading.Event, keys: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return those of the records with these keys that still exist."""
        reply = self._session.send(Request("GET", record_path(object_name, keys), stopped=stopped))
        if len(keys) == 1:
            found = [(RecordResult(0, error=reply.error()), reply.result)]
        else:
            found = read_elements(reply, _identify(keys), done="read")
        missing = []
        for key, (result, _) in zip(keys, found, strict=True):
            if isinstance(result.error, IntacctNotFoundError):
                missing.append(key)
            elif result.error:
                raise self._catalog.explain(result.error, object_name)
        left = self._query_keys(object_name, missing) if missing else []
        if left and len(left) < len(keys) and all(element is None for _, element in found):
            # One response for all, because some of them no longer exist.
            return self._read_existing(object_name, stopped, left)
        if left:
            raise IntacctIncompleteReadError(
                f"A query shows the record of {object_name} with key {left[0]}, but asked for it by that key, Intacct "
                "says that there is none."
            )
        if len(missing) == len(keys):
            return []
        self._session.bill(1)
        pairs = zip(keys, found, strict=True)
        return [_read_record(element, key, object_name) for key, (result, element) in pairs if result.ok]

    def _query_keys(self, object_name: str, keys: Sequence[str]) -> list[str]:
        """Return those of some keys that a query finds."""
        query = Query.build(
            object_name,
            ["key"],
            filters=[{"$in": {"key": keys}}],
            filter_parameters={"includePrivate": True},
            order_by=[{"key": "asc"}],
        )
        return [row["key"] for row in self._queries.iter_rows(query)]


def _identify(keys: Sequence[str]) -> list[Sent]:
    return [Sent(n, key) for n, key in enumerate(keys)]


def _read_record(element: Any, key: str, object_name: str) -> dict[str, Any]:
    """Return a record that was asked for by its key, which Intacct leaves out for account groups.

    :raises IntacctResponseError: if it is another record, or none.
    """
    if not isinstance(element, Mapping):
        raise IntacctResponseError(f"The response for key {key} of {object_name} is not a record.")
    record: dict[str, Any] = {"key": key, **drop_metadata(read_reference(element))}
    if str(record["key"]) != key:
        raise IntacctResponseError(
            f"Intacct answered with record {shorten_name(record['key'])} of {object_name} where {key} was asked for."
        )
    return record
