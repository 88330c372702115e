"""Requests that are counted, limited and announced, with their raw responses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.errors import TokenVerdict, judge_token
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import Reply, Request, Transport

QUERY = "/services/core/query"
MODEL = "/services/core/model"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
#: The assumption that requests for tokens are about.
GRANT = "grant-works"
#: The aggregate that is asked for; its rows are not records, so its pages say nothing about others.
COUNT = "count:key"
_ERROR_ID = re.compile(r"[A-Z]{2,4}-\d{3,5}")
_THROTTLE = re.compile(r"x-ia-(?:tenant-)?throttle-limit", re.IGNORECASE)
_RECORD = re.compile(r"^(/objects/[^/]+/[^/]+)/.*")
#: Statuses that do not say anything about the request itself.
_UNDECIDED = (401, 403, 408, 425, 429)


class BudgetSpentError(Exception):
    """The probe has sent as many requests as it may."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a query as it came.

    :param size: rows asked for.
    """

    start: int
    size: int
    rows: Sequence[Mapping[str, Any]]
    meta: Mapping[str, Any]

    @property
    def total(self) -> int | None:
        """Matching records as ``totalCount`` says; None if it does not say."""
        return read_int(self.meta.get("totalCount"))


class Asker:
    """Sends requests within a budget.

    :param headers: of every request, such as that of the entity.
    :param limit: HTTP requests at most, those for tokens and retries among them.
    :param announce: called with a line of text before each request.
    """

    def __init__(
        self, transport: Transport, headers: Mapping[str, str], limit: int, announce: Callable[[str], None]
    ) -> None:
        self.limit = limit
        self.requests = 0
        self.token_requests = 0
        #: Requests by the id of the assumption that they are about.
        self.calls: Counter[str] = Counter()
        self.pages: list[Page] = []
        #: Values of the throttle headers by name in lower case; None until there was a response.
        self.throttle: dict[str, str] | None = None
        self.stopped = False
        self._transport = transport
        self._headers = dict(headers)
        self._announce = announce
        self._purpose = ""
        self._ids: tuple[str, ...] = ()
        transport.before_request = self._begin

    def ask(self, purpose: str, ids: Iterable[str], request: Request) -> Reply:
        """Send a request and return the response, whatever its status.

        :param purpose: continues "to ...", for the person who watches.
        :param ids: of the assumptions that it is about.
        :raises BudgetSpentError: if no further request may be sent.
        :raises IntacctError: if there is no token, or no complete response.
        """
        self._purpose, self._ids = purpose, tuple(ids)
        reply = self._transport.send(request)
        self._note_throttle(reply)
        return reply

    def ask_with_token(self, purpose: str, ids: Iterable[str], request: Request, token: str) -> Reply:
        """Send a request with a given token, as :meth:`ask`."""
        self._purpose, self._ids = purpose, tuple(ids)
        return self._transport.send_with_token(request, token)

    def query(
        self,
        purpose: str,
        ids: Iterable[str],
        object_name: str,
        fields: Iterable[str],
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> Reply:
        """Send a query; members are those of its body, such as ``orderBy``.

        :param headers: in the place of those of every request.
        """
        fields = list(fields)
        body = {"object": object_name, "fields": fields, "start": 1, "size": 1, **members}
        sent = self._headers if headers is None else headers
        request = Request("POST", QUERY, content=codec.encode(body), headers=sent)
        reply = self.ask(purpose, ids, request)
        page = read_page(reply, body["start"], body["size"])
        if page is not None and COUNT not in fields:
            self.pages.append(page)
        return reply

    def _begin(self, request: Request) -> None:
        if self.requests >= self.limit:
            self.stopped = True
            raise BudgetSpentError
        self.requests += 1
        is_token = request.path == TOKEN
        self.calls.update((GRANT,) if is_token else self._ids)
        self.token_requests += is_token
        purpose = "get an access token" if is_token else self._purpose
        # The key of a record is nobody's business but the server's.
        path = _RECORD.sub(r"\1/...", request.path)
        self._announce(f"{self.requests:3d}/{self.limit} {request.method} {path} to {purpose}")

    def _note_throttle(self, reply: Reply) -> None:
        found = {name.lower(): value for name, value in reply.headers.items() if _THROTTLE.fullmatch(name)}
        self.throttle = {**(self.throttle or {}), **found}


def read_int(value: object) -> int | None:
    """Return a whole number, also one in text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_page(reply: Reply, start: int, size: int) -> Page | None:
    """Return a page of a query; None if the response is not one."""
    found = reply.result
    if reply.error() or not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        return None
    meta = reply.body.get("ia::meta")
    return Page(start, size, found, meta if isinstance(meta, Mapping) else {})


def is_refusal(reply: Reply) -> bool:
    """Whether Intacct rejects the request for what it asks, not for who asks or when."""
    error = reply.error()
    if error is None:
        return False
    status = max(reply.status, error.status or 0)
    return status < 500 and status not in _UNDECIDED and not is_token_problem(reply)


def is_token_problem(reply: Reply) -> bool:
    """Whether a response is about the access token."""
    error = reply.error()
    names = {"errorId": error.error_id, "code": error.code} if error else {}
    return judge_token(0, names, reply.headers) is not TokenVerdict.ACCEPTED


def find_error_id(reply: Reply) -> str:
    """Return the id of an error in its usual form, such as ``REST-1106``; empty if there is none."""
    error = reply.error()
    found = [error.error_id, *(detail.error_id for detail in error.details)] if error else []
    return next(filter(is_error_id, found), "")


def is_error_id(text: str) -> bool:
    """Whether a text is an id in its usual form, and not something of a record."""
    return _ERROR_ID.fullmatch(text) is not None


def describe(reply: Reply) -> str:
    """Return status and error id of a response, and nothing else of it."""
    found = find_error_id(reply)
    return f"HTTP {reply.status}{f', {found}' if found else ''}"
