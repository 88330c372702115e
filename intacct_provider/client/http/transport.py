"""HTTP to Intacct: one session, explicit timeouts, tokens, and the one retry loop.

Nothing here logs or quotes a header, a body or a query string.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from intacct_provider.client.config import IntacctConfig, redact_url
from intacct_provider.client.errors import TokenVerdict, find_bare_error, find_error, judge_token
from intacct_provider.client.forks import renew_after_fork
from intacct_provider.client.http.auth import CredentialStore, TokenSource, explain_rejection
from intacct_provider.client.http.connections import find_proxy, find_proxy_secrets, open_session
from intacct_provider.client.http.content import ContentTooLargeError, UnknownEncodingError, read_content
from intacct_provider.client.http.replies import (
    REPLAYED_HEADER,
    Failure,
    Reply,
    classify_content,
    classify_failure,
    read_response,
)
from intacct_provider.client.http.retry import (
    RETRY_STATUSES,
    RetryPolicy,
    compute_token_pause,
    compute_wait,
    read_pause,
)
from intacct_provider.client.http.throttle import ConcurrencyLimit
from intacct_provider.client.redaction import Redactor
from intacct_provider.client.usage import Tally
from intacct_provider.exceptions import (
    IntacctAuthenticationError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
)

__all__ = ["ENTITY_HEADER", "IDEMPOTENCY_HEADER", "REPLAYED_HEADER", "Reply", "Request", "Transport"]

log = logging.getLogger(__name__)

ENTITY_HEADER = "X-IA-API-Param-Entity"
IDEMPOTENCY_HEADER = "Idempotency-Key"
#: Tokens of other threads and workers that a request uses, before it asks for one that it is the first to use.
MAX_SHARED_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API, before a token is added.

    :param path: below the base URL, such as ``/services/core/query``.
    :param content: encoded JSON body.
    :param form: form body of the token endpoint.
    :param repeatable: whether the request is safe to repeat.
    :param once: whether it must never be sent twice, not even if its token is rejected: the token may have ended after
        the request was carried out. The caller makes sure beforehand that the token is good.
    :param may_repeat: asked whether it is, before a request that may have been carried out is sent again.
    :param is_locked: returns whether a response other than 409 reports that an earlier request for a part of it is
        still being carried out.
    :param decode: decodes the content of a successful response; returns None if it is not what was expected, so that it
        is read like any other: it may be an error, or truncated.
    :param stopped: set when the response is no longer needed; then the request is not sent again.
    :param object_name: path of the object that it is about, where the path does not say it.
    :param tally: counts what it takes.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    content: bytes | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    once: bool = False
    may_repeat: Callable[[], bool] | None = None
    is_locked: Callable[[Reply], bool] | None = None
    decode: Callable[[bytes], Any] | None = None
    stopped: threading.Event | None = None
    object_name: str = ""
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)

    def is_safe_to_repeat(self) -> bool:
        """Whether the request may be sent again although it may have been carried out."""
        return self.repeatable and (self.may_repeat is None or self.may_repeat())


#: Members of a form that no message may have.
_SECRET_MEMBERS = {"client_secret", "refresh_token", "code", "code_verifier"}
#: What any good token may ask for.
PROBE = Request("GET", "/services/core/model", params={"name": "company-config/entity"})


class Transport:
    """Sends requests with a valid token, and retries.

    :param config: where to send them and as whom.
    :param store: keeps rotated refresh tokens.
    :param on_secret: called with every token, so that it can be masked.
    :param retry: how long to retry.
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
        self.limit = ConcurrencyLimit(config.max_concurrency)
        self._session = open_session(config, self.limit.highest)
        #: The connections of the parent process, which are neither used nor closed here.
        self._inherited: list[requests.Session] = []
        self._proxy = find_proxy(config, self._session)
        #: Whether the host has answered as Intacct does.
        self._has_answered = False
        secrets = find_proxy_secrets(self._proxy)
        self._redactor = Redactor(config.client_secret, config.refresh_token, *secrets)
        #: Called before each HTTP request, those for tokens and retries among them; raises to prevent it.
        self.before_request: Callable[[Request], None] | None = None
        self._on_secret = on_secret or (lambda _secret: None)
        for secret in secrets:
            self._on_secret(secret)
        self._tokens = TokenSource(config, self.post_form, store=store, on_secret=self._learn_secret)
        renew_after_fork(self)

    def renew_after_fork(self) -> None:
        """Open connections of this process, and leave the requests in flight to the parent."""
        self._inherited.append(self._session)
        self.limit = ConcurrencyLimit(self._config.max_concurrency)
        self._session = open_session(self._config, self.limit.highest)

    def close(self) -> None:
        """Close the connections; the token stays valid for other clients."""
        self._session.close()

    def send(self, request: Request) -> Reply:
        """Send a request and return the response, whatever its status.

        A rejected token is replaced and the request repeated, within the retry policy. Only tokens that this request
        was the first to use count: other threads and workers may use up or end one that they share.

        :raises IntacctAuthenticationError: if no token can be had.
        :raises IntacctConnectionError: if no complete response came within the retry policy.
        :raises IntacctResponseError: if the response is not JSON.
        """
        token = self._tokens.get(request.stopped)
        begun = time.monotonic()
        reply = self._send_with_retries(request, token)
        verdict = judge_reply(request, reply)
        if verdict is TokenVerdict.ACCEPTED:
            self._tokens.accept(token)
            return reply
        return self._send_with_new_tokens(request, token, reply, time.monotonic() - begun)

    def send_with_token(self, request: Request, token: str) -> Reply:
        """Send a request with a given token, and return the response even if it rejects the token.

        :raises IntacctConnectionError: if no complete response came within the retry policy.
        """
        return self._send_with_retries(request, token)

    def _send_with_new_tokens(self, request: Request, token: str, reply: Reply, seconds: float) -> Reply:
        """Repeat a request whose token was rejected until one is accepted, or too many new ones are rejected.

        :param seconds: what the rejected request took.
        """
        started, rejections, first_uses = time.monotonic(), 0, 0
        while (verdict := judge_reply(request, reply)) is not TokenVerdict.ACCEPTED:
            if not self._may_send_again(request, token):
                accepted = "accepted it just before" if request.once else "accepts it for another request"
                raise IntacctResponseError(
                    f"{request.method} {request.path}: Intacct rejected the access token (HTTP {reply.status}), and "
                    f"{accepted}, so it is unknown whether this one was carried out."
                )
            self._tokens.reject(token)
            rejections += 1
            pause = compute_token_pause(
                self._retry,
                suspected=verdict is TokenVerdict.SUSPECT,
                first_uses=first_uses,
                unaccepted=self._tokens.unaccepted,
                seconds=seconds,
                elapsed=time.monotonic() - started,
                jitter=random.random(),  # noqa: S311
            )
            if pause is None:
                return reply
            log.log(
                logging.INFO if rejections == 1 else logging.WARNING,
                "Intacct: %s %s: the access token was rejected (HTTP %d); trying another one",
                request.method, request.path, reply.status,
            )  # fmt: skip
            with self._tokens.replace(
                wait=partial(self._pause, request, pause, "the access token was rejected"),
                stopped=request.stopped,
                own=rejections >= MAX_SHARED_TOKENS,
                alone=rejections > 1 or verdict is TokenVerdict.SUSPECT,
            ) as (token, is_first):
                begun = time.monotonic()
                again = self._send_with_retries(request, token)
                seconds = time.monotonic() - begun
                reply = replace(
                    again, maybe_already_done=again.maybe_already_done or reply.maybe_already_done
                )
                first_uses += is_first
                if judge_reply(request, reply) is not TokenVerdict.ACCEPTED:
                    self._tokens.reject(token)  # before another thread takes it
        self._tokens.accept(token)
        return reply

    def _may_send_again(self, request: Request, token: str) -> bool:
        """Whether a request whose token was rejected may be sent with another one.

        What must not happen twice is not, if the token turns out to be good: then the rejection is not what it seems.
        """
        if request.once:
            return False
        if request.is_safe_to_repeat():
            return True
        return judge_reply(PROBE, self._send_with_retries(PROBE, token)) is not TokenVerdict.ACCEPTED

    def _send_with_retries(self, request: Request, token: str) -> Reply:
        """The one retry loop.

        :raises IntacctConnectionError: if no complete response came.
        """
        started, attempt, maybe_already_done = time.monotonic(), 0, False
        self._redactor.add(token)  # another client of the process may have got it
        while True:
            outcome, status = self._send_once(request, token)
            pause = read_pause(outcome.headers)
            # Others have all the places. Only the time bounds how often that may be, or they would starve this client.
            # A pause of 0 seconds says as little as none.
            crowded_out = status == 429 and bool(pause)
            attempt += not crowded_out
            elapsed = time.monotonic() - started
            wait = compute_wait(
                self._retry,
                repeatable=request.repeatable and (isinstance(outcome, Reply) or outcome.transient),
                status=status,
                retry_after=pause,
                locked=isinstance(outcome, Reply) and _is_locked(request, outcome, maybe_already_done),
                attempt=max(1, attempt),
                elapsed=elapsed,
                jitter=random.random(),  # noqa: S311
            )
            if isinstance(outcome, Reply) and wait is not None and not _is_worth_repeating(request, outcome):
                wait = None
            if wait is None or (outcome.maybe_done and not request.is_safe_to_repeat()):
                if isinstance(outcome, Reply):
                    return replace(outcome, maybe_already_done=True) if maybe_already_done else outcome
                error = self._build_error(request, outcome, attempt, elapsed)
                if isinstance(error, IntacctConnectionError):
                    error.maybe_done = maybe_already_done or outcome.maybe_done
                raise error from outcome.cause
            maybe_already_done |= outcome.maybe_done
            what = f"HTTP {outcome.status}" if isinstance(outcome, Reply) else outcome.what
            log.warning(
                "Intacct: %s %s: %s; retrying in %.1f s (attempt %d of %d)",
                request.method, request.path, what, wait, attempt + 1, self._retry.attempts,
            )  # fmt: skip
            request.tally.throttled += wait if status == 429 else 0.0
            self._pause(request, wait, what)

    def _pause(self, request: Request, seconds: float, what: str) -> None:
        """Wait before a request is sent again.

        :raises IntacctConnectionError: if the response is not needed any more.
        """
        if request.stopped is None:
            time.sleep(seconds)
        elif request.stopped.wait(seconds):
            raise IntacctConnectionError(
                f"{request.method} {request.path}: {what}; not sent again, because the read was stopped."
            )

    def _send_once(self, request: Request, token: str) -> tuple[Reply | Failure, int | None]:
        """Send once and return a complete response, or why there is none, and the status that it amounts to."""
        if self.before_request is not None:
            self.before_request(request)
        headers = {"Accept": "application/json"}
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        headers |= request.headers or {}
        try:
            in_line = time.monotonic()
            with self.limit.slot() as slot:
                request.tally.throttled += time.monotonic() - in_line
                if request.stopped is not None and request.stopped.is_set():
                    stopped = "not sent, because the read was stopped"
                    return Failure(stopped, transient=False, maybe_done=False), None
                request.tally.calls += 1
                with self._session.request(
                    request.method,
                    self._config.base_url + request.path,
                    params=request.params,
                    data=request.content if request.form is None else request.form,
                    headers=headers,
                    auth=_authorize_with(token),
                    timeout=self._config.timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    content = read_content(response)
        except (requests.RequestException, HTTPError, ValueError) as err:
            failure = classify_failure(err, self._config.timeout, redact_url(self._proxy))
            return failure, failure.status
        except (ContentTooLargeError, UnknownEncodingError) as err:
            failure = classify_content(err)
            return failure, failure.status
        outcome = read_response(
            response, content, request.decode, self._redactor.clean, known=self._has_answered
        )
        self._has_answered |= isinstance(outcome, Reply) and outcome.has_content and outcome.status < 300
        status = _effective_status(outcome)
        self.limit.observe(status, response.headers, slot)
        return outcome, status

    def _learn_secret(self, secret: str) -> None:
        """Mask a token in logs, and in whatever a server repeats."""
        self._redactor.add(secret)
        self._on_secret(secret)

    def _build_error(self, request: Request, failure: Failure, attempts: int, elapsed: float) -> IntacctError:
        times = "" if attempts == 1 else f" after {attempts} attempts in {elapsed:.0f} s"
        where = f"{request.method} {request.path} at {redact_url(self._config.base_url)}"
        return failure.error(f"{where}: {failure.what}{times}.")

    def post_form(self, form: Mapping[str, str]) -> Any:
        """Post a form to the token endpoint, with the same retries as any request.

        A lost response may have ended the refresh token that was sent; sending it again then does no harm.
        """
        for name in _SECRET_MEMBERS & form.keys():
            self._redactor.add(form[name])
        reply = self._send_with_retries(Request("POST", "/oauth2/token", form=form), "")
        error = reply.error()
        rejected = reply.status in (400, 401, 403) or isinstance(error, IntacctAuthenticationError)
        if error and rejected and not isinstance(error, IntacctRateLimitError | IntacctServerError):
            raise explain_rejection(error, self._config)
        return reply.raise_for_error().body


def judge_reply(request: Request, reply: Reply) -> TokenVerdict:
    """Return what a response says about the access token of its request.

    A response of several records or parts counts if none of them succeeded, since only then nothing was done; that of
    a read counts in any case. A response from the idempotency cache is about the token of an earlier request.
    """
    if reply.replayed:
        return TokenVerdict.ACCEPTED
    found, elements = find_error(reply.body), reply.elements
    if found or not isinstance(elements, list):
        status = max(reply.status, reply.read_status(reply.body))
        failed = found or status >= 400
        error = found or find_bare_error(reply.body)
        return judge_token(status, error, reply.headers) if failed else TokenVerdict.ACCEPTED
    errors = [(reply.read_status(element), find_error(element)) for element in elements]
    verdicts = [judge_token(status, error) for status, error in errors if error or status >= 400]
    if reply.status >= 400:
        verdicts.append(judge_token(reply.status, {}, reply.headers))
    elif request.method != "GET" and len(verdicts) < len(elements):
        return TokenVerdict.ACCEPTED
    return max(verdicts, default=TokenVerdict.ACCEPTED)


def _is_worth_repeating(request: Request, reply: Reply) -> bool:
    """Whether a response may differ when it is asked again with the same token.

    One that is cached under an idempotency key stays the same however often it is requested.
    """
    return not reply.replayed and judge_reply(request, reply) is not TokenVerdict.DEAD


def _effective_status(outcome: Reply | Failure) -> int | None:
    """Return the status that a response amounts to; an overload can be reported under any status."""
    if not isinstance(outcome, Reply) or outcome.status in RETRY_STATUSES - {503}:
        return outcome.status
    error = outcome.error()
    if isinstance(error, IntacctRateLimitError):
        return 429
    return 503 if isinstance(error, IntacctServerError) else outcome.status


def _is_locked(request: Request, reply: Reply, maybe_already_done: bool) -> bool:
    """Whether a 409 may mean that another request under the same key is still being carried out.

    A conflict between records is kept under the key, so when it is asked again it comes as a replay.
    """
    if request.is_locked and maybe_already_done and request.is_locked(reply):
        return True
    keyed = IDEMPOTENCY_HEADER in (request.headers or {})
    if reply.status != 409 or reply.replayed or not keyed:
        return False
    return maybe_already_done or isinstance(reply.error(), IntacctIdempotencyError)


def _authorize_with(token: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Set the token. Given as ``auth``, because otherwise a .netrc entry would replace the header."""

    def authorize(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            prepared.headers["Authorization"] = f"Bearer {token}"
        return prepared

    return authorize
