"""Under which host names the server answers: a page of another site must not reach it by DNS rebinding."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class HostCheck:
    """Passes on requests whose ``Host`` is the server's own name; another application answers all others.

    :param host: the address that the server listens on, if only this machine can reach it; None allows any host name.
    """

    def __init__(self, app: ASGIApp, otherwise: ASGIApp, host: str | None) -> None:
        self._app = app
        self._otherwise = otherwise
        self._names = None if host is None else {*LOOPBACK_NAMES, host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        own = self._names is None or read_host(scope) in self._names
        await (self._app if own else self._otherwise)(scope, receive, send)


def read_host(scope: Scope) -> str:
    """Return the host name of a request, without its port; empty if it has none, or several."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    try:
        return (urlsplit(f"//{given[0]}").hostname or "").removesuffix(".") if len(given) == 1 else ""
    except ValueError:
        return ""
