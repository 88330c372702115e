"""The addresses of the API, and the operation behind each of their methods."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from intacct_provider.sandbox.api import allowed_operations, bulk_jobs, composite
from intacct_provider.sandbox.api.batch import ObjectCalls
from intacct_provider.sandbox.api.dimensions import list_dimensions
from intacct_provider.sandbox.api.idempotency import KeyLocks, fingerprint, run_once
from intacct_provider.sandbox.api.messages import (
    ApiRequest,
    ApiResponse,
    decode_json,
    error_response,
    one_result,
)
from intacct_provider.sandbox.api.model import describe
from intacct_provider.sandbox.api.variants import vary_request, vary_response
from intacct_provider.sandbox.auth import TokenRequestError, read_token_request
from intacct_provider.sandbox.errors import ApiError, invalid, unknown_address
from intacct_provider.sandbox.faults.churn import churn
from intacct_provider.sandbox.objects.names import ENTITY
from intacct_provider.sandbox.query.service import run_query
from intacct_provider.sandbox.records import event_queue
from intacct_provider.sandbox.records.audit import Author
from intacct_provider.sandbox.records.crud import Records, ensure_user
from intacct_provider.sandbox.state import State
from intacct_provider.sandbox.store import Database, find_key

log = logging.getLogger(__name__)

Operation = Callable[..., ApiResponse]
"""Takes the API, the request and, by name, the variable segments of the address."""

SESSION_LIFE = 21600


@dataclass(slots=True)
class Api:
    """The operations of the API on one company."""

    state: State
    key_locks: KeyLocks = field(default_factory=KeyLocks)

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Carry out a request, or a part of a composite one, and bill it. Errors are responses too."""
        faults = self.state.faults
        try:
            response = self._handle(vary_request(request, faults) if faults.variants else request)
        except ApiError as error:
            response = error_response(error)
        except Exception:
            log.exception("The sandbox itself failed on %s %s", request.method, request.path)
            response = error_response(ApiError(500, "operationFailed", "The sandbox failed; see its log"))
        if faults.variants:
            response = vary_response(request, response, faults)
        call = request.call
        call.transactions += response.transactions
        self.state.ledger.add(call.name, call.caller or "", response.transactions)
        return response

    def token(self, request: ApiRequest) -> ApiResponse:
        """Return new tokens, or OAuth's error."""
        try:
            fields = read_token_request(request.body, request.headers.get("content-type", ""))
            with self.state.store.transaction() as conn:
                return ApiResponse(200, self.state.tokens.issue_tokens(conn, fields, self.state.store.now()))
        except TokenRequestError as error:
            return ApiResponse(error.status, error.body())

    def options(self, request: ApiRequest, **_: str) -> ApiResponse:
        """Return the methods that an address supports; a token is needed, as for every call."""
        with self._session(request):
            request.allow_parameters()
        address, names = find_address(request.path, self.state.store.catalog.objects)
        return ApiResponse(204, headers={"Allow": ", ".join(sorted(self._find_methods(address, names)))})

    def list(self, request: ApiRequest, **names: str) -> ApiResponse:
        """Return references to the records of an object."""
        with self._object_calls(request, **names) as calls:
            return calls.list()

    def create(self, request: ApiRequest, **names: str) -> ApiResponse:
        """Add one record or several."""
        with self._object_calls(request, **names) as calls:
            return write_once(calls, request, lambda: calls.create(request.body))

    def update_several(self, request: ApiRequest, **names: str) -> ApiResponse:
        """Change the records whose keys are in the body."""
        with self._object_calls(request, **names) as calls:
            return write_once(calls, request, lambda: calls.update_many(request.body))

    def get(self, request: ApiRequest, keys: str, **names: str) -> ApiResponse:
        """Return one record, or several in the order of their keys."""
        with self._object_calls(request, **names) as calls:
            return calls.get(keys.split(","))

    def update(self, request: ApiRequest, keys: str, **names: str) -> ApiResponse:
        """Change the record whose key is in the address."""
        with self._object_calls(request, **names) as calls:
            return write_once(calls, request, lambda: calls.update(keys, request.body))

    def delete(self, request: ApiRequest, keys: str, **names: str) -> ApiResponse:
        """Delete one record or several."""
        with self._object_calls(request, **names) as calls:
            return calls.delete(keys.split(","))

    def query(self, request: ApiRequest) -> ApiResponse:
        """Return a page of a query."""
        with self._session(request) as (conn, author):
            body = decode_json(request.body, "POST")
            faults, today = self.state.faults, author.now.date()
            result = run_query(conn, body, entity_key=author.entity, today=today, faults=faults)
            call = request.call
            call.name, call.rows = body["object"], len(result["ia::result"])
            if faults.churn and result["ia::meta"]["next"]:
                churn(conn, conn.catalog.queryable[call.name], faults.churn, author)
        return ApiResponse(200, result, 1)

    def model(self, request: ApiRequest) -> ApiResponse:
        """Return the description of an object."""
        with self._session(request) as (conn, _author):
            return ApiResponse(200, describe(request.query, conn.catalog), 1)

    def composite(self, request: ApiRequest) -> ApiResponse:
        """Return the results of a composite request; each of its parts is a transaction of its own."""
        with self._session(request):
            request.allow_parameters()
        parts = composite.read_parts(decode_json(request.body, "POST"))
        return composite.run(parts, request, self.handle)

    def create_job(self, request: ApiRequest) -> ApiResponse:
        """Queue a bulk job."""
        with self._session(request) as (conn, author):
            request.allow_parameters()
            order = bulk_jobs.read_order(request.parts, conn.catalog)
            caller = request.call.caller or ""
            digest = fingerprint(request.method, request.path, str(author.entity), *order.content)

            def write() -> ApiResponse:
                return one_result(200, bulk_jobs.create(conn, order, author, caller), 0)

            return run_once(conn, request.idempotency_key, digest, author.now, write)

    def job_status(self, request: ApiRequest) -> ApiResponse:
        """Return the status of a bulk job, or its results."""
        with self._session(request) as (conn, author):
            request.allow_parameters("jobId", "download")
            return bulk_jobs.status(conn, request.query, author.user)

    def allowed_operations(self, request: ApiRequest) -> ApiResponse:
        """Return what the caller may do with records."""
        with self._session(request) as (conn, author):
            request.allow_parameters()
            wanted = allowed_operations.read_request(decode_json(request.body, "POST"), conn.catalog)
            request.call.name = wanted.object
            return ApiResponse(200, allowed_operations.list_allowed(conn, wanted, author.entity), 1)

    def session_id(self, request: ApiRequest) -> ApiResponse:
        """Return a session id for the XML API, which the sandbox does not have."""
        with self._session(request):
            request.allow_parameters()
        return one_result(200, {"sessionId": secrets.token_urlsafe(42), "expiresIn": SESSION_LIFE}, 1)

    def dimensions(self, request: ApiRequest) -> ApiResponse:
        """Return the dimensions of the company."""
        with self._session(request) as (conn, _author):
            request.allow_parameters()
            return ApiResponse(200, list_dimensions(conn.catalog), 1)

    def count_events(self, request: ApiRequest) -> ApiResponse:
        """Return how many events wait in the queue."""
        with self._session(request) as (conn, _author):
            request.allow_parameters()
            return one_result(200, {"count": event_queue.count_events(conn)}, 1)

    def list_events(self, request: ApiRequest) -> ApiResponse:
        """Return the events to acknowledge next."""
        with self._session(request) as (conn, _author):
            request.allow_parameters()
            return one_result(200, event_queue.list_events(conn), 1)

    def acknowledge_events(self, request: ApiRequest) -> ApiResponse:
        """Remove the events of a list from the queue."""
        with self._session(request) as (conn, _author):
            request.allow_parameters()
            return one_result(200, event_queue.acknowledge(conn, decode_json(request.body, "POST")), 1)

    def _handle(self, request: ApiRequest) -> ApiResponse:
        address, names = find_address(request.path, self.state.store.catalog.objects)
        operation = address.operations.get("GET" if request.method == "HEAD" else request.method)
        allowed = self._find_methods(address, names)
        if operation is None or request.method not in allowed:
            text = f"The method {request.method} is not allowed for {request.path}"
            raise ApiError(405, "invalidRequest", text, headers={"Allow": ", ".join(sorted(allowed))})
        # Lock the key before waiting for the database, so that a request in progress is seen, not waited for.
        with self.key_locks.hold(request.idempotency_key if operation in KEYED else None):
            bulk_jobs.advance(self.state)
            return operation(self, request, **names)

    def _find_methods(self, address: Address, names: Mapping[str, str]) -> frozenset[str]:
        """Return the methods of an address; those of an object are in its model."""
        if not names:
            return address.methods
        object_type = self.state.store.catalog.objects[f"{names['application']}/{names['name']}"]
        return address.methods & {*object_type.methods.split(","), "HEAD"}

    @contextmanager
    def _session(self, request: ApiRequest) -> Iterator[tuple[Database, Author]]:
        """Begin a transaction; check the token, and find the entity of the header or else of the token."""
        state, call = self.state, request.call
        with state.store.transaction() as conn:
            now = state.store.now()
            grant = state.tokens.check_bearer(conn, request.headers.get("authorization"), now)
            call.entity = request.headers.get("x-ia-api-param-entity") or grant.entity
            call.caller = f"{grant.user}@{state.identity.company}"
            entity = None if call.entity is None else find_key(conn, ENTITY, "id", call.entity)
            if call.entity is not None and entity is None:
                raise invalid(f"The entity {call.entity} of X-IA-API-Param-Entity does not exist")
            yield conn, Author(ensure_user(conn, grant.user, now), entity, now)

    @contextmanager
    def _object_calls(self, request: ApiRequest, application: str, name: str) -> Iterator[ObjectCalls]:
        """Begin a transaction on the object in the address."""
        with self._session(request) as (conn, author):
            object_type = conn.catalog.objects[f"{application}/{name}"]
            request.call.name = object_type.name
            request.allow_parameters()
            atomic = request.atomic and request.method not in ("GET", "HEAD")  # a read has nothing to undo
            yield ObjectCalls(Records(conn, object_type, author), atomic)


