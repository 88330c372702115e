"""Access tokens: one process-wide cache, one renewal at a time, and a store through which workers share them."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.forks import call_after_fork, renew_after_fork
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctAuthenticationError,
    IntacctConfigError,
    IntacctConnectionError,
    IntacctResponseError,
    IntacctTokenError,
)

log = logging.getLogger(__name__)

#: A token is renewed this many seconds before it expires, or at 90% of a short lifetime.
RENEW_BEFORE = 300.0
#: Life in seconds assumed for a token whose response gives none; the shortest that was observed.
UNKNOWN_LIFETIME = 3600.0
#: Seconds before each look into the store for the successor of a refresh token that was rejected: the worker that was
#: quicker may still be waiting for its response, or saving it.
LOOK_AGAIN = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: Seconds after which a thread that waits for another one's renewal looks whether it still needs the token.
LOOK_UP = 0.5
#: Sets of credentials whose tokens a process remembers.
MAX_GRANTS = 256
#: What to do when no valid refresh token is left.
AUTHORIZE = "Run `python -m intacct_provider.authorize` to get a new one."

#: Posts a form to the token endpoint and returns the decoded response.
PostForm = Callable[[Mapping[str, str]], Any]


class CredentialStore(Protocol):
    """Where the tokens of one connection are kept, for every process that uses it. What it keeps is secret."""

    def load(self) -> str | None:
        """Return the text that was saved last, or None when nothing was saved yet."""

    def save(self, text: str) -> None:
        """Keep the text in place of the one before; it must be stored when this returns."""


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """The tokens of one grant, in memory and in a store.

    :param use_until: wall-clock seconds since 1970 after which the access token is not used any more.
    :param refresh_token: empty unless the grant needs one.
    :param fingerprint: identifies the credentials that the tokens belong to.
    """

    access_token: str = ""
    use_until: float = 0.0
    refresh_token: str = ""
    fingerprint: str = ""

    @classmethod
    def from_response(cls, response: Any, config: IntacctConfig, sent: str = "") -> Tokens:
        """Read a response of the token endpoint.

        :param sent: the refresh token that was sent. It stays valid if the response has none.
        :raises IntacctResponseError: if the response has no access token.
        """
        fields = response if isinstance(response, Mapping) else {}
        access, refresh = (
            _text_or_empty(fields.get("access_token")),
            _text_or_empty(fields.get("refresh_token")),
        )
        if not access:
            raise IntacctResponseError("Intacct's token endpoint answered without an access token.")
        if not (access.isascii() and access.isprintable()):
            raise IntacctResponseError(
                "Intacct's token endpoint answered with an access token that cannot be sent, since it has characters "
                "that no header may have."
            )
        if config.auth_type != "refresh_token":
            refresh = ""  # client_credentials gets one, too, but simply asks again
        life = _parse_lifetime(fields.get("expires_in"))
        use_until = time.time() + max(life - RENEW_BEFORE, life * 0.9)
        return cls(access, use_until, refresh or sent, _fingerprint(config))

    @classmethod
    def from_store(cls, text: str | None, config: IntacctConfig) -> Tokens:
        """Read what a store holds; tokens of other credentials, such as the connection's former ones, are ignored.

        Text that is not a JSON object is a refresh token that a person put there.
        """
        text, own = (text or "").strip(), _fingerprint(config)
        if not text.startswith("{"):
            return cls(refresh_token=text if config.auth_type == "refresh_token" else "", fingerprint=own)
        try:
            kept = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            return cls()
        return kept if kept.fingerprint == own else cls()

    def to_store(self) -> str:
        """Return the text that :meth:`from_store` reads."""
        return msgspec.json.encode(self).decode()


@dataclass(slots=True, repr=False, eq=False, weakref_slot=True)
class _Grant:
    """The tokens of one set of credentials, shared by every client of the process.

    :param store: held so that no other store can get its ``id``.
    :param asked_for: the access token that this process asked for last; others come from the store.
    :param rejected: access tokens that Intacct rejected; a store may offer them still.
    :param accepted: the access token that Intacct accepted last.
    :param unaccepted: tokens of this process that Intacct rejected at their first use since it accepted one.
    :param unsaved: tokens that the store failed to save; until it does, nothing may use them.
    """

    store: CredentialStore | None
    lock: threading.RLock = field(default_factory=threading.RLock)
    tokens: Tokens = field(default_factory=Tokens)
    renew_at: float = 0.0
    asked_for: str = ""
    rejected: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    accepted: str = ""
    unaccepted: int = 0
    unsaved: Tokens | None = None

    def __post_init__(self) -> None:
        renew_after_fork(self)

    def renew_after_fork(self) -> None:
        """Wait for no thread of the parent process, which itself saves the tokens that it asks for."""
        self.lock, self.unsaved = threading.RLock(), None


#: Those used last, of :data:`MAX_GRANTS` at most.
_grants: OrderedDict[tuple[str, int], _Grant] = OrderedDict()
_grants_lock = threading.Lock()


def _find_grant(fingerprint: str, store: CredentialStore | None) -> _Grant:
    """Return the tokens of these credentials and this store; the least recently used ones are forgotten."""
    with _grants_lock:
        place = (fingerprint, id(store))
        grant = _grants.get(place) or _Grant(store)
        _grants[place] = grant
        _grants.move_to_end(place)
        while len(_grants) > MAX_GRANTS:
            _grants.popitem(last=False)
        return grant


def _renew_after_fork() -> None:
    global _grants_lock  # a lock cannot be released by a thread that is not here
    _grants_lock = threading.Lock()


call_after_fork(_renew_after_fork)


def forget_tokens() -> None:
    """Empty the process-wide cache, so that the next request looks into the store or asks for a token."""
    with _grants_lock:
        _grants.clear()


class TokenSource:
    """Hands out a valid access token for one configuration.

    Every client of the process with the same credentials and the same store shares one token. Renewal happens before
    the token ends and by one thread at a time; the others wait for it and use its result. Processes share through the
    store, without a lock: a process whose refresh token was just used by another one takes the tokens that the other
    has stored.

    :param config: the credentials.
    :param post_form: reaches the token endpoint.
    :param store: keeps the tokens for other processes; without one they live as long as this process.
    :param on_secret: called with every token as soon as it is known, so that it can be masked.
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
        self._rotating = config.auth_type == "refresh_token"
        self._post_form = post_form
        self._on_secret = on_secret or (lambda _secret: None)
        self._grant = _find_grant(_fingerprint(config), store)

    @property
    def unaccepted(self) -> int:
        """New tokens of this process that Intacct rejected at their first use since it accepted one."""
        return self._grant.unaccepted

    def get(self, stopped: threading.Event | None = None) -> str:
        """Return a valid access token, renewing it when it is missing or about to end.

        :param stopped: set when the token is not needed any more.
        :raises IntacctAuthenticationError: if Intacct rejects the credentials.
        :raises IntacctConfigError: if there is no refresh token to renew it with.
        :raises IntacctConnectionError: if ``stopped`` was set while another thread renewed the token.
        """
        with self._hold(stopped):
            if not self._grant.tokens.access_token or time.monotonic() >= self._grant.renew_at:
                self._renew()
            return self._grant.tokens.access_token

    def accept(self, token: str) -> None:
        """Note that Intacct has accepted ``token``."""
        self._grant.accepted, self._grant.unaccepted = token, 0

    def reject(self, token: str) -> None:
        """Forget ``token`` because Intacct rejected it, unless another thread has renewed it already."""
        with self._grant.lock:
            if token in self._grant.rejected:
                return
            self._grant.rejected.append(token)
            if token == self._grant.asked_for and token != self._grant.accepted:
                self._grant.unaccepted += 1
            if self._grant.tokens.access_token == token:
                self._grant.tokens = replace(self._grant.tokens, access_token="")

    @contextmanager
    def replace(
        self,
        *,
        wait: Callable[[], None],
        stopped: threading.Event | None = None,
        own: bool = False,
        alone: bool = False,
    ) -> Iterator[tuple[str, bool]]:
        """Give another token in the place of one that was rejected, and whether the caller is the first to use it.

        That of another thread or worker, if there is one, else a new one.

        :param wait: called before a new token is asked for.
        :param stopped: set when the token is not needed any more.
        :param own: whether a new token is asked for in any case.
        :param alone: whether other threads wait for a new token until the caller has used it.
        """
        with ExitStack() as turn:
            turn.enter_context(self._hold(stopped))
            is_new = False
            if own or not self._grant.tokens.access_token or time.monotonic() >= self._grant.renew_at:
                wait()
                is_new = self._renew(own=own)
            token = self._grant.tokens.access_token
            if not (is_new and alone):
                turn.close()
            yield token, is_new and alone

    @contextmanager
    def _hold(self, stopped: threading.Event | None) -> Iterator[None]:
        """Hold the lock of the grant, unless the caller is stopped while it waits for it."""
        lock = self._grant.lock
        while not lock.acquire(timeout=LOOK_UP):
            if stopped is not None and stopped.is_set():
                raise IntacctConnectionError("No access token was asked for, because the read was stopped.")
        try:
            yield
        finally:
            lock.release()

    def _renew(self, own: bool = False) -> bool:
        """Take the tokens that another worker has stored, if they are valid, or ask for new ones.

        :param own: whether to ask in any case.
        :return: whether they are new.
        """
        if self._grant.unsaved:
            self._save(self._grant.unsaved)
        tokens, looks = self._load(), iter(LOOK_AGAIN)
        while own or not self._is_live(tokens):
            sent = self._refresh_token(tokens) if self._rotating else ""
            try:
                response = self._request(sent)
            except IntacctAuthenticationError as rejection:
                newer = self._await_newer(sent, looks) if rejection.code == "invalid_grant" else None
                if newer is None:
                    raise
                tokens, own = newer, False
            else:
                self._save(self._mask(Tokens.from_response(response, self._config, sent)))
                return True
        self._adopt(tokens)
        return False

    def _request(self, refresh_token: str) -> Any:
        config = self._config
        form = {
            "grant_type": config.auth_type,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
        }
        if not self._rotating:
            return self._post_form(form | {"username": config.username})
        self._on_secret(refresh_token)
        form["refresh_token"] = refresh_token
        try:
            return self._post_form(form)
        except IntacctAuthenticationError as rejection:
            # Intacct sometimes returns invalid_client for a correct secret on refresh.
            if rejection.code != "invalid_client":
                raise
        return self._post_form(form)

    def _refresh_token(self, stored: Tokens) -> str:
        """Return the newest refresh token: another process may have rotated it since this one did."""
        token = stored.refresh_token or self._grant.tokens.refresh_token or self._config.refresh_token
        if not token:
            raise IntacctConfigError(
                "There is no refresh token: the connection has none, and its credential store has none that "
                f"belongs to the connection as it is now. {AUTHORIZE}"
            )
        return token

    def _await_newer(self, sent: str, looks: Iterable[float]) -> Tokens | None:
        """Wait briefly for the tokens that another process may have got for the refresh token that was rejected."""
        if not self._rotating or self._grant.store is None:
            return None
        for pause in looks:
            time.sleep(pause)
            stored = self._load()
            if stored.refresh_token not in ("", sent):
                return stored
        return None

    def _load(self) -> Tokens:
        store = self._grant.store
        text = None if store is None else self._with_store(lambda: _read_store(store))
        return self._mask(Tokens.from_store(text, self._config))

    def _mask(self, tokens: Tokens) -> Tokens:
        """Report the secrets, so that logs mask them from now on."""
        for secret in filter(None, (tokens.access_token, tokens.refresh_token)):
            self._on_secret(secret)
        return tokens

    def _is_live(self, tokens: Tokens) -> bool:
        usable = tokens.access_token and tokens.access_token not in self._grant.rejected
        return bool(usable) and tokens.use_until > time.time()

    def _save(self, tokens: Tokens) -> None:
        """Save tokens, and only then use them."""
        store, self._grant.unsaved = self._grant.store, tokens
        if store is not None:
            self._with_store(lambda: store.save(tokens.to_store()))
        self._grant.unsaved = None
        self._grant.asked_for = tokens.access_token
        if tokens.access_token in self._grant.rejected:  # a server may issue the same one again
            self._grant.rejected.remove(tokens.access_token)
        self._adopt(tokens)

    def _adopt(self, tokens: Tokens) -> None:
        # From here on by the monotonic clock, which is not affected by clock changes.
        self._grant.renew_at = time.monotonic() + tokens.use_until - time.time()
        self._grant.tokens = tokens

    def _with_store(self, act: Callable[[], str | None]) -> str | None:
        """Load or save. Without a refresh token nothing can be lost, so a failing store costs a call only."""
        try:
            return act()
        except Exception as err:
            if self._rotating:
                raise
            log.warning(
                "Intacct: the credential store failed (%s); the access token is not shared.",
                type(err).__name__,
            )
            return None


