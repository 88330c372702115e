"""The shared parts of the pages: templates, addresses, paging and the error page."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects.catalog import Catalog

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger(__name__)

STYLE = (files(__package__) / "static" / "sandbox.css").read_bytes()
_RECORD = re.compile(r"/objects/([^/]+/[^/]+)(/[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a list that a page shows.

    :param requested: number of the page, from 1; a number beyond the end means the last page.
    :param size: rows on a page.
    :param total: rows of the whole list.
    """

    requested: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; one for an empty list."""
        return max(1, -(-self.total // self.size))

    @property
    def page(self) -> int:
        """Number of the page that is shown."""
        return min(self.requested, self.pages)

    @property
    def offset(self) -> int:
        """Rows before the first one shown."""
        return (self.page - 1) * self.size

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return min(self.offset + self.size, self.total)


class PageError(HTTPException):
    """An error that suggests the nearest object."""

    def __init__(self, status: int, detail: str, near: str) -> None:
        super().__init__(status, detail)
        self.near = near


def api_base(request: Request) -> str:
    """Return the base URL of the API under the host name in the browser's request."""
    return str(request.base_url).rstrip("/") + BASE


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Render a page."""
    values["find_page"] = partial(find_page, request.app.state.catalog)
    text = _TEMPLATES.get_template(template).render(values, base=api_base(request), path=request.url.path)
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})


def error_page(request: Request, error: Exception) -> Response:
    """Return the page for an error: an unknown address, method or parameter, or a failure of the sandbox."""
    if not isinstance(error, HTTPException):
        log.error("The sandbox itself failed on %s %s", request.method, request.url.path, exc_info=error)
        error = HTTPException(500, "The sandbox failed; see its log.")
    title = {404: "Not found", 405: "Read only", 500: "Failed"}.get(error.status_code, "Not possible")
    text, near = error.detail, getattr(error, "near", None)
    if error.status_code == 405:
        text = f"The pages are read-only; {request.method} is not supported."
    elif text == "Not Found":
        text = f"Nothing exists at {request.url.path}."
    response = page(request, "problem.html", error.status_code, title=title, text=text, near=near)
    response.headers.update(error.headers or {})
    return response


def address(path: str, **query: object) -> str:
    """Return a path with a query string, without empty parameters."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def reject_other_sites(request: Request) -> None:
    """Reject a form that a page of another site sent.

    :raises HTTPException: 403 in that case.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, "This form was sent from another site; open the page itself.")


def read_page_number(request: Request) -> int:
    """Return the page number in a query string.

    :raises HTTPException: 400 for anything but a whole number from 1.
    """
    text = request.query_params.get("page", "1")
    if text.isascii() and text.isdigit() and int(text[:10]) > 0:
        return int(text[:10])
    raise HTTPException(400, f"page must be a whole number from 1, not {text[:40]!r}.")


def read_choice(request: Request, name: str, allowed: Sequence[str]) -> str:
    """Return a parameter with a fixed set of values, of which the first is the default.

    :raises HTTPException: 400 for any other value; the message suggests the nearest.
    """
    text = request.query_params.get(name) or allowed[0]
    if text in allowed:
        return text
    near = find_nearest(text, allowed)
    raise HTTPException(
        400, f"{name} must be one of {', '.join(allowed)}, not {text[:40]!r}; did you mean {near}?"
    )


def find_page(catalog: Catalog, api_path: str) -> str | None:
    """Return the page about the object or record at a path of the API; ``None`` if there is none."""
    found = _RECORD.fullmatch(api_path)
    return f"/records/{found[1]}{found[2] or ''}" if found and found[1] in catalog.objects else None


def _format_time(time: str | float | datetime | None) -> str:
    """Return a time in UTC in readable form, without the zone."""
    if isinstance(time, float):
        time = datetime.fromtimestamp(time, UTC)
    if isinstance(time, datetime):
        return f"{time:%Y-%m-%d %H:%M:%S}"
    return (time or "").replace("T", " ").removesuffix("Z")


def _format_value(value: object) -> str:
    """Return a value of a field: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,  # records and paths contain untrusted text
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {
    "address": address,
    "stylesheet": address("/static/sandbox.css", v=hashlib.sha256(STYLE).hexdigest()[:12]),
}
_TEMPLATES.filters |= {"time": _format_time, "shown": _format_value, "number": "{:,}".format}
