"""Responses of Intacct: complete and decoded, or why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from intacct_provider.client.errors import build_error, find_error, find_record_error
from intacct_provider.client.http import codec
from intacct_provider.client.http.retry import RETRY_STATUSES, parse_date
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctConnectionError,
    IntacctError,
    IntacctResponseError,
)

REPLAYED_HEADER = "x-ia-idempotency-cached-date"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete, decoded response.

    :param body: decoded JSON; None when the response has no body, or the request's own ``decode`` took it.
    :param decoded: what the request's own ``decode`` returned.
    :param maybe_already_done: whether an earlier attempt of the request may have been carried out.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    maybe_already_done: bool = False
    decoded: Any = None

    @property
    def result(self) -> Any:
        """The value of ``ia::result``."""
        return self.body.get("ia::result") if isinstance(self.body, Mapping) else None

    @property
    def maybe_done(self) -> bool:
        """Whether the request may have been carried out; 409 and 429 reject it before that."""
        return self.status not in (409, 429)

    @property
    def replayed(self) -> bool:
        """Whether the server answered from its idempotency cache without doing anything."""
        return REPLAYED_HEADER in self.headers

    def error(self) -> IntacctAPIError | None:
        """Return the error of the response as a whole, or None. Errors of single records are not among them."""
        found = find_error(self.body)
        if found is None and self.status < 400:
            return None
        found = found or find_record_error(self.body) or {"message": f"Intacct answered HTTP {self.status}"}
        error = build_error(self.status, found)
        error.replayed = self.replayed
        return error

    def raise_for_error(self) -> Reply:
        """Return the response itself, or raise its error; an error with HTTP 200 is an error too."""
        problem = self.error()
        if problem:
            raise problem
        return self


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no complete response, and whether a retry may help.

    :param maybe_done: whether the request may have reached the server and been carried out.
    """

    what: str
    transient: bool
    maybe_done: bool = True
    error: type[IntacctError] = IntacctConnectionError
    cause: Exception | None = None
    status: None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def classify_failure(err: requests.RequestException | HTTPError, timeout: float) -> Failure:
    """Return why a response did not come, or did not come whole."""
    if isinstance(err, HTTPError):
        late = isinstance(err, ReadTimeoutError)
        what = (
            f"no response within {timeout:g} s"
            if late
            else "the connection closed before the response was complete"
        )
        return Failure(what, transient=True, cause=err)
    reason = getattr(err.args[0], "reason", None) if err.args else None
    if isinstance(err, requests.exceptions.SSLError):
        return Failure("the server's TLS certificate is not trusted", transient=False, cause=err)
    if isinstance(err, requests.Timeout) or "timed out" in str(reason or err):
        return Failure(f"no response within {timeout:g} s", transient=True, cause=err)
    if isinstance(reason, NewConnectionError):
        what = "could not connect; is the host right and reachable?"
        return Failure(what, transient=True, maybe_done=False, cause=err)
    if isinstance(
        err,
        requests.ConnectionError
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    ):
        return Failure("the connection closed before the response was complete", transient=True, cause=err)
    return Failure(f"the request could not be sent ({type(err).__name__})", transient=False, cause=err)


def read_response(
    response: requests.Response, content: bytes, decode: Callable[[bytes], Any] | None = None
) -> Reply | Failure:
    """Decode a response. JSON that does not parse was truncated in transit; other content types are not JSON at all.

    :param content: all of it.
    """
    status, kind = response.status_code, response.headers.get("Content-Type", "no content type")
    if 300 <= status < 400:
        what = f"the response is a redirection (HTTP {status}), which is not followed; is the host right?"
        return Failure(what, transient=False, error=IntacctResponseError)
    decoded = decode(content) if decode is not None and status < 300 else None
    if decoded is not None:
        return Reply(status, response.headers, None, decoded=decoded)
    # An empty response that claims to be JSON was truncated at its first byte; a 401 needs no content.
    if not content and (status in (204, 401) or (status >= 400 and "json" not in kind)):
        return Reply(status, response.headers, None)
    try:
        return Reply(status, response.headers, codec.decode(content))
    except ValueError as err:
        # Also for a rejection: what is missing may say that the token has ended, or which record was rejected.
        if ("json" in kind or not content) and status not in RETRY_STATUSES:
            return Failure("the response was truncated or is not JSON", transient=True, cause=err)
    if status >= 400:
        return Reply(status, response.headers, None)
    what = (
        f"the response is {kind.partition(';')[0]} (HTTP {status}), not JSON; is the host Intacct's API "
        "base URL, or is a proxy in between?"
    )
    return Failure(what, transient=False, error=IntacctResponseError)


def read_server_time(headers: Mapping[str, str]) -> str | None:
    """Return when a response was made by the server's own clock, as Intacct writes times; None if unknown."""
    timestamp = parse_date(headers.get("Date"))
    return None if timestamp is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))
