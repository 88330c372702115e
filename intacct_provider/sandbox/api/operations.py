"""What the API can do: its addresses, and the operation behind each of their methods."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from intacct_provider.sandbox.api import allowed_operations, bulk_jobs, composite, dimensions
from intacct_provider.sandbox.api.batch import Answer, ObjectCalls, decode, one_result
from intacct_provider.sandbox.api.idempotency import KeyLocks, fingerprint, once
from intacct_provider.sandbox.api.incoming import Incoming
from intacct_provider.sandbox.api.model import model
from intacct_provider.sandbox.auth import ENTITY, TokenRequestError, Tokens, token_fields
from intacct_provider.sandbox.errors import ApiError, invalid, unknown_address
from intacct_provider.sandbox.faults.churn import churn
from intacct_provider.sandbox.objects.catalog import OBJECTS, QUERYABLE
from intacct_provider.sandbox.query.service import run_query
from intacct_provider.sandbox.records import crud
from intacct_provider.sandbox.records.validation import Author, find
from intacct_provider.sandbox.state import State
from intacct_provider.sandbox.store import Store

log = logging.getLogger(__name__)

Operation = Callable[..., Answer]
"""Takes the API, the request, and by name what the address leaves open."""

SESSION_LIFE = 21600


@dataclass(slots=True)
class Api:
    """The operations of the API over one company."""

    state: State
    tokens: Tokens
    key_locks: KeyLocks = field(default_factory=KeyLocks)

    @property
    def store(self) -> Store:
        """The company's records."""
        return self.state.store

    def carry_out(self, incoming: Incoming) -> Answer:
        """Carry out a request, alone or as a part of a composite one, and bill it; an error is an answer, too."""
        try:
            answer = self._operate(incoming)
        except ApiError as refusal:
            answer = refused(refusal)
        except Exception:
            log.exception("The sandbox itself failed on %s %s", incoming.method, incoming.path)
            answer = refused(ApiError(500, "operationFailed", "The sandbox failed; see its log"))
        call = incoming.call
        call.transactions += answer.transactions
        self.state.ledger.add(call.name, call.caller or "", answer.transactions)
        return answer

    def token(self, incoming: Incoming) -> Answer:
        """Answer the token endpoint."""
        try:
            fields = token_fields(incoming.body, incoming.headers.get("content-type", ""))
            with self.store.transaction() as conn:
                return Answer(200, self.tokens.answer(conn, fields, self.store.now()))
        except TokenRequestError as refusal:
            return Answer(refusal.status, refusal.body())

    def options(self, incoming: Incoming, **_: str) -> Answer:
        """Say what can be done with an object; who asks needs a token, as for everything."""
        with self._session(incoming):
            incoming.allow_parameters()
        address, _names = find_address(incoming.path)
        return Answer(204, headers={"Allow": address.allow})

    def list(self, incoming: Incoming, **names: str) -> Answer:
        """Answer references to the records of an object."""
        with self._calls(incoming, **names) as calls:
            return calls.list()

    def create(self, incoming: Incoming, **names: str) -> Answer:
        """Add a record or several."""
        with self._calls(incoming, **names) as calls:
            return once_each(calls, incoming, lambda: calls.create(incoming.body))

    def update_several(self, incoming: Incoming, **names: str) -> Answer:
        """Change records that the body names by key."""
        with self._calls(incoming, **names) as calls:
            return once_each(calls, incoming, lambda: calls.update_many(incoming.body))

    def get(self, incoming: Incoming, keys: str, **names: str) -> Answer:
        """Answer a record or several."""
        with self._calls(incoming, **names) as calls:
            return calls.get(keys.split(","))

    def update(self, incoming: Incoming, keys: str, **names: str) -> Answer:
        """Change the record that the address names by key."""
        with self._calls(incoming, **names) as calls:
            return once_each(calls, incoming, lambda: calls.update(keys, incoming.body))

    def delete(self, incoming: Incoming, keys: str, **names: str) -> Answer:
        """Remove a record or several."""
        with self._calls(incoming, **names) as calls:
            return calls.delete(keys.split(","))

    def query(self, incoming: Incoming) -> Answer:
        """Answer the query service."""
        with self._session(incoming) as (conn, author):
            wanted = decode(incoming.body, "POST")
            faults, today = self.state.faults, author.now.date()
            result = run_query(self.store, wanted, entity_key=author.entity, today=today, faults=faults)
            call = incoming.call
            call.name, call.rows = wanted["object"], len(result["ia::result"])
            if faults.churn and result["ia::meta"]["next"]:
                churn(conn, QUERYABLE[call.name], faults.churn, author)
        return Answer(200, result, 1)

    def model(self, incoming: Incoming) -> Answer:
        """Answer the model service."""
        with self._session(incoming):
            return Answer(200, model(incoming.query), 1)

    def composite(self, incoming: Incoming) -> Answer:
        """Answer the composite service, whose parts are transactions of their own."""
        with self._session(incoming):
            incoming.allow_parameters()
        parts = composite.read(decode(incoming.body, "POST"))
        return composite.run(parts, incoming, self.carry_out)

    def create_job(self, incoming: Incoming) -> Answer:
        """Take a bulk job."""
        with self._session(incoming) as (conn, author):
            incoming.allow_parameters()
            order = bulk_jobs.read_order(incoming.parts)
            caller = incoming.call.caller or ""
            same = fingerprint(incoming.method, incoming.path, str(author.entity), *order.content)

            def write() -> Answer:
                return one_result(200, bulk_jobs.create(conn, order, author, caller), 0)

            return once(conn, incoming.idempotency_key, same, author.now, write)

    def job_status(self, incoming: Incoming) -> Answer:
        """Answer where a bulk job is, or its results."""
        with self._session(incoming) as (conn, author):
            incoming.allow_parameters("jobId", "download")
            return bulk_jobs.status(conn, incoming.query, author.user)

    def allowed_operations(self, incoming: Incoming) -> Answer:
        """Answer what the caller may do with records."""
        with self._session(incoming) as (conn, author):
            incoming.allow_parameters()
            asked = allowed_operations.read(decode(incoming.body, "POST"))
            incoming.call.name = asked.object
            return Answer(200, allowed_operations.answer(conn, asked, author.entity), 1)

    def session_id(self, incoming: Incoming) -> Answer:
        """Answer a session for the XML API, which the sandbox does not have."""
        with self._session(incoming):
            incoming.allow_parameters()
        return one_result(200, {"sessionId": secrets.token_urlsafe(42), "expiresIn": SESSION_LIFE}, 1)

    def dimensions(self, incoming: Incoming) -> Answer:
        """Answer the dimensions of the company."""
        with self._session(incoming):
            incoming.allow_parameters()
        return Answer(200, dimensions.listed(), 1)

    def _operate(self, incoming: Incoming) -> Answer:
        address, names = find_address(incoming.path)
        operation = address.operations.get("GET" if incoming.method == "HEAD" else incoming.method)
        if operation is None:
            text = f"The method {incoming.method} is not allowed for {incoming.path}"
            raise ApiError(405, "invalidRequest", text, headers={"Allow": address.allow})
        # Before anything that would wait for the other request, or it would never be met in progress.
        with self.key_locks.alone(incoming.idempotency_key if operation in KEYED else None):
            bulk_jobs.advance(self.state)
            return operation(self, incoming, **names)

    @contextmanager
    def _session(self, incoming: Incoming) -> Iterator[tuple[sqlite3.Connection, Author]]:
        """Begin a transaction; check the token and find the entity: the header's, else the token's."""
        with self.store.transaction() as conn:
            now, call = self.store.now(), incoming.call
            grant = self.tokens.bearer(conn, incoming.headers.get("authorization"), now)
            call.entity = incoming.headers.get("x-ia-api-param-entity") or grant.entity
            call.caller = f"{grant.user}@{self.tokens.identity.company}"
            entity = None if call.entity is None else find(conn, ENTITY, "id", call.entity)
            if call.entity is not None and entity is None:
                raise invalid(f"The entity {call.entity} of X-IA-API-Param-Entity does not exist")
            yield conn, Author(crud.ensure_user(conn, grant.user, now), entity, now)

    @contextmanager
    def _calls(self, incoming: Incoming, application: str, name: str) -> Iterator[ObjectCalls]:
        """Begin a transaction on the object that the address names."""
        with self._session(incoming) as (conn, author):
            object_type = OBJECTS[f"{application}/{name}"]
            incoming.call.name = object_type.name
            incoming.allow_parameters()
            atomic = incoming.atomic and incoming.method not in ("GET", "HEAD")  # reading has nothing to undo
            yield ObjectCalls(conn, object_type, author, atomic)