def explain_rejection(error: IntacctAPIError, config: IntacctConfig) -> IntacctAuthenticationError:
    """Add which credentials were rejected to the error of the token endpoint; never the secret."""
    rotating = config.auth_type == "refresh_token"
    who = "the refresh token" if rotating else f"user {config.user_id!r} of company {config.company_id!r}"
    ended = rotating and error.code == "invalid_grant"
    # Advice about access tokens does not help here: there was none yet.
    hint = "" if isinstance(error, IntacctTokenError) else error.hint
    return IntacctAuthenticationError(
        f"Intacct rejected client id {config.client_id!r} for {who}: {error.message}",
        status=error.status,
        code=error.code,
        error_id=error.error_id,
        support_id=error.support_id,
        target=error.target,
        details=error.details,
        placeholders=error.placeholders,
        hint=f"It has expired or was already used. {AUTHORIZE}" if ended else hint,
    )


def _read_store(store: CredentialStore) -> str | None:
    text = store.load()
    if text is None or isinstance(text, str):
        return text
    raise IntacctConfigError(
        f"load() of the credential store {type(store).__name__} must return text or None, not {type(text).__name__}."
    )


def _fingerprint(config: IntacctConfig) -> str:
    """Name the credentials without holding them.

    A refresh token stands for user and company, and outlives a change of the application's secret.
    """
    own = (
        (config.refresh_token,)
        if config.auth_type == "refresh_token"
        else (config.client_secret, config.username)
    )
    parts = (config.base_url, config.auth_type, config.client_id, *own)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _text_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _parse_lifetime(value: Any) -> float:
    try:
        life = float(value)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN_LIFETIME
    # A store could not keep what is not finite, nor the refresh token with it.
    return max(life, 1.0) if math.isfinite(life) else UNKNOWN_LIFETIME
