"""What every page shares: the templates, the address with its query, the place in a long list, the error page."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.catalog import OBJECTS

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger(__name__)

STYLE = (files(__package__) / "static" / "sandbox.css").read_bytes()
_RECORD = re.compile(r"/objects/([\w-]+/[\w-]+)(/[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a list a page shows.

    :param asked: number of the page, from 1; one beyond the end becomes the last
    :param size: rows on a page
    :param total: rows of the whole list
    """

    asked: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; one for an empty list."""
        return max(1, -(-self.total // self.size))

    @property
    def page(self) -> int:
        """The page that is shown."""
        return min(self.asked, self.pages)

    @property
    def offset(self) -> int:
        """Rows before the first that is shown."""
        return (self.page - 1) * self.size

    @property
    def last(self) -> int:
        """Number of the last row that is shown."""
        return min(self.offset + self.size, self.total)


class Problem(HTTPException):
    """An address that cannot be answered, and the nearest object that could be meant."""

    def __init__(self, status: int, detail: str, near: str) -> None:
        super().__init__(status, detail)
        self.near = near


def api_base(request: Request) -> str:
    """Return the base of the API's addresses under the name by which the browser reached the page."""
    return str(request.base_url).rstrip("/") + BASE


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    text = _TEMPLATES.get_template(template).render(values, base=api_base(request), path=request.url.path)
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})


def problem(request: Request, wrong: Exception) -> Response:
    """Return the page of an address, a method or a parameter that cannot be, and of a failure of our own."""
    if not isinstance(wrong, HTTPException):
        log.error("The sandbox itself failed on %s %s", request.method, request.url.path, exc_info=wrong)
        wrong = HTTPException(500, "The sandbox failed; see its log.")
    title = {404: "Not found", 405: "Read only", 500: "Failed"}.get(wrong.status_code, "Not possible")
    said, near = wrong.detail, getattr(wrong, "near", None)
    if wrong.status_code == 405:
        said = f"The pages are for reading; {request.method} is not possible here."
    elif said == "Not Found":
        said = f"There is nothing at {request.url.path}."
    answer = page(request, "problem.html", wrong.status_code, title=title, said=said, near=near)
    answer.headers.update(wrong.headers or {})
    return answer


def address(path: str, **query: object) -> str:
    """Return a path with a query, without those parameters that are empty."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def page_number(request: Request) -> int:
    """Return the number of the page that a query asks for.

    :raises HTTPException: 400 for anything but a number from 1
    """
    text = request.query_params.get("page", "1")
    if text.isascii() and text.isdigit() and int(text[:10]) > 0:
        return int(text[:10])
    raise HTTPException(400, f"page must be a number from 1, not {text[:40]!r}.")


def one_of(request: Request, name: str, allowed: Sequence[str]) -> str:
    """Return a parameter that has few values, of which the first is the default.

    :raises HTTPException: 400 for another value; the message names the nearest
    """
    text = request.query_params.get(name) or allowed[0]
    if text in allowed:
        return text
    near = get_close_matches(text, allowed, n=1, cutoff=0.0)[0]
    raise HTTPException(
        400, f"{name} must be one of {', '.join(allowed)}, not {text[:40]!r}; did you mean {near}?"
    )


def page_of(api_path: str) -> str | None:
    """Return the page about an object or a record that the API has at that path, or ``None``."""
    found = _RECORD.fullmatch(api_path)
    return f"/records/{found[1]}{found[2] or ''}" if found and found[1] in OBJECTS else None


def _moment(moment: str | float | datetime | None) -> str:
    """Return a moment in UTC as people read it, without the zone."""
    if isinstance(moment, float):
        moment = datetime.fromtimestamp(moment, UTC)
    if isinstance(moment, datetime):
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return (moment or "").replace("T", " ").removesuffix("Z")


def _shown(value: object) -> str:
    """Return a value of a field: text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,  # what a record or a path holds is anybody's text
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {
    "address": address,
    "page_of": page_of,
    "stylesheet": address("/static/sandbox.css", v=hashlib.sha256(STYLE).hexdigest()[:12]),
}
_TEMPLATES.filters |= {"moment": _moment, "shown": _shown, "number": "{:,}".format}
