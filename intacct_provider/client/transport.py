"""HTTP to Intacct: one session, explicit timeouts, tokens, and the one retry loop.

Nothing here logs or quotes a header, a body or a query string.
"""

from __future__ import annotations

import http.cookiejar
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from intacct_provider import __version__
from intacct_provider.client import wire
from intacct_provider.client.auth import CredentialStore, TokenSource, explain_refusal
from intacct_provider.client.config import IntacctConfig, redacted
from intacct_provider.client.errors import (
    IntacctAPIError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    about_token,
    build_error,
    error_in,
    first_record_error,
)
from intacct_provider.client.limits import ConcurrencyLimit
from intacct_provider.client.retry import RETRY_STATUSES, RetryPolicy, requested_pause, retry_wait

log = logging.getLogger(__name__)

ENTITY_HEADER = "X-IA-API-Param-Entity"
IDEMPOTENCY_HEADER = "Idempotency-Key"
#: Tokens that are tried after a refused one; all but one of them are others' from the store.
MAX_REPETITIONS = 4
REPLAYED_HEADER = "x-ia-idempotency-cached-date"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API, before a token is added.

    :param path: below the base URL, such as ``/services/core/query``.
    :param content: encoded JSON body.
    :param form: form body of the token endpoint.
    :param repeatable: whether sending it twice cannot do a second thing.
    :param locked: tells of an answer other than 409 whether it reports that an earlier sending of a part of the request
        is still being carried out.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    content: bytes | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    locked: Callable[[Reply], bool] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole, decoded answer.

    :param body: decoded JSON; None when the answer has no body.
    :param unsure: whether an earlier sending of the request may have been carried out.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    unsure: bool = False

    @property
    def result(self) -> Any:
        """What stands under ``ia::result``."""
        return self.body.get("ia::result") if isinstance(self.body, Mapping) else None

    @property
    def maybe_done(self) -> bool:
        """Whether a request that is answered so may have been carried out; these two refuse it before that."""
        return self.status not in (409, 429)

    @property
    def replayed(self) -> bool:
        """Whether the server answered from its idempotency cache without doing anything."""
        return REPLAYED_HEADER in self.headers

    def error(self) -> IntacctAPIError | None:
        """Return the error of the answer as a whole, or None. Errors of single records are not among them."""
        found = error_in(self.body)
        if found is None and self.status < 400:
            return None
        found = found or first_record_error(self.body) or {"message": f"Intacct answered HTTP {self.status}"}
        made = build_error(self.status, found)
        made.replayed = self.replayed
        return made

    def checked(self) -> Reply:
        """Return the answer itself, or raise its error; an error under HTTP 200 is an error too."""
        problem = self.error()
        if problem:
            raise problem
        return self


