"""Access tokens: one process-wide cache, and one renewal at a time for each set of credentials."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.errors import (
    IntacctAPIError,
    IntacctAuthenticationError,
    IntacctResponseError,
)

#: A token is renewed this many seconds before it ends, or after 9/10 of a short life.
RENEW_BEFORE = 300.0
#: Life in seconds assumed for a token whose answer does not tell; the shortest seen in the field.
UNTOLD_LIFE = 3600.0

#: Posts a form to the token endpoint and returns the decoded answer.
PostForm = Callable[[Mapping[str, str]], Any]


class CredentialStore(Protocol):
    """Where the current refresh token of a rotating grant is kept."""

    def load(self) -> str | None:
        """Return the stored refresh token, or None when none was stored yet."""

    def save(self, refresh_token: str) -> None:
        """Keep the refresh token; it must be stored when this returns."""


@dataclass(slots=True)
class _Grant:
    """The token of one set of credentials, shared by every client of the process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    access_token: str = ""
    renew_at: float = 0.0
    refresh_token: str = ""


_grants: dict[str, _Grant] = {}
_grants_lock = threading.Lock()


def forget_tokens() -> None:
    """Empty the process-wide cache, so that the next request asks for a token."""
    with _grants_lock:
        _grants.clear()


class TokenSource:
    """Hands out a valid access token for one configuration.

    Every client of the process with the same credentials shares one token. Renewal happens before
    the token ends and by one thread at a time; the others wait for it and use its result.

    :param config: the credentials.
    :param post_form: reaches the token endpoint.
    :param store: keeps refresh tokens for ``auth_type="refresh_token"``; without one they live as
        long as the process.
    :param on_secret: told of every token as soon as it is known, so that it can be masked.
    """

    def __init__(
        self,
        config: IntacctConfig,
        post_form: PostForm,
        *,
        store: CredentialStore | None = None,
        on_secret: Callable[[str], None] | None = None,
    ) -> None:
        self._config = config
        self._post_form = post_form
        self._store = store
        self._on_secret = on_secret or (lambda _secret: None)
        with _grants_lock:
            self._grant = _grants.setdefault(_cache_key(config), _Grant())

    def get(self) -> str:
        """Return a valid access token, renewing it when it is missing or about to end.

        :raises IntacctAuthenticationError: if Intacct refuses the credentials.
        """
        with self._grant.lock:
            if not self._grant.access_token or time.monotonic() >= self._grant.renew_at:
                self._renew()
            return self._grant.access_token

    def drop(self, token: str) -> None:
        """Forget ``token`` because Intacct refused it, unless another thread has renewed it already."""
        with self._grant.lock:
            if self._grant.access_token == token:
                self._grant.access_token = ""

    def _renew(self) -> None:
        answer = self._post_form(self._form())
        token = answer.get("access_token") if isinstance(answer, Mapping) else None
        if not isinstance(token, str) or not token:
            raise IntacctResponseError("Intacct's token endpoint answered without an access token.")
        self._on_secret(token)
        self._keep_refresh_token(answer.get("refresh_token"))
        life = _seconds(answer.get("expires_in"))
        self._grant.access_token = token
        self._grant.renew_at = time.monotonic() + max(life - RENEW_BEFORE, life * 0.9)

    def _form(self) -> dict[str, str]:
        config = self._config
        form = {
            "grant_type": config.auth_type,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
        }
        if config.auth_type == "refresh_token":
            return form | {"refresh_token": self._current_refresh_token()}
        return form | {"username": config.username}

    def _current_refresh_token(self) -> str:
        # The store comes first: another worker may have rotated the token since this process did.
        stored = self._store.load() if self._store else None
        token = stored or self._grant.refresh_token or self._config.refresh_token
        self._on_secret(token)
        return token

    def _keep_refresh_token(self, token: Any) -> None:
        """Store a rotated refresh token before anything uses its access token.

        The client-credentials grant gets one too, but needs none: it simply asks again.
        """
        if self._config.auth_type != "refresh_token" or not isinstance(token, str) or not token:
            return
        self._on_secret(token)
        self._grant.refresh_token = token
        if self._store:
            self._store.save(token)


def explain_refusal(error: IntacctAPIError, config: IntacctConfig) -> IntacctAuthenticationError:
    """Return the token endpoint's refusal with whose credentials were refused; never the secret."""
    who = (
        f"user {config.user_id!r} of company {config.company_id!r}" if config.user_id else "the refresh token"
    )
    return IntacctAuthenticationError(
        f"Intacct refused client id {config.client_id!r} for {who}: {error.message}",
        status=error.status,
        code=error.code,
        error_id=error.error_id,
        support_id=error.support_id,
        hint=error.hint,
    )


def _cache_key(config: IntacctConfig) -> str:
    """Name the credentials without holding them; a changed secret is another entry."""
    parts = (
        config.base_url,
        config.auth_type,
        config.client_id,
        config.client_secret,
        config.username,
        config.refresh_token,
        config.credential_store,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _seconds(value: Any) -> float:
    try:
        return max(float(value), 1.0)
    except (TypeError, ValueError):
        return UNTOLD_LIFE
