"""The API: its addresses, and what happens between a request and its answer."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from intacct_provider.sandbox import records
from intacct_provider.sandbox.auth import ENTITY, TokenRequestError, Tokens, token_fields
from intacct_provider.sandbox.batch import Answer, ObjectCalls, decode
from intacct_provider.sandbox.churn import churn
from intacct_provider.sandbox.errors import ApiError, invalid, unknown_address
from intacct_provider.sandbox.fields import ObjectType
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.idempotency import fingerprint, once
from intacct_provider.sandbox.model import model
from intacct_provider.sandbox.payload import Author, find
from intacct_provider.sandbox.query import run_query
from intacct_provider.sandbox.schema import OBJECTS
from intacct_provider.sandbox.state import CALL, Call, State
from intacct_provider.sandbox.store import Store

log = logging.getLogger(__name__)

Operation = Callable[[Request, bytes], Answer]


@dataclass(slots=True)
class Api:
    """The operations of the API over one company."""

    state: State
    tokens: Tokens

    @property
    def store(self) -> Store:
        """The company's records."""
        return self.state.store

    def token(self, request: Request, body: bytes) -> Answer:
        """Answer the token endpoint."""
        try:
            fields = token_fields(body, request.headers.get("content-type", ""))
            with self.store.transaction() as conn:
                return Answer(200, self.tokens.answer(conn, fields, self.store.now()))
        except TokenRequestError as refusal:
            return Answer(refusal.status, refusal.body())

    def collection(self, request: Request, body: bytes) -> Answer:
        """Answer a call on an object: list, create, or update of several records."""
        with self.store.transaction() as conn:
            calls = self._calls(conn, request)
            if request.method in ("GET", "HEAD"):
                return calls.list()
            write = calls.create if request.method == "POST" else calls.update_many
            return self._once(calls, request, body, lambda: write(body))

    def record(self, request: Request, body: bytes) -> Answer:
        """Answer a call on records named by key: get, update, delete."""
        keys = request.path_params["keys"].split(",")
        with self.store.transaction() as conn:
            calls = self._calls(conn, request)
            if request.method in ("GET", "HEAD"):
                return calls.get(keys)
            if request.method == "DELETE":
                return calls.delete(keys)
            return self._once(calls, request, body, lambda: calls.update(",".join(keys), body))

    def query(self, request: Request, body: bytes) -> Answer:
        """Answer the query service."""
        with self.store.transaction() as conn:
            author = self._author(conn, request)
            wanted = decode(body, "POST")
            faults, today = self.state.faults, author.now.date()
            result = run_query(self.store, wanted, entity_key=author.entity, today=today, faults=faults)
            call: Call = request.scope[CALL]
            call.name, call.rows = wanted["object"], len(result["ia::result"])
            if faults.churn and result["ia::meta"]["next"]:
                churn(conn, OBJECTS[call.name], faults.churn, author)
        return Answer(200, result, 1)

    def model(self, request: Request, _: bytes) -> Answer:
        """Answer the model service."""
        with self.store.transaction() as conn:
            self._author(conn, request)
        return Answer(200, model(request.query_params), 1)

    def _calls(self, conn: sqlite3.Connection, request: Request) -> ObjectCalls:
        author = self._author(conn, request)
        object_type = find_object(request)
        request.scope[CALL].name = object_type.name
        for name in request.query_params:
            raise ApiError(
                400, "invalidRequest", f"{name} is not a valid query parameter", error_id="REST-1034"
            )
        wanted = request.headers.get("x-ia-api-param-transaction", "").lower() == "true"
        atomic = wanted and request.method not in ("GET", "HEAD")  # reading has nothing to undo
        return ObjectCalls(conn, object_type, author, atomic)

    def _author(self, conn: sqlite3.Connection, request: Request) -> Author:
        """Check the token and find the entity: the header's, else the token's."""
        now = self.store.now()
        grant = self.tokens.bearer(conn, request.headers.get("authorization"), now)
        entity = request.headers.get("x-ia-api-param-entity") or grant.entity
        call: Call = request.scope[CALL]
        call.entity = entity
        call.caller = f"{grant.user}@{self.tokens.identity.company}"
        key = None if entity is None else find(conn, ENTITY, "id", entity)
        if entity is not None and key is None:
            raise invalid(f"The entity {entity} of X-IA-API-Param-Entity does not exist")
        return Author(records.ensure_user(conn, grant.user, now), key, now)

    def _once(self, calls: ObjectCalls, request: Request, body: bytes, write: Callable[[], Answer]) -> Answer:
        key = request.headers.get("idempotency-key")
        if not key:
            return write()
        entity = str(calls.author.entity)
        same = fingerprint(request.method, request.url.path, entity, str(calls.atomic), body)
        return once(calls.conn, key, same, calls.author.now, write)


def find_object(request: Request) -> ObjectType:
    """Return the object that an address names.

    :raises ApiError: 404
    """
    name = f"{request.path_params['application']}/{request.path_params['name']}"
    if name not in OBJECTS:
        raise unknown_address(f"/objects/{name}")
    return OBJECTS[name]


def build_app(api: Api) -> Starlette:
    """Return the ASGI application."""
    addresses: list[tuple[str, Operation, list[str]]] = [
        ("/oauth2/token", api.token, ["POST"]),
        ("/objects/{application}/{name}", api.collection, ["GET", "POST", "PATCH"]),
        ("/objects/{application}/{name}/{keys}", api.record, ["GET", "PATCH", "DELETE"]),
        ("/services/core/query", api.query, ["POST"]),
        ("/services/core/model", api.model, ["GET"]),
    ]
    routes = [
        Route(BASE + path, endpoint(api, operation), methods=methods)
        for path, operation, methods in addresses
    ]
    return Starlette(routes=routes, exception_handlers={404: no_address, 405: no_method})


def endpoint(api: Api, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    """Return the ASGI side of an operation, which itself runs in a thread."""

    async def serve(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(answer, api, operation, request, body)

    return serve


def answer(api: Api, operation: Operation, request: Request, body: bytes) -> Response:
    """Carry out an operation and turn whatever comes of it into a response."""
    try:
        result = operation(request, body)
    except ApiError as refusal:
        return refuse(refusal)
    except Exception:
        log.exception("The sandbox itself failed on %s %s", request.method, request.url.path)
        return refuse(ApiError(500, "operationFailed", "The sandbox failed; see its log"))
    call: Call = request.scope[CALL]
    call.transactions = result.transactions
    api.state.ledger.add(call.name, call.caller or "", result.transactions)
    return respond(result.status, result.body, result.headers)


def respond(status: int, body: object, headers: Mapping[str, str]) -> Response:
    """Return a JSON response; no body at all for 204."""
    content = b"" if body is None else msgspec.json.encode(body)
    return Response(content, status, headers, media_type=None if body is None else "application/json")


def refuse(refusal: ApiError) -> Response:
    """Return the response of an error."""
    return respond(refusal.status, refusal.body(), refusal.headers)


async def no_address(request: Request, _: Exception) -> Response:
    """Answer a path that the API does not have; another version than 1 is refused with 400."""
    version = re.match(r"/ia/api/v(\d+)/", request.url.path)
    if version and version[1] != "1":
        return refuse(ApiError(400, "invalidRequest", f"Version {version[1]} is not valid", shape="top"))
    return refuse(unknown_address(request.url.path.removeprefix(BASE)))


async def no_method(request: Request, _: Exception) -> Response:
    """Answer a method that the address does not take."""
    text = f"The method {request.method} is not allowed for {request.url.path.removeprefix(BASE)}"
    return refuse(ApiError(405, "invalidRequest", text))
