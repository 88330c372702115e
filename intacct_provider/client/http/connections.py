"""The connections of a client: through which proxy, trusting which certificates, and waiting for how long."""

from __future__ import annotations

import http.client
import http.cookiejar
import io
import logging
import os
import socket
import ssl
import time
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from intacct_provider import __version__
from intacct_provider.client.config import IntacctConfig, is_loopback, redact_url
from intacct_provider.exceptions import IntacctConfigError

log = logging.getLogger(__name__)

#: Seconds from the end of a request to the end of its response, at least this and this many times the timeout: a server
#: that sends a byte now and then never exceeds the timeout, which is for each part.
RESPONSE_SECONDS = 300.0
RESPONSE_TIMEOUTS = 5
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class ResponseTooSlowError(TimeoutError):
    """A response was not complete when its time was up."""


def compute_deadline(timeout: float) -> float:
    """Return how many seconds a whole response may take."""
    return max(RESPONSE_SECONDS, RESPONSE_TIMEOUTS * timeout)


def open_session(config: IntacctConfig, connections: int) -> requests.Session:
    """Return a session whose connections are those that a configuration asks for.

    :param connections: requests in flight at most.
    """
    session = requests.Session()
    # What the environment says is read here, once: requests would send it the requests of loopback addresses.
    session.trust_env = False
    session.proxies.update(find_proxies(config))
    session.verify = find_certificates(config)
    adapter = _Adapter(pool_maxsize=connections, pool_block=False, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = f"airflow-provider-intacct/{__version__}"
    # Not what requests adds when further libraries are installed.
    session.headers["Accept-Encoding"] = "gzip, deflate"
    # A cookie would tie threads that share the session to one server-side session.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return session


def find_proxies(config: IntacctConfig) -> dict[str, str]:
    """Return the proxies for a configuration by scheme; none for a loopback address, whatever the environment says."""
    if is_loopback(urlsplit(config.base_url).hostname or ""):
        return {}
    if config.proxy:
        return dict.fromkeys(("http", "https"), config.proxy)
    return dict(get_environ_proxies(config.base_url))


def find_proxy(config: IntacctConfig, session: requests.Session) -> str:
    """Return the URL of the proxy that a session uses; empty if it uses none."""
    proxy = select_proxy(config.base_url, session.proxies) or ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def find_proxy_secrets(proxy: str) -> list[str]:
    """Return the password in the URL of a proxy, as it is and as it is written there; nothing if it has none."""
    try:
        password = urlsplit(proxy).password
    except ValueError:
        return []
    return list(dict.fromkeys((unquote(password), password))) if password else []


def find_certificates(config: IntacctConfig) -> bool | str:
    """Return whether to verify certificates, or the path of what to verify them with.

    :raises IntacctConfigError: if there are no certificates at that path.
    """
    if urlsplit(config.base_url).scheme == "http":
        return True
    if config.verify is False:
        _warn_unverified(redact_url(config.base_url))
        return False
    name, path = "verify", str(config.verify)
    if config.verify is True:
        name = next((name for name in _CA_VARIABLES if os.environ.get(name)), "")
        path = os.environ.get(name, "")
    if not path:
        return True
    try:
        _try_certificates(path, os.stat(path).st_mtime_ns)
    except OSError as err:
        raise IntacctConfigError(
            f"{name} {path!r} cannot be read as CA certificates in PEM format ({type(err).__name__})."
        ) from None
    return path


@lru_cache(maxsize=100)
def _try_certificates(path: str, _changed: int) -> None:
    """Load certificates once for each change of their file, since a usual bundle takes 20 ms and more.

    :raises OSError: if there are none.
    """
    folder = os.path.isdir(path)
    ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)


@lru_cache(maxsize=100)
def _warn_unverified(base_url: str) -> None:
    """Warn once per process and address."""
    log.warning(
        "Intacct: verify is false, so the certificate of %s is not checked: anyone in between can read and change "
        "what is sent, the client secret included.",
        base_url,
    )


class _Adapter(HTTPAdapter):
    """An adapter whose connections end responses that take too long."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request, through a proxy of whatever kind or without one."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _with_deadline(pool.ConnectionCls)
        return pool


@cache
def _with_deadline(connection: type[Any]) -> type[Any]:
    """Return a class of connections with responses that have a deadline."""
    if connection.response_class is _TimedResponse:
        return connection
    return type(connection.__name__, (connection,), {"response_class": _TimedResponse})


class _TimedResponse(http.client.HTTPResponse):
    """A response of which every byte, from its status line on, must come before the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: io.BufferedReader = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the deadline.

    :param raw: reads from the socket.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw, self._sock = raw, sock
        self._timeout = sock.gettimeout() or RESPONSE_SECONDS
        self._deadline = time.monotonic() + compute_deadline(self._timeout)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived; wait for it until the deadline."""
        left = self._deadline - time.monotonic()
        if 0 < left < self._timeout:
            self._sock.settimeout(left)
        try:
            if left > 0:
                return self._raw.readinto(buffer)
        except TimeoutError:
            if left >= self._timeout:
                raise
        raise ResponseTooSlowError("the response was not complete in time")

    def fileno(self) -> int:
        """Return the number of the socket."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the reader; its connection may serve the next request."""
        self._raw.close()
        super().close()