def write_once(calls: ObjectCalls, request: ApiRequest, write: Callable[[], ApiResponse]) -> ApiResponse:
    """Carry out a write on an object, or repeat the response that its idempotency key already has."""
    author = calls.records.author
    digest = fingerprint(request.method, request.path, str(author.entity), str(calls.atomic), request.body)
    return run_once(calls.records.conn, request.idempotency_key, digest, author.now, write)


KEYED = frozenset({Api.create, Api.update, Api.update_several, Api.create_job})
"""The operations that take an ``Idempotency-Key``."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address below ``/ia/api/v1``, with the operation of each method.

    :param path: with a name in braces for each variable segment.
    """

    path: str
    operations: Mapping[str, Operation]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))
        object.__setattr__(self, "pattern", pattern)

    @property
    def methods(self) -> frozenset[str]:
        """The supported methods; HEAD is a GET of which only the headers are sent."""
        return frozenset(self.operations) | ({"HEAD"} if "GET" in self.operations else frozenset())


ADDRESSES: Sequence[Address] = (
    Address("/oauth2/token", {"POST": Api.token}),
    Address(
        "/objects/{application}/{name}",
        {"OPTIONS": Api.options, "GET": Api.list, "POST": Api.create, "PATCH": Api.update_several},
    ),
    Address(
        "/objects/{application}/{name}/{keys}",
        {"OPTIONS": Api.options, "GET": Api.get, "PATCH": Api.update, "DELETE": Api.delete},
    ),
    Address("/services/core/query", {"POST": Api.query}),
    Address("/services/core/model", {"GET": Api.model}),
    Address(composite.PATH, {"POST": Api.composite}),
    Address("/services/core/allowed-operations/list", {"POST": Api.allowed_operations}),
    Address("/services/core/session/id", {"GET": Api.session_id}),
    Address("/services/bulk/job/create", {"POST": Api.create_job}),
    Address(bulk_jobs.STATUS_PATH, {"GET": Api.job_status}),
    Address("/services/company-config/dimensions/list", {"GET": Api.dimensions}),
    Address("/services/delivery/event/count", {"GET": Api.count_events}),
    Address("/services/delivery/event/list", {"GET": Api.list_events}),
    Address("/services/delivery/event/ack", {"POST": Api.acknowledge_events}),
)


def find_address(path: str, objects: Container[str]) -> tuple[Address, dict[str, str]]:
    """Return the address of a path, and the values of its variable segments.

    :raises ApiError: 404 for an unknown address, or the address of an unknown object.
    """
    for address in ADDRESSES:
        found = address.pattern.fullmatch(path)
        names = found.groupdict() if found else {}
        if found and (not names or f"{names['application']}/{names['name']}" in objects):
            return address, names
    raise unknown_address(path)
