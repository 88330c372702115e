"""The pages: records with their history, calls and their cost, and the event queue. All but the last are read-only."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from intacct_provider.sandbox.pages.events import EventPage
from intacct_provider.sandbox.pages.shell import STYLE, error_page
from intacct_provider.sandbox.pages.views import Pages
from intacct_provider.sandbox.state import State

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["error_page", "routes"]

_ICON = (files(__package__) / "static" / "favicon.svg").read_bytes()
_YEAR = {"Cache-Control": "public, max-age=31536000, immutable"}
_DAY = {"Cache-Control": "public, max-age=86400"}


def routes(state: State) -> list[BaseRoute]:
    """Return the addresses of the pages; GET and HEAD only, except for the event queue."""
    pages = Pages(state)
    return [
        Route("/", pages.company),
        Route("/calls", pages.calls),
        *EventPage(state).routes(),
        Route("/records/{application}/{name}", pages.records),
        Route("/records/{application}/{name}/{key}", pages.record),
        Route("/records/{name:path}", pages.unknown),
        Route("/static/sandbox.css", style),
        Route("/favicon.svg", icon),
        Route("/favicon.ico", icon),  # requested by browsers that show JSON
    ]


async def style(_: Request) -> Response:
    """Return the stylesheet; it can be cached, because pages link to it with its digest."""
    return Response(STYLE, media_type="text/css", headers=_YEAR)


async def icon(_: Request) -> Response:
    """Return the icon."""
    return Response(_ICON, media_type="image/svg+xml", headers=_DAY)