def once_each(calls: ObjectCalls, incoming: Incoming, write: Callable[[], Answer]) -> Answer:
    """Carry out a write on an object, or answer as it was answered before under the same key."""
    entity, atomic = str(calls.author.entity), str(calls.atomic)
    same = fingerprint(incoming.method, incoming.path, entity, atomic, incoming.body)
    return once(calls.conn, incoming.idempotency_key, same, calls.author.now, write)


def refused(refusal: ApiError) -> Answer:
    """Return the answer of an error."""
    return Answer(refusal.status, refusal.body(), headers=refusal.headers)


KEYED = frozenset({Api.create, Api.update, Api.update_several, Api.create_job})
"""The operations that an Idempotency-Key is for."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address below ``/ia/api/v1``, and the operation of each method that it takes.

    :param path: with a name in braces for each segment that is left open
    """

    path: str
    operations: Mapping[str, Operation]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))
        object.__setattr__(self, "pattern", pattern)

    @property
    def methods(self) -> frozenset[str]:
        """The methods that it takes; HEAD is a GET of which only the headers are sent."""
        return frozenset(self.operations) | ({"HEAD"} if "GET" in self.operations else frozenset())

    @property
    def allow(self) -> str:
        """The value of an ``Allow`` header."""
        return ", ".join(sorted(self.methods))


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
)


def find_address(path: str) -> tuple[Address, dict[str, str]]:
    """Return the address that a path is, and what it puts into the open segments.

    :raises ApiError: 404 when there is none, or when it is that of an object that there is not
    """
    for address in ADDRESSES:
        found = address.pattern.fullmatch(path)
        names = found.groupdict() if found else {}
        if found and (not names or f"{names['application']}/{names['name']}" in OBJECTS):
            return address, names
    raise unknown_address(path)
