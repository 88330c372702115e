"""The API over HTTP: from a request to its operation, and from an answer to a response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from intacct_provider.sandbox.api.batch import Answer
from intacct_provider.sandbox.api.incoming import Incoming
from intacct_provider.sandbox.api.operations import Api, refused
from intacct_provider.sandbox.errors import ApiError, unknown_address
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.state import CALL

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_FIELD = 64 * 1024 * 1024
"""The largest part of a form that is no file; a client may send a file without saying that it is one."""


class App:
    """The ASGI application of the API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        body = await request.body()
        parts = await parts_of(request)
        # Whatever reaches the company runs in a thread: SQLite waits there, not here.
        answer = await run_in_threadpool(self._answer, request, body, parts)
        await response(answer)(scope, receive, send)

    def _answer(self, request: Request, body: bytes, parts: Mapping[str, bytes] | None) -> Answer:
        try:
            path = below_base(request.scope["path"])
        except ApiError as refusal:
            return refused(refusal)
        call = request.scope[CALL]
        query, headers = request.query_params, request.headers
        return self._api.carry_out(Incoming(request.method, path, query, headers, body, call, parts))


def below_base(path: str) -> str:
    """Return a path below the base of the API.

    :raises ApiError: 400 for another version than 1, 404 for a path elsewhere
    """
    if path.startswith(BASE + "/"):
        return path.removeprefix(BASE)
    version = re.match(r"/ia/api/v(\d+)/", path)
    if version and version[1] != "1":
        raise ApiError(400, "invalidRequest", f"Version {version[1]} is not valid", shape="top")
    raise unknown_address(path)


async def parts_of(request: Request) -> Mapping[str, bytes] | None:
    """Return the parts of a form by their names; ``None`` when the body is no form, or not a whole one."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return None
    try:
        async with request.form(max_part_size=MAX_FIELD) as form:
            return {
                name: part.encode() if isinstance(part, str) else await part.read()
                for name, part in form.items()
            }
    except MultiPartException:
        return None


def response(answer: Answer) -> Response:
    """Return an answer as JSON; no body at all for 204."""
    content = b"" if answer.body is None else msgspec.json.encode(answer.body)
    media_type = None if answer.body is None else "application/json"
    return Response(content, answer.status, answer.headers, media_type=media_type)
