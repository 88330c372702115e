"""Responses of Intacct: complete and decoded, or why there is none."""

from __future__ import annotations

import math
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    LocationParseError,
    NewConnectionError,
    ReadTimeoutError,
)

from intacct_provider.client.errors import (
    TokenVerdict,
    build_error,
    find_bare_error,
    find_error,
    find_record_error,
    judge_token,
)
from intacct_provider.client.http import codec
from intacct_provider.client.http.connections import ResponseTooSlowError, compute_deadline
from intacct_provider.client.http.content import LARGEST, ContentTooLargeError, UnknownEncodingError
from intacct_provider.client.http.retry import RETRY_STATUSES, parse_date, read_pause
from intacct_provider.client.redaction import clean_text
from intacct_provider.exceptions import (
    IntacctAnswerTooLargeError,
    IntacctAPIError,
    IntacctConnectionError,
    IntacctError,
    IntacctResponseError,
    IntacctUnreadableAnswerError,
)

_CHECK_PROXY = "check the connection's extra proxy, or HTTPS_PROXY in the environment"
_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")
#: A status, also with its words behind it.
_STATUS = re.compile(r"\s*([1-5][0-9]{2})(?![0-9])")
REPLAYED_HEADER = "x-ia-idempotency-cached-date"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete, decoded response.

    :param body: decoded JSON; None when the response has no body, or the request's own ``decode`` took it.
    :param decoded: what the request's own ``decode`` returned.
    :param maybe_already_done: whether an earlier attempt of the request may have been carried out.
    :param clean: makes text of the response fit for a message.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    maybe_already_done: bool = False
    decoded: Any = None
    clean: Callable[[str], str] = field(default=clean_text, repr=False, compare=False)

    @property
    def has_content(self) -> bool:
        """Whether there is anything in it."""
        return self.body is not None or self.decoded is not None

    @property
    def result(self) -> Any:
        """The value of ``ia::result``."""
        return self.body.get("ia::result") if isinstance(self.body, Mapping) else None

    @property
    def elements(self) -> Any:
        """What the response holds for each of several records; some rejections are a bare list."""
        return self.body if isinstance(self.body, list) else self.result

    def read_status(self, element: Any, default: int | None = None) -> int:
        """Return the worst status in one of its elements, or in what that wraps; else that of the whole response."""
        inner = element.get("ia::result") if isinstance(element, Mapping) else None
        found = [
            _STATUS.match(str(one.get("ia::status"))) for one in (element, inner) if isinstance(one, Mapping)
        ]
        return max(
            (int(status[1]) for status in found if status),
            default=self.status if default is None else default,
        )

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
        found, status = find_error(self.body), max(self.status, self.read_status(self.body))
        if found is None and status < 400:
            return None
        found = (
            found
            or find_record_error(self.body)
            or find_bare_error(self.body)
            or {"message": self._describe(status)}
        )
        error = build_error(status, found, self.clean, headers=self.headers)
        error.replayed = self.replayed
        error.retry_after = read_pause(self.headers)
        return error

    def _describe(self, status: int) -> str:
        """Return what is known of a rejection without a reason, such as the page of a gateway."""
        kind = read_content_type(self.headers)
        if self.body is not None or not kind or "json" in kind:
            return f"Intacct answered HTTP {status}"
        return (
            f"Intacct answered HTTP {self.status} with {kind} instead of JSON; perhaps a proxy or gateway in between "
            "answered in its place"
        )

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


