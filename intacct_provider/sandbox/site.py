"""Everything that the server offers beside the API: the pages, the OpenAPI document, the control addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import Route

from intacct_provider.sandbox import control, pages
from intacct_provider.sandbox.openapi.document import build_document
from intacct_provider.sandbox.pages.consent import ADDRESS, Consent

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from intacct_provider.sandbox.state import State

API = "/ia/"
LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"]
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
    """Return the application beside the API.

    :param host: where the server listens, when only this machine can reach it. It is then the only name to
        answer under, beside the usual ones, so that no page of another site can read the company by giving
        itself this address; ``None`` answers under any
    """
    routes = [*pages.routes(state), Route("/openapi.json", api_document), *Consent(state, POLICY).routes()]
    if with_control:
        routes += control.routes(state)
    handlers = dict.fromkeys((HTTPException, Exception), pages.problem)
    hosts = ["*"] if host is None else [*LOOPBACK_NAMES, host]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
    return Guarded(Starlette(routes=routes, middleware=middleware, exception_handlers=handlers))


def api_document(_: Request) -> Response:
    """Answer the OpenAPI document."""
    return Response(msgspec.json.encode(build_document()), media_type="application/json")


class Guarded:
    """Adds to every answer what keeps a browser from doing anything but show it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if POLICY_HEADER not in dict(headers):
                    headers.append((POLICY_HEADER, POLICY.encode()))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, guarded)


class Front:
    """Sends the calls of the API to the gateway, which counts them and lets them fail, and all else to the site.

    The page for a person's consent is all else, in spite of its address.
    """

    def __init__(self, gateway: ASGIApp, site: ASGIApp) -> None:
        self._gateway = gateway
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            of_api = scope["path"].startswith(API) and scope["path"] != ADDRESS
            app = self._gateway if of_api else self._site
            await app(scope, receive, send)
