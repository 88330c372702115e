"""The API over HTTP: decode a request, hand it to its operation, encode the response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from intacct_provider.sandbox.api.messages import ApiRequest, ApiResponse, error_response
from intacct_provider.sandbox.api.operations import Api
from intacct_provider.sandbox.errors import ApiError, foreign_host, unknown_address
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.state import CALL

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_FIELD = 64 * 1024 * 1024
"""The largest part of a form that is not marked as a file; clients may send the file of a job like that."""


class App:
    """The ASGI application of the API."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        body = await request.body()
        parts = await read_form(request)
        # In a thread, because operations wait for SQLite.
        response = await run_in_threadpool(self._handle, request, body, parts)
        await build_response(response)(scope, receive, send)

    def _handle(self, request: Request, body: bytes, parts: Mapping[str, bytes] | None) -> ApiResponse:
        try:
            path = strip_base(request.scope["path"])
        except ApiError as error:
            return error_response(error)
        call = request.scope[CALL]
        query, headers = request.query_params, request.headers
        return self._api.handle(ApiRequest(request.method, path, query, headers, body, call, parts))


def strip_base(path: str) -> str:
    """Return a path below the base of the API.

    :raises ApiError: 400 for a version other than 1, 404 for any other path.
    """
    if path.startswith(BASE + "/"):
        return path.removeprefix(BASE)
    version = re.match(r"/ia/api/v(\d+)/", path)
    if version and version[1] != "1":
        raise ApiError(400, "invalidRequest", f"Version {version[1]} is not valid", shape="top")
    raise unknown_address(path)


async def read_form(request: Request) -> Mapping[str, bytes] | None:
    """Return the parts of a multipart form by name; ``None`` if the body is not a complete form."""
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


def reject_host() -> Response:
    """Return the response to a request under a host name that is not the server's."""
    return build_response(error_response(foreign_host()))


def build_response(response: ApiResponse) -> Response:
    """Encode a response for HTTP: JSON, or no body for 204."""
    content = b"" if response.body is None else msgspec.json.encode(response.body)
    media_type = None if response.body is None else "application/json"
    return Response(content, response.status, response.headers, media_type=media_type)