def classify_failure(
    err: requests.RequestException | HTTPError | ValueError, timeout: float, proxy: str = ""
) -> Failure:
    """Return why a response did not come, or did not come whole.

    :param timeout: seconds for each part of a response.
    :param proxy: URL of the proxy in between, without its credentials; empty if there is none.
    """
    causes = list(_iter_causes(err))
    if any(isinstance(cause, ResponseTooSlowError) for cause in causes):
        what = f"the response was not complete within {compute_deadline(timeout):g} s"
        return Failure(what, transient=True, cause=err)
    found = _find_proxy_failure(err, causes, timeout, proxy) if proxy else None
    if found is not None:
        return found
    rejected = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if rejected or isinstance(err, requests.exceptions.SSLError):
        return _classify_tls_failure(err, causes, rejected)
    if isinstance(err, requests.ConnectTimeout):
        what = f"could not connect within {timeout:g} s; is the host right and reachable?"
        return Failure(what, transient=True, maybe_done=False, cause=err)
    if isinstance(err, requests.Timeout | ReadTimeoutError) or "timed out" in str(_find_reason(err) or err):
        return Failure(f"no response within {timeout:g} s", transient=True, cause=err)
    if any(isinstance(cause, InvalidHeader) for cause in causes):
        what = "the response has headers that contradict each other, such as two lengths"
        return Failure(what, transient=True, error=IntacctResponseError, cause=err)
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        what = "could not connect; is the host right and reachable?"
        return Failure(what, transient=True, maybe_done=False, cause=err)
    if any(isinstance(cause, LocationParseError) for cause in causes):
        # Such an error holds the address, maybe with the password of a proxy.
        why = f" through the proxy {proxy}; {_CHECK_PROXY}" if proxy else "; is the host spelled right?"
        return Failure(f"no request can be sent to this address{why}", transient=False, maybe_done=False)
    if isinstance(
        err,
        HTTPError
        | requests.ConnectionError
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    ):
        return Failure("the connection closed before the response was complete", transient=True, cause=err)
    # What cannot be sent may be a token, and such an error holds it.
    cause = err if isinstance(err, requests.RequestException) else None
    return Failure(f"the request could not be sent ({type(err).__name__})", transient=False, cause=cause)


def classify_content(err: ContentTooLargeError | UnknownEncodingError) -> Failure:
    """Return why the content of a response cannot be read."""
    if isinstance(err, ContentTooLargeError):
        what = f"the response is larger than {LARGEST // 2**20} MiB; ask for fewer rows a page, or for fewer fields"
        return Failure(what, transient=False, error=IntacctAnswerTooLargeError)
    what = f"the response is encoded as {err}, which was not asked for; is a proxy in between?"
    return Failure(what, transient=False, error=IntacctResponseError)


def _find_proxy_failure(
    err: Exception, causes: list[BaseException], timeout: float, proxy: str
) -> Failure | None:
    """Return why a proxy kept a request from Intacct; None if no proxy did."""
    transient, what = True, f"could not connect to the proxy {proxy}; {_CHECK_PROXY}"
    found = next((match for cause in causes if (match := _TUNNEL_STATUS.search(str(cause)))), None)
    if found and found[1] == "407":
        return reject_proxy_credentials(proxy, err)
    if found:
        transient = int(found[1]) in RETRY_STATUSES
        what = f"the proxy {proxy} does not connect to Intacct (HTTP {found[1]})"
    elif isinstance(err, requests.ConnectTimeout):
        what = f"could not connect to the proxy {proxy} within {timeout:g} s; {_CHECK_PROXY}"
    elif isinstance(err, requests.exceptions.InvalidProxyURL):
        transient, what = False, f"the proxy {proxy!r} is not a URL; {_CHECK_PROXY}"
    elif isinstance(err, requests.exceptions.InvalidSchema):
        transient, what = False, f"the proxy {proxy} needs the package PySocks: pip install 'requests[socks]'"
    elif not isinstance(err, requests.exceptions.ProxyError):
        return None
    return Failure(what, transient, maybe_done=False, cause=err)


def reject_proxy_credentials(proxy: str, cause: Exception | None = None) -> Failure:
    """Return the failure of a request for which a proxy wants a user and a password."""
    what = (
        f"the proxy {proxy or 'in between'} wants a user and a password, or does not accept those that it got (HTTP "
        "407); give them in the connection's extra proxy, as in http://user:password@proxy.acme.com:3128"
    )
    return Failure(what, transient=False, maybe_done=False, cause=cause)