class Transport:
    """Sends requests with a valid token, patiently.

    :param config: where to send them and as whom.
    :param store: keeps rotated refresh tokens.
    :param on_secret: told of every token, so that it can be masked.
    :param retry: how patient to be.
    """

    def __init__(
        self,
        config: IntacctConfig,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._config = config
        self._retry = retry or RetryPolicy()
        self._session = _session(config.max_concurrency)
        self.limit = ConcurrencyLimit(config.max_concurrency)
        self._tokens = TokenSource(config, self.post_form, store=store, on_secret=on_secret)

    def close(self) -> None:
        """Close the connections; the token stays valid for other clients."""
        self._session.close()

    def send(self, request: Request) -> Reply:
        """Send a request and return the answer, whatever its status.

        A refused token is renewed and the request repeated, once with a token that was asked for. One that another
        worker left in the store does not count: all that were issued so far may have ended together.

        :raises IntacctAuthenticationError: if no token can be had.
        :raises IntacctConnectionError: if no whole answer came within the retry policy.
        :raises IntacctResponseError: if the answer is not JSON.
        """
        token = self._tokens.get()
        reply = self._send_patiently(request, token)
        for repetition in range(MAX_REPETITIONS):
            if not _refuses_token(reply):
                break
            shared = self._tokens.drop(token)
            if repetition and not shared:
                break
            token = self._tokens.get()
            again = self._send_patiently(request, token)
            reply = replace(again, unsure=again.unsure or reply.unsure)
        return reply

    def _send_patiently(self, request: Request, token: str) -> Reply:
        """The one retry loop.

        :raises IntacctConnectionError: if no whole answer came.
        """
        started, attempt, unsure = time.monotonic(), 0, False
        while True:
            attempt += 1
            outcome = self._try(request, token)
            elapsed = time.monotonic() - started
            # What is kept under an idempotency key comes again however often it is asked for.
            mendable = not outcome.replayed if isinstance(outcome, Reply) else outcome.transient
            wait = retry_wait(
                self._retry,
                repeatable=request.repeatable and mendable,
                status=_meaning(outcome),
                asked=requested_pause(outcome.headers),
                locked=isinstance(outcome, Reply) and _is_locked(request, outcome, unsure),
                attempt=attempt,
                elapsed=elapsed,
                jitter=random.random(),  # noqa: S311
            )
            if wait is None:
                if isinstance(outcome, Reply):
                    return replace(outcome, unsure=unsure)
                raise self._gave_up(request, outcome, attempt, elapsed) from outcome.cause
            unsure |= outcome.maybe_done
            what = f"HTTP {outcome.status}" if isinstance(outcome, Reply) else outcome.what
            log.warning(
                "Intacct: %s %s: %s; sending again in %.1f s (attempt %d of %d)",
                request.method, request.path, what, wait, attempt + 1, self._retry.attempts,
            )  # fmt: skip
            time.sleep(wait)

    def _try(self, request: Request, token: str) -> Reply | _Failure:
        """Send once: either a whole answer or why there is none."""
        headers = {"Accept": "application/json"}
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        headers |= request.headers or {}
        try:
            with self.limit.slot() as begun:
                response = self._session.request(
                    request.method,
                    self._config.base_url + request.path,
                    params=request.params,
                    data=request.content if request.form is None else request.form,
                    headers=headers,
                    auth=_authorization(token),
                    timeout=self._config.timeout,
                    allow_redirects=False,
                )
        except requests.RequestException as err:
            return _failure(err, self._config.timeout)
        self.limit.observe(response.status_code, response.headers, begun)
        return _read(response)

    def _gave_up(self, request: Request, failure: _Failure, attempts: int, elapsed: float) -> IntacctError:
        times = "" if attempts == 1 else f" after {attempts} attempts in {elapsed:.0f} s"
        where = f"{request.method} {request.path} at {redacted(self._config.base_url)}"
        return failure.error(f"{where}: {failure.what}{times}.")

    def post_form(self, form: Mapping[str, str]) -> Any:
        """Ask the token endpoint, as patiently as anything else.

        A lost answer may have ended the refresh token that was sent, but not to send it again would not save it.
        """
        reply = self._send_patiently(Request("POST", "/oauth2/token", form=form), "")
        error = reply.error()
        if error and reply.status in (400, 401, 403):
            raise explain_refusal(error, self._config)
        return reply.checked().body


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no whole answer, and whether another try may mend it.

    :param maybe_done: whether the request may have reached the server and been carried out.
    """

    what: str
    transient: bool
    maybe_done: bool = True
    error: type[IntacctError] = IntacctConnectionError
    cause: Exception | None = None
    status: None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _failure(err: requests.RequestException, timeout: float) -> _Failure:
    reason = getattr(err.args[0], "reason", None) if err.args else None
    if isinstance(err, requests.exceptions.SSLError):
        return _Failure("the server's TLS certificate is not trusted", transient=False, cause=err)
    if isinstance(err, requests.Timeout) or "timed out" in str(reason or err):
        return _Failure(f"no answer within {timeout:g} s", transient=True, cause=err)
    if isinstance(reason, NewConnectionError):
        what = "could not connect; is the host right and reachable?"
        return _Failure(what, transient=True, maybe_done=False, cause=err)
    if isinstance(
        err,
        requests.ConnectionError
        | requests.exceptions.ChunkedEncodingError
        | requests.exceptions.ContentDecodingError,
    ):
        return _Failure("the connection or the answer broke off", transient=True, cause=err)
    return _Failure(f"the request could not be sent ({type(err).__name__})", transient=False, cause=err)


def _read(response: requests.Response) -> Reply | _Failure:
    """Decode an answer. JSON that does not parse was cut on the way; anything else never was JSON."""
    status, kind = response.status_code, response.headers.get("Content-Type", "no content type")
    if 300 <= status < 400:
        what = f"the answer is a redirection (HTTP {status}), which is not followed; is the host right?"
        return _Failure(what, transient=False, error=IntacctResponseError)
    # What is empty and calls itself JSON was cut at its first byte; but 401 says enough by itself.
    if not response.content and (status in (204, 401) or (status >= 400 and "json" not in kind)):
        return Reply(status, response.headers, None)
    try:
        return Reply(status, response.headers, wire.decode(response.content))
    except ValueError as err:
        # Also of a refusal: what is lost may be that the token ended, or which record is the guilty one.
        if ("json" in kind or not response.content) and status not in RETRY_STATUSES:
            return _Failure("the answer broke off or is no JSON", transient=True, cause=err)
    if status >= 400:
        return Reply(status, response.headers, None)
    what = (
        f"the answer is {kind.partition(';')[0]} (HTTP {status}), not JSON; is the host Intacct's API "
        "base URL, or does a proxy stand between?"
    )
    return _Failure(what, transient=False, error=IntacctResponseError)


def _refuses_token(reply: Reply) -> bool:
    error = reply.error()
    return error is not None and about_token(error)


def _meaning(outcome: Reply | _Failure) -> int | None:
    """Return the status that an answer amounts to; an overload can be reported under any."""
    if not isinstance(outcome, Reply) or outcome.status in RETRY_STATUSES:
        return outcome.status
    error = outcome.error()
    if isinstance(error, IntacctRateLimitError):
        return 429
    return 503 if isinstance(error, IntacctServerError) else outcome.status


def _is_locked(request: Request, reply: Reply, unsure: bool) -> bool:
    """Whether a 409 may mean that another sending under the same key is still being carried out.

    A conflict between records is kept under the key, so when it is asked again it comes as a replay.
    """
    if request.locked and unsure and request.locked(reply):
        return True
    keyed = IDEMPOTENCY_HEADER in (request.headers or {})
    if reply.status != 409 or reply.replayed or not keyed:
        return False
    return unsure or isinstance(reply.error(), IntacctIdempotencyError)


def _authorization(token: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Set the token. Given as ``auth``, because otherwise a .netrc entry would replace the header."""

    def authorize(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            prepared.headers["Authorization"] = f"Bearer {token}"
        return prepared

    return authorize


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=connections, pool_block=False, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = f"airflow-provider-intacct/{__version__}"
    # A cookie would tie threads that share the session to one server-side session.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return session
