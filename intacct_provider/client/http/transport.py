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
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from intacct_provider.client.config import IntacctConfig, redact_url
from intacct_provider.client.errors import is_token_error
from intacct_provider.client.http.auth import CredentialStore, TokenSource, explain_rejection
from intacct_provider.client.http.connections import find_proxy, find_proxy_password, open_session
from intacct_provider.client.http.content import ContentTooLargeError, UnknownEncodingError, read_content
from intacct_provider.client.http.replies import (
    REPLAYED_HEADER,
    Failure,
    Reply,
    classify_content,
    classify_failure,
    read_response,
)
from intacct_provider.client.http.retry import RETRY_STATUSES, RetryPolicy, compute_wait, read_pause
from intacct_provider.client.http.throttle import ConcurrencyLimit
from intacct_provider.client.redaction import Redactor
from intacct_provider.exceptions import (
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctRateLimitError,
    IntacctServerError,
)

__all__ = ["ENTITY_HEADER", "IDEMPOTENCY_HEADER", "REPLAYED_HEADER", "Reply", "Request", "Transport"]

log = logging.getLogger(__name__)

ENTITY_HEADER = "X-IA-API-Param-Entity"
IDEMPOTENCY_HEADER = "Idempotency-Key"
#: Attempts with another token after one is rejected; all but one of them are others' from the store.
MAX_REPETITIONS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API, before a token is added.

    :param path: below the base URL, such as ``/services/core/query``.
    :param content: encoded JSON body.
    :param form: form body of the token endpoint.
    :param repeatable: whether the request is safe to repeat.
    :param is_locked: returns whether a response other than 409 reports that an earlier request for a part of it is
        still being carried out.
    :param decode: decodes the content of a successful response; returns None if it is not what was expected, so that it
        is read like any other: it may be an error, or truncated.
    :param stopped: set when the response is no longer needed; then the request is not sent again.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    content: bytes | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = None
    repeatable: bool = True
    is_locked: Callable[[Reply], bool] | None = None
    decode: Callable[[bytes], Any] | None = None
    stopped: threading.Event | None = None


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
        self._proxy = find_proxy(config, self._session)
        password = find_proxy_password(self._proxy)
        self._redactor = Redactor(config.client_secret, config.refresh_token, password)
        self._on_secret = on_secret or (lambda _secret: None)
        if password:
            self._on_secret(password)
        self._tokens = TokenSource(config, self.post_form, store=store, on_secret=self._learn_secret)

    def close(self) -> None:
        """Close the connections; the token stays valid for other clients."""
        self._session.close()

    def send(self, request: Request) -> Reply:
        """Send a request and return the response, whatever its status.

        A rejected token is replaced and the request repeated. Tokens from the store do not count, since they may all
        have expired together; a freshly requested one is tried once.

        :raises IntacctAuthenticationError: if no token can be had.
        :raises IntacctConnectionError: if no complete response came within the retry policy.
        :raises IntacctResponseError: if the response is not JSON.
        """
        token = self._tokens.get()
        reply = self._send_with_retries(request, token)
        for repetition in range(MAX_REPETITIONS):
            if not _rejects_token(reply):
                break
            shared = self._tokens.drop(token)
            if repetition and not shared:
                break
            token = self._tokens.get()
            again = self._send_with_retries(request, token)
            reply = replace(again, maybe_already_done=again.maybe_already_done or reply.maybe_already_done)
        return reply

    def _send_with_retries(self, request: Request, token: str) -> Reply:
        """The one retry loop.

        :raises IntacctConnectionError: if no complete response came.
        """
        started, attempt, maybe_already_done = time.monotonic(), 0, False
        self._redactor.add(token)  # another client of the process may have got it
        while True:
            attempt += 1
            outcome = self._send_once(request, token)
            elapsed = time.monotonic() - started
            # A response that is cached under an idempotency key stays the same however often it is requested.
            retryable = not outcome.replayed if isinstance(outcome, Reply) else outcome.transient
            wait = compute_wait(
                self._retry,
                repeatable=request.repeatable and retryable,
                status=_effective_status(outcome),
                retry_after=read_pause(outcome.headers),
                locked=isinstance(outcome, Reply) and _is_locked(request, outcome, maybe_already_done),
                attempt=attempt,
                elapsed=elapsed,
                jitter=random.random(),  # noqa: S311
            )
            if wait is None:
                if isinstance(outcome, Reply):
                    return replace(outcome, maybe_already_done=maybe_already_done)
                raise self._build_error(request, outcome, attempt, elapsed) from outcome.cause
            maybe_already_done |= outcome.maybe_done
            what = f"HTTP {outcome.status}" if isinstance(outcome, Reply) else outcome.what
            log.warning(
                "Intacct: %s %s: %s; retrying in %.1f s (attempt %d of %d)",
                request.method, request.path, what, wait, attempt + 1, self._retry.attempts,
            )  # fmt: skip
            if request.stopped is None:
                time.sleep(wait)
            elif request.stopped.wait(wait):
                raise IntacctConnectionError(
                    f"{request.method} {request.path}: {what}; not sent again, because the read was stopped."
                )

    def _send_once(self, request: Request, token: str) -> Reply | Failure:
        """Send once and return a complete response, or why there is none."""
        headers = {"Accept": "application/json"}
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        headers |= request.headers or {}
        try:
            with self.limit.slot() as slot:
                if request.stopped is not None and request.stopped.is_set():
                    return Failure(
                        "not sent, because the read was stopped", transient=False, maybe_done=False
                    )
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
        except (requests.RequestException, HTTPError, UnicodeError) as err:
            return classify_failure(err, self._config.timeout, redact_url(self._proxy))
        except (ContentTooLargeError, UnknownEncodingError) as err:
            return classify_content(err)
        outcome = read_response(response, content, request.decode, self._redactor.clean)
        self.limit.observe(_effective_status(outcome), response.headers, slot)
        return outcome

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
        reply = self._send_with_retries(Request("POST", "/oauth2/token", form=form), "")
        error = reply.error()
        if error and reply.status in (400, 401, 403):
            raise explain_rejection(error, self._config)
        return reply.raise_for_error().body


def _rejects_token(reply: Reply) -> bool:
    error = reply.error()
    return error is not None and is_token_error(error)


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