def _classify_tls_failure(
    err: Exception, causes: list[BaseException], rejected: ssl.SSLCertVerificationError | None
) -> Failure:
    if rejected is not None:
        what = (
            f"the server's TLS certificate is not trusted: {clean_text(rejected.verify_message)}; if your network has "
            "a certificate authority of its own, give the path of its CA bundle in the connection's extra verify"
        )
        return Failure(what, transient=False, maybe_done=False, cause=err)
    broken = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if broken is None:
        return Failure("the server's TLS certificate is not trusted", transient=False, cause=err)
    if isinstance(broken, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure("the connection closed before the response was complete", transient=True, cause=err)
    return Failure(f"no TLS connection ({clean_text(broken.reason or '')})", transient=False, cause=err)


def _find_reason(err: Exception) -> Any:
    """Return why urllib3 gave up, if requests has wrapped it."""
    return getattr(err.args[0], "reason", None) if err.args else None


def _iter_causes(err: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it; libraries keep them in different places."""
    waiting, seen = [err], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        linked = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        waiting += [other for other in linked if isinstance(other, BaseException)]


def _classify_json(err: ValueError) -> Failure:
    """Return why JSON cannot be read; the next response may be better."""
    if isinstance(err, codec.UnreadableValueError):
        return Failure(
            f"the response has {err}", transient=True, error=IntacctUnreadableAnswerError, cause=err
        )
    return Failure("the response was truncated or is not JSON", transient=True, cause=err)


def read_content_type(headers: Mapping[str, str]) -> str:
    """Return the content type of a response without its parameters, fit for a message."""
    return clean_text(headers.get("Content-Type", "").partition(";")[0])[:100]


def read_response(
    response: requests.Response,
    content: bytes,
    decode: Callable[[bytes], Any] | None = None,
    clean: Callable[[str], str] = clean_text,
    *,
    known: bool = False,
) -> Reply | Failure:
    """Decode a response. JSON that does not parse was truncated in transit; other content types are not JSON at all.

    :param content: all of it.
    :param clean: makes text of the response fit for a message.
    :param known: whether the host has answered as Intacct does. Then a page of something in between may pass;
        otherwise the host is wrong, or wants a sign-in, and a retry does not help.
    """
    status, kind = response.status_code, response.headers.get("Content-Type", "no content type")
    if status == 407:
        return reject_proxy_credentials("")
    if 300 <= status < 400:
        what = f"the response is a redirection (HTTP {status}), which is not followed; is the host right?"
        return Failure(what, transient=False, error=IntacctResponseError)
    decoded = decode(content) if decode is not None and status < 300 else None
    if decoded is not None:
        return Reply(status, response.headers, None, decoded=decoded, clean=clean)
    # An empty response that claims to be JSON was truncated at its first byte; a 401 needs no content.
    if not content and (status in (204, 401) or (status >= 400 and "json" not in kind)):
        return Reply(status, response.headers, None, clean=clean)
    try:
        return Reply(status, response.headers, codec.decode(content), clean=clean)
    except ValueError as err:
        # Also for a rejection: what is missing may say that the token has ended, or which record was rejected. But no
        # part of "Unauthorized" is missing, and a header that says so is complete.
        whole = status >= 400 and (
            content.lstrip()[:1] not in (b"", b"{", b"[")
            or judge_token(0, None, response.headers) is TokenVerdict.DEAD
        )
        if ("json" in kind or not content) and status not in RETRY_STATUSES and not whole:
            return _classify_json(err)
    if status >= 400:
        return Reply(status, response.headers, None, clean=clean)
    kind = read_content_type(response.headers) or "no content type"
    what = (
        f"the response is {kind} (HTTP {status}), not JSON; is the host Intacct's API "
        "base URL, or is a proxy in between?"
    )
    return Failure(what, transient=known, error=IntacctResponseError)


def read_server_time(headers: Mapping[str, str], seconds_before: float = 0.0) -> str | None:
    """Return when a response was made by the server's own clock, as Intacct writes times; None if unknown.

    :param seconds_before: return the time that was so much earlier, such as that of the request.
    """
    timestamp = parse_date(headers.get("Date"))
    if timestamp is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, math.floor(timestamp - seconds_before))))
