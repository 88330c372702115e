"""The page at ``/``: what is in the company, the last calls, and the faults that are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from intacct_provider.sandbox.state import State

if TYPE_CHECKING:
    from starlette.requests import Request


def routes(state: State) -> list[BaseRoute]:
    """Return the addresses of the pages."""

    def home(_: Request) -> Response:
        return PlainTextResponse(f"{state.identity.company}: {len(state.calls)} calls")

    return [Route("/", home)]
