"""The client: everything that a program can do with the records of one company, on one page."""

from __future__ import annotations

import builtins  # ``list`` is a method of the client
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.http.auth import CredentialStore
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.client.model import ModelField
from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.pages import Page, Row, Totals
from intacct_provider.client.paging.row_formats import RowFormat
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, check_page
from intacct_provider.client.reading.event_queue import EventBatch, EventQueue
from intacct_provider.client.reading.filter_values import FilterValues
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.reading.records import RecordReader
from intacct_provider.client.results import RecordResult
from intacct_provider.client.session import Session
from intacct_provider.client.usage import OnUsage
from intacct_provider.client.writing.bulk_jobs import BulkJobs, JobStatus
from intacct_provider.client.writing.composite import CompositeCall, CompositeResult
from intacct_provider.client.writing.composite_request import read_parts
from intacct_provider.client.writing.deletion import RecordDeleter
from intacct_provider.client.writing.writer import RecordWriter

Record = Mapping[str, Any]


class IntacctClient:
    """Reads and writes the records of one Intacct company, or of one entity of it.

    Safe to share between threads. Reads are complete or raise; writes carry idempotency keys, so that retrying
    never creates a duplicate.

    :param config: company, credentials and limits.
    :param store: keeps rotated refresh tokens (``auth_type="refresh_token"`` only).
    :param on_secret: called with every token as soon as it is known, so that it can be masked.
    :param retry: how long to retry when the server does not respond.
    :param on_usage: called with what each call took, in parts; see :class:`~intacct_provider.client.Usage`. It
        must be quick, must not raise, and is called on any thread.
    """

    def __init__(
        self,
        config: IntacctConfig,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
        retry: RetryPolicy | None = None,
        on_usage: OnUsage | None = None,
    ) -> None:
        self._session = Session(config, store=store, on_secret=on_secret, retry=retry, on_usage=on_usage)
        self._catalog = Catalog(self._session)
        self._queries = QueryReader(self._session, self._catalog)
        self._filter_values = FilterValues(self._catalog, self._queries)
        self._records = RecordReader(self._session, self._catalog, self._queries)
        self._writer = RecordWriter(self._session, self._catalog, self._queries)
        self._deleter = RecordDeleter(self._session, self._catalog, self._queries)
        self._jobs = BulkJobs(self._session)
        self._events = EventQueue(self._session)

    # --- connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Tokens are never revoked: that would end every session of the user."""
        self._session.close()

    @property
    def config(self) -> IntacctConfig:
        """Company, credentials and limits."""
        return self._session.config

    @property
    def transactions(self) -> int:
        """Billed API transactions so far: each read that was answered, each record that was written."""
        return self._session.transactions

    @property
    def transactions_here(self) -> int:
        """Those of the calls that the current thread has made; what other threads do meanwhile does not count."""
        return self._session.transactions_here

    def server_time(self, seconds_before: float = 0.0) -> str | None:
        """Return when Intacct last responded, by its own clock, or this many seconds earlier; None if unknown."""
        return self._session.server_time(seconds_before)

    @property
    def idempotency(self) -> IdempotencyKeys:
        """What makes the idempotency keys of this client's writes."""
        return self._session.idempotency

    @property
    def before_call(self) -> Callable[[int], None] | None:
        """Called before each call with how many transactions there will be including it; raises to prevent the call."""
        return self._session.before_call

    @before_call.setter
    def before_call(self, hook: Callable[[int], None] | None) -> None:
        self._session.before_call = hook

    # --- queries

    def query(
        self,
        object_name: str | Query,
        fields: Sequence[str] | None = None,
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        exclude: Sequence[str] | None = None,
        start: int = 1,
        size: int | None = None,
    ) -> Page:
        """Return one page of a query. To read everything use :meth:`iter_rows`.

        :param object_name: path such as ``accounts-receivable/customer``, or a whole
            :class:`~intacct_provider.client.query.Query`, with which no other part can be given.
        :param fields: field names, ``relation.field`` names or aggregates such as ``sum:totalDue``; ``"*"`` for all of
            :meth:`queryable_fields`.
        :param filters: Intacct's JSON conditions, or an expression of :func:`field`.
        :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``.
        :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
            ``includePrivate``.
        :param order_by: such as ``[{"id": "asc"}]``. Without one Intacct guarantees no order.
        :param exclude: fields that ``"*"`` does not stand for; a group or reference excludes all that is in it.
        :param start: position of the first row, from 1.
        :param size: rows at most, 1 to 4000; by default the connection's ``page_size``.
        :raises IntacctArgumentError: for a query that cannot be right, before a call is made.
        """
        size = self.config.page_size if size is None else size
        check_page(start, size)
        query = self._queries.build_query(
            object_name,
            fields,
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
            order_by=order_by,
            exclude=exclude,
        )
        return self._filter_values.read_page(query, lambda: self._queries.page(query, start, size))

    def first_page(self, query: Query, size: int) -> Page:
        """Return the first page of a query.

        Unlike :meth:`query`, it does not believe one response that there are no records: it asks once more, for one
        transaction more. So nothing is skipped, replaced or deleted because of one false response.
        """
        check_page(1, size)
        return self._filter_values.read_page(query, lambda: self._queries.first_page(query, size))

    def iter_rows(
        self,
        object_name: str | Query,
        fields: Sequence[str] | None = None,
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        exclude: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Yield every row that existed during the whole read, once, or raise.

        Rows come in order of key with one page in memory. With an ``order_by`` they come in that order and
        are held in memory; when they fill more than one page, another read of the keys alone proves them complete.
        Where the server does not sort or compare keys as numbers, rows are read by position, and come in no order
        that can be relied on. Records that are created or deleted meanwhile may be among them or not. The parameters
        are those of :meth:`query`.

        Pages are fetched lazily. After the last row, the counts that came with the pages prove that
        nothing is missing; if they do not agree, a few calls more find out what changed meanwhile.

        :raises IntacctIncompleteReadError: if completeness cannot be proven, naming the first keys that are missing.
            Rows have already been yielded, so use them only after the iteration ends without an error.
        """
        query = self._queries.build_query(
            object_name,
            fields,
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
            order_by=order_by,
            exclude=exclude,
        )
        return self._filter_values.iter_rows(query)

    def read_pages(
        self,
        query: Query,
        rows: RowFormat,
        *,
        above: str | None = None,
        upto: str | None = None,
    ) -> CompleteRead:
        """Return every row that exists during the whole read, once, in pages that are read ahead.

        Up to ``max_concurrency`` calls are in flight, so stopping early pays for pages that are never taken. Rows come
        in order of key, unless keys cannot be used for paging. Those of records that are found to match only after that
        come last, in pages that say so by ``late``.

        :param query: fields and filters, and no order.
        :param rows: the form of the rows, such as :class:`~intacct_provider.client.StructRows` of
            the query's fields.
        :param above: only rows with keys above this one.
        :param upto: only rows with keys up to this one.
        :raises IntacctArgumentError: for bounds that are not keys, and for a query of aggregates or with an order.
        :raises IntacctIncompleteReadError: while iterating, if completeness cannot be proven.
        """
        return self._queries.read_pages(query, rows, above=above, upto=upto)

    def totals(
        self, query: Query, sums: Sequence[str] = (), *, above: str | None = None, upto: str | None = None
    ) -> Totals:
        """Return how many records a query matches, and what fields of them add up to; one call.

        :param query: its fields and order do not matter.
        :param sums: fields that have amounts or other numbers.
        :param above: only records with keys above this one.
        :param upto: only records with keys up to this one.
        """
        return self._filter_values.read_totals(query, lambda: self._queries.totals(query, sums, above, upto))

    def check_filters(self, query: Query) -> Query:
        """Return the query after its filters were checked for values that no record can have.

        :meth:`query`, :meth:`iter_rows` and :meth:`totals` do so by themselves, :meth:`read_pages` does not. Values of
        enumerations, booleans, numbers, dates and times are compared with the object's model, which costs one call per
        client and object; what the model rules out costs one more, since a value that a record has is right. So do
        conditions that exclude each other in fields of their type.

        :raises IntacctArgumentError: naming the field, the value and the nearest one.
        """
        return self._filter_values.check(query)

    def check_entities(self, query: Query, ids: Sequence[str], *, argument: str = "filters") -> None:
        """Make sure that entities exist of which a query has found no record; one billed call.

        :meth:`query`, :meth:`iter_rows` and :meth:`totals` do so by themselves if they find nothing.

        :param argument: that names them, for messages.
        :raises IntacctArgumentError: naming one that does not exist, and the nearest that does.
        """
        self._filter_values.entities.check(query, ids, argument=argument)

    # --- records

    def get(self, object_name: str, key: str, *, flatten: bool = False) -> dict[str, Any]:
        """Return one record, nested as Intacct keeps it.

        :param flatten: give dotted names, as in the rows of a query, and None for what an empty reference holds.
            Lists stay lists of nested records.
        :raises IntacctNotFoundError: if there is no record with that key.
        """
        return self._records.get(object_name, key, flatten=flatten)

    def get_many(
        self, object_name: str, keys: Sequence[str], *, flatten: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield the records with these keys, in order, reading 500 a call.

        :param flatten: as in :meth:`get`.
        :raises IntacctNotFoundError: if one of them does not exist.
        """
        return self._records.get_many(object_name, keys, flatten=flatten)

    def read_records(
        self, object_name: str, pages: Iterable[Page]
    ) -> Iterator[builtins.list[dict[str, Any]]]:
        """Yield the whole records with the keys of pages, in their order, in lists of 500 at most.

        Up to ``max_concurrency`` calls are in flight. A record that was deleted after its key was read is left out.

        :raises IntacctIncompleteReadError: for a record that a query shows, but that cannot be read by its key.
        """
        return self._records.read_records(object_name, pages)

    def find(self, object_name: str, id: str) -> dict[str, Any] | None:  # noqa: A002
        """Return the reference (key, id, href) of the record with this id, or None.

        :raises IntacctError: if several records have it.
        """
        return self._records.find(object_name, id)

    def list(self, object_name: str) -> builtins.list[dict[str, Any]]:
        """Return references (key, id, href) as Intacct's list gives them: 100 at most, without order.

        To read records use :meth:`iter_rows`.
        """
        return self._records.list_references(object_name)

    # --- writes

    def create(self, object_name: str, record: Record, *, with_key: bool = True) -> dict[str, Any]:
        """Create a record and return its reference (key, id, href); one transaction.

        Done once, however often it is sent: it carries an idempotency key.

        :param with_key: look the key up by id, for one more transaction, if Intacct does not return it, as for
            customer groups. It is None if it cannot be found; the record is written nevertheless.
        :raises IntacctConflictError: if another record has that id.
        :raises IntacctValidationError: if Intacct rejects the content.
        :raises IntacctIdempotencyError: if the idempotency key was used for other content, a defect of this
            provider; nothing was written.
        :raises IntacctConnectionError: if no response came; the record may be written. The same work under the same
            :attr:`idempotency` scopes finds out, and does not write it twice.
        :raises IntacctServerError: likewise, after responses that do not say whether it happened.
        """
        return self._writer.create(object_name, record, with_key=with_key)

    def update(self, object_name: str, key: str, changes: Record) -> dict[str, Any]:
        """Change fields of a record and return its reference (key, id, href); one transaction.

        Fields that are not named stay as they are, None clears a field. ``groupMembers`` of a customer group is
        replaced as a whole. Done once, however often it is sent, as :meth:`create`.

        :raises IntacctNotFoundError: if there is no record with that key.
        :raises IntacctError: what :meth:`create` raises.
        """
        return self._writer.update(object_name, key, changes)

    def delete(self, object_name: str, key: str, *, missing_ok: bool = False) -> None:
        """Delete a record; one transaction if it existed.

        If a delete is retried after a lost response and the record is missing, it counts as deleted.

        :param missing_ok: count a missing record as deleted. An unknown object is still an error; distinguishing
            them costs one more read, unless the object is a well-known one.
        :raises IntacctNotFoundError: if there is no record with that key, or no such object.
        :raises IntacctValidationError: if the record is in use.
        """
        self._deleter.delete(object_name, key, missing_ok)

    def create_many(
        self, object_name: str, records: Sequence[Record], atomic: bool = False, *, with_key: bool = True
    ) -> builtins.list[RecordResult]:
        """Create records and return one result per record, in order; one transaction per record written.

        A call carries 500 records and about 1 MB at most. A record that is rejected is a result with an error, and does
        not keep the others from being written. Every call carries an idempotency key: sent again, also by a later
        attempt under the same :attr:`idempotency` scopes, it writes nothing twice, and what was rejected then is tried
        again.

        :param atomic: all or none; only for as many records as fit into one call. If one is rejected the others are
            results whose ``unprocessed`` is True.
        :param with_key: look keys up by id, 500 a read, if Intacct does not return them, as for customer groups.
        :raises IntacctArgumentError: for records that cannot be sent, before a call is made.
        :raises IntacctInterruptedWriteError: if the write stopped partway; it keeps the results so far.
        :raises IntacctError: what stopped it, if no call was answered; see :meth:`create`.
        """
        return self._writer.create_many(object_name, records, atomic, with_key=with_key)

    def update_many(
        self, object_name: str, changes: Sequence[Record], atomic: bool = False
    ) -> builtins.list[RecordResult]:
        """Update records and return one result per record, in order; one transaction per record written.

        As :meth:`create_many`. Every result has the key that was given.

        :param changes: for each record its ``key`` and the fields to change.
        :param atomic: all or none; only for as many records as fit into one call.
        :raises IntacctArgumentError: for a change without a key, before a call is made.
        :raises IntacctInterruptedWriteError: if the write stopped partway; it keeps the results so far.
        """
        return self._writer.update_many(object_name, changes, atomic)

    def delete_many(
        self, object_name: str, keys: Sequence[str], atomic: bool = False, *, missing_ok: bool = False
    ) -> builtins.list[RecordResult]:
        """Delete records and return one result per key, in order; one transaction per record deleted.

        A call carries 500 keys at most. If a call is retried after a lost response, records that are missing then count
        as deleted.

        :param atomic: all or none; only for as many keys as fit into one call.
        :param missing_ok: count missing records as deleted, as :meth:`delete` does. Then they do not keep the
            other records of an atomic deletion from being deleted.
        :raises IntacctArgumentError: for what is not a key, before a call is made.
        :raises IntacctInterruptedWriteError: if the deletion stopped partway; it keeps the results so far.
        """
        return self._deleter.delete_many(object_name, keys, atomic, missing_ok)

    # --- services

    def composite(self, requests: Sequence[Mapping[str, Any]]) -> builtins.list[CompositeResult]:
        """Carry out 2 to 10 requests in one call and return one result per request, in order.

        Each request is a mapping as Intacct documents it: ``method`` (GET, POST, PATCH or DELETE), ``path`` below the
        API's base (``/objects/...`` or ``/services/...``), ``body`` for POST and PATCH, ``headers`` and
        ``resultReference``. Later requests refer to the result of an earlier one by its ``resultReference``:
        ``@{customer.key}``, or ``@{rows.1.key}`` for the first row of a list.

        They are carried out in order, each on its own, up to the first that fails. What was done before it stays done;
        those after it are results whose ``unprocessed`` is True. A failure does not raise: look at ``ok``.

        POST and PATCH carry idempotency keys, so a call whose response was lost is sent again and nothing is done
        twice, and a failure that an earlier attempt left in Intacct's cache is asked again. A deletion cannot be
        repeated so: a call in which one stands anywhere but last is sent once. Every request runs in the client's
        entity unless its headers name another.

        Billed as the requests would be alone: each read that was answered, each record written.

        :raises IntacctArgumentError: for requests that cannot be right, before a call is made.
        :raises IntacctValidationError: if Intacct rejects the call as a whole; nothing was done.
        :raises IntacctConnectionError: if no response came; what was done is unknown. The same work under the same
            :attr:`idempotency` scopes finds out, and does nothing twice.
        :raises IntacctServerError: likewise, after responses that do not say whether it happened.
        """
        parts = read_parts(requests, self._session.entity_headers)
        return CompositeCall(parts, self._session, self._catalog, self._queries).run()

    def submit_job(
        self,
        object_name: str,
        operation: str,
        records: Sequence[Record | str],
        *,
        callback_url: str | None = None,
        before_sending: Callable[[], None] | None = None,
    ) -> str:
        """Submit a bulk job and return its id; Intacct writes the records later, each on its own.

        One transaction, for a read that shows whether the access token is good. Intacct bills each record as it writes
        it, which :attr:`transactions` does not count.

        A job is sent once, whether its response is lost or rejects the token: Intacct may have taken it, and to send it
        again might write its records twice. That goes for an Airflow retry, too. It carries an idempotency key
        nevertheless.

        :param operation: ``create``, ``update`` or ``delete``.
        :param records: the records; to update, each with its ``key``; to delete, keys or ``{"key": ...}``.
        :param callback_url: where Intacct reports the end.
        :param before_sending: called when nothing but the job itself is left to be sent; what it raises prevents that.
        :raises IntacctArgumentError: for what cannot be submitted, such as more than 100,000 records or 100 MB, before
            a call is made.
        :raises IntacctValidationError: if Intacct rejects the job.
        :raises IntacctConnectionError: if no response came. Unless the connection was never established, the job may
            have been accepted; ``retryable`` is then False, here and for the two below.
        :raises IntacctServerError: if the response does not say whether it happened.
        :raises IntacctResponseError: if the response names no job, or rejects the token.
        """
        return self._jobs.submit(object_name, operation, records, callback_url, before_sending)

    def job_status(self, job_id: str) -> JobStatus:
        """Return the status of a bulk job; one transaction.

        :raises IntacctNotFoundError: if there is no such job of this user.
        :raises IntacctResponseError: for a state that Intacct does not document.
        """
        return self._jobs.status(job_id)

    def job_result(
        self, job_id: str, *, count: int | None = None, records: Sequence[Record | str] | None = None
    ) -> builtins.list[RecordResult]:
        """Return the outcome of each record of a bulk job that has ended, in the order of its file.

        A completed job can hold rejected records. Deleted records and new customer groups have no key in the response.
        Two transactions, or one if the job is still running. The whole file is held in memory.

        :param count: how many records were submitted, to prove that each is accounted for.
        :param records: those that were submitted, instead of ``count``: then results come in their order, and belong to
            them by key or id, wherever they are in the file.
        :raises IntacctError: if the job is still running; ``retryable``.
        :raises IntacctInterruptedWriteError: if it failed as a whole; ``results`` has what was written before.
        :raises IntacctNotFoundError: if there is no such job of this user.
        :raises IntacctResponseError: if the file does not account for every record, or contradicts itself.
        """
        return self._jobs.results(job_id, count, records)

    # --- events

    def count_events(self) -> int:
        """Return how many events wait in the queue of the client id; one transaction."""
        return self._events.count()

    def list_events(self) -> EventBatch:
        """Return the next events of the queue of the client id, at most as many as Intacct lists; one transaction.

        Platform triggers of the type *Event queue* store them, in Intacct. The same events are listed again until they
        are acknowledged. All that use the client id share the queue, in every entity.

        :raises IntacctResponseError: for events that could never be acknowledged.
        """
        return self._events.list()

    def acknowledge_events(self, ack_id: str) -> None:
        """Remove the events of a list from the queue, all together; one transaction.

        :param ack_id: of the :class:`~intacct_provider.client.EventBatch`.
        :raises IntacctNotFoundError: if no such list waits, for example because it is acknowledged.
        :raises IntacctResponseError: if Intacct does not confirm it.
        """
        self._events.acknowledge(ack_id)

    # --- model

    def model(self, object_name: str) -> dict[str, Any]:
        """Return the model service's description: ``fields``, ``groups``, ``refs`` and ``lists``.

        Read once per client and object. As Intacct sends it, except that empty maps are ``{}``, not ``[]``.
        :meth:`fields` is easier to read.

        :raises IntacctNotFoundError: if Intacct has no such object, naming the closest.
        """
        return self._catalog.model(object_name)

    def models(self, object_names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the models of objects that are owned by others, such as the lines of an invoice, by object.

        One call reads all that Intacct lists, and each of the others is asked for once by its name. Objects without a
        model, or whose model may not be read, are missing.
        """
        return self._catalog.models(object_names)

    def fields(self, object_name: str) -> dict[str, ModelField]:
        """Return the object's fields by dotted name, those of groups and references and lists included.

        Read once per client and object, together with :meth:`model`.

        :raises IntacctNotFoundError: if Intacct has no such object, naming the closest.
        """
        return self._catalog.fields(object_name)

    def queryable_fields(self, object_name: str, exclude: Sequence[str] = ()) -> builtins.list[str]:
        """Return the names that ``fields="*"`` stands for: all but lists and write-only fields, ``key`` first.

        Whatever order Intacct sends them in, the others are sorted, so that the columns of two exports agree.

        :raises IntacctNotFoundError: if Intacct has no such object, naming the closest.
        """
        return self._catalog.queryable_fields(object_name, exclude)

    def object_names(self, kind: str | None = None) -> builtins.list[str]:
        """Return the paths of all objects of the company, custom ones included.

        :param kind: ``ownedObject`` for those that exist only in lists of others, which are not among all.
        """
        return self._catalog.object_names(kind)

    def has_object(self, object_name: str) -> bool | None:
        """Whether Intacct has such an object; None if that cannot be found out.

        Asks the model service, once per client, unless the object is a well-known one.
        """
        return self._catalog.has_object(object_name)
