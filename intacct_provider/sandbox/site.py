"""Everything that the server offers besides the API: pages, OpenAPI document, control addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from intacct_provider.sandbox import control, pages
from intacct_provider.sandbox.errors import FOREIGN_HOST
from intacct_provider.sandbox.hosts import HostCheck
from intacct_provider.sandbox.openapi.document import build_document
from intacct_provider.sandbox.pages.consent import Consent

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from intacct_provider.sandbox.state import State

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
POLICY_HEADER = b"content-security-policy"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def build_site(state: State, *, with_control: bool, host: str | None) -> ASGIApp:
    """Return the application for everything besides the API.

    :param host: the address that the server listens on, if only this machine can reach it. Requests under other
        host names than this and the usual ones are rejected. ``None`` allows any host name.
    """
    routes = [*pages.routes(state), Route("/openapi.json", api_document), *Consent(state, POLICY).routes()]
    if with_control:
        routes += control.routes(state)
    handlers = dict.fromkeys((HTTPException, Exception), pages.error_page)
    site = Starlette(routes=routes, exception_handlers=handlers)
    site.state.catalog = state.store.catalog
    return SecurityHeaders(HostCheck(site, PlainTextResponse(FOREIGN_HOST, 400), host))


def api_document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(
        msgspec.json.encode(build_document(request.app.state.catalog)), media_type="application/json"
    )


class SecurityHeaders:
    """Adds the security headers that let a browser do nothing but show a response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if POLICY_HEADER not in dict(headers):
                    headers.append((POLICY_HEADER, POLICY.encode()))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)
