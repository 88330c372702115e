"""What a client needs to know to reach one company, and the checks on it."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctConfigError

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.intacct.com/ia/api/v1"
AUTO: Literal["auto"] = "auto"
AUTH_TYPES = ("client_credentials", "refresh_token")
#: Rows that the query service serves in one page at most.
MAX_PAGE_SIZE = 4000
#: Requests that one client may have in flight; Intacct's tiers allow up to 15 for an application, or more by contract.
MAX_CONCURRENCY = 30

_NUMBERS: dict[str, tuple[type, float, float]] = {
    "timeout": (float, 0.1, 3600),
    "max_concurrency": (int, 1, MAX_CONCURRENCY),
    "page_size": (int, 1, MAX_PAGE_SIZE),
}
_TEXTS = ("company_id", "user_id", "entity_id", "auth_type", "refresh_token", "credential_store")
_NETWORK = ("proxy", "verify")
EXTRAS = (*_TEXTS, *_NUMBERS, *_NETWORK)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, kw_only=True, slots=True)
class IntacctConfig:
    """How to reach one Intacct company.

    :param client_id: id of the registered application.
    :param client_secret: its secret.
    :param company_id: company, sent as ``username=user@company``. Case matters to Intacct. Only a refresh token needs
        neither it nor a user, since it stands for both.
    :param user_id: Web Services user of that company.
    :param base_url: where the REST API is. Plain ``http`` is for loopback only.
    :param entity_id: entity that requests run in; empty means the top level.
    :param auth_type: ``client_credentials`` or ``refresh_token``.
    :param refresh_token: the first refresh token, for the grant of that name; not needed when a store has one.
    :param credential_store: where tokens are kept for other processes: ``memory`` (nowhere), ``variable`` or a dotted
        path. The hook makes the store; a client takes it as an argument.
    :param timeout: seconds to wait for a connection and for each part of a response.
    :param max_concurrency: requests in flight at most, 1 to 30; ``auto`` for as many as the server's responses allow.
    :param page_size: rows per page, 1 to 4000. Intacct bills a page as one call, whatever its size.
    :param proxy: URL of the proxy to use, such as ``http://user:password@proxy.acme.com:3128``; empty takes that of the
        environment (``HTTPS_PROXY``, ``NO_PROXY``). A loopback address is never reached through a proxy.
    :param verify: whether the server's TLS certificate must be trusted, or the path of the CA bundle to trust.
    :raises IntacctConfigError: for a value that cannot be used.
    """

    client_id: str
    client_secret: str = field(repr=False)
    company_id: str = ""
    user_id: str = ""
    base_url: str = DEFAULT_BASE_URL
    entity_id: str = ""
    auth_type: str = "client_credentials"
    refresh_token: str = field(default="", repr=False)
    credential_store: str = "memory"
    timeout: float = 60.0
    max_concurrency: int | Literal["auto"] = AUTO
    page_size: int = MAX_PAGE_SIZE
    proxy: str = field(default="", repr=False)
    verify: bool | str = True

    def __post_init__(self) -> None:
        """Reject values that cannot be used, before anything is sent."""
        _check_types(self)
        _check_grant(self)
        _split_company(self)
        object.__setattr__(self, "base_url", self.base_url.strip().rstrip("/"))
        for name, label in _REQUIRED.items():
            if not getattr(self, name) and not (name in _ONLY_NAMED and self.auth_type == "refresh_token"):
                raise IntacctConfigError(f"{name} is missing: give the {label}.")
        for name in _ONLY_NAMED:
            if "@" in getattr(self, name):
                raise IntacctConfigError(
                    f"{name} {getattr(self, name)!r} must not contain '@': give the user as user_id and the "
                    "company as company_id."
                )
        for name in _NUMBERS:
            object.__setattr__(self, name, _parse_number(name, getattr(self, name)))
        check_base_url(self.base_url)
        _check_texts(self)
        if self.proxy:
            _check_proxy(self.proxy)
        _parse_verify(self.verify)

    @property
    def username(self) -> str:
        """User and company as Intacct's token endpoint wants them."""
        return f"{self.user_id}@{self.company_id}"

    @classmethod
    def from_connection(
        cls,
        *,
        host: str | None,
        port: int | None,
        login: str | None,
        password: str | None,
        extra: Mapping[str, Any],
    ) -> IntacctConfig:
        """Build the configuration from the parts of a stored connection.

        Empty parts take the defaults, since environment and secrets-backend connections never see
        those of Airflow's form. Every extra may be text, as a connection URI delivers it.

        :raises IntacctConfigError: for an unknown extra (naming the closest known one), a missing
            part, or a value that cannot be used.
        """
        for name in extra:
            if name not in EXTRAS:
                raise IntacctConfigError(
                    f"Unknown extra {name!r} in the Intacct connection.{did_you_mean(name, EXTRAS)} "
                    f"Known extras: {', '.join(EXTRAS)}."
                )
        given: dict[str, Any] = {
            name: str(extra[name]).strip() for name in _TEXTS if extra.get(name) not in (None, "")
        }
        given |= {
            name: _parse_number(name, extra[name]) for name in _NUMBERS if extra.get(name) not in (None, "")
        }
        given |= {"proxy": str(extra["proxy"]).strip()} if extra.get("proxy") not in (None, "") else {}
        given |= {"verify": _parse_verify(extra["verify"])} if extra.get("verify") not in (None, "") else {}
        return cls(
            client_id=(login or "").strip(),
            client_secret=password or "",
            base_url=_join_base_url(host, port),
            **given,
        )


_REQUIRED = {
    "client_id": "client id (login of an Airflow connection)",
    "client_secret": "client secret (password of an Airflow connection)",
    "company_id": "Intacct company id (extra company_id of an Airflow connection)",
    "user_id": "Web Services user (extra user_id of an Airflow connection)",
}
_ONLY_NAMED = ("company_id", "user_id")


def check_base_url(url: str) -> None:
    """Reject an API base URL that would send credentials in the clear or nowhere.

    :raises IntacctConfigError: unless it is ``https://`` or ``http://`` to a loopback address.
    """
    parts = _split_url(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise IntacctConfigError(
            f"host must be the API base URL, such as {DEFAULT_BASE_URL}, not {redact_url(url)!r}."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise IntacctConfigError(
            "host must be a plain base URL without user, password, query or fragment: the client id goes "
            "in login, the secret in password."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise IntacctConfigError(
            f"host {redact_url(url)!r} is plain http, which would send the client secret in the clear. "
            "Use https; plain http is for a loopback address, such as the sandbox's, only."
        )


def redact_url(url: str) -> str:
    """Return the URL without credentials, query and fragment, fit for a log."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else parts.path


def _check_types(config: IntacctConfig) -> None:
    """Reject what is not text, without repeating it; what is required and None is reported as missing."""
    for name in ("client_id", "client_secret", *_TEXTS, "base_url", "proxy"):
        value = getattr(config, name)
        if not (isinstance(value, str) or (value is None and name in (*_REQUIRED, "proxy"))):
            raise IntacctConfigError(f"{name} must be text, not {type(value).__name__}.")


def _split_company(config: IntacctConfig) -> None:
    """Take ``company|entity``, as people write it at the sign-in of Intacct, apart."""
    company, separator, entity = (config.company_id or "").partition("|")
    company, entity = company.strip(), entity.strip()
    if not separator:
        return
    if not company or not entity or "|" in entity:
        raise IntacctConfigError(
            f"company_id {config.company_id!r} must be a company, or company|entity; give the entity as entity_id."
        )
    if config.entity_id not in ("", entity):
        raise IntacctConfigError(
            f"company_id {config.company_id!r} names the entity {entity!r}, but entity_id is {config.entity_id!r}; "
            f"give company_id {company!r} and one entity_id."
        )
    log.info("company_id %r is taken as company %r and entity %r.", config.company_id, company, entity)
    object.__setattr__(config, "company_id", company)
    object.__setattr__(config, "entity_id", entity)


def _check_line_breaks(name: str, secret: str) -> None:
    """Reject a secret that was pasted or read from a file with its line break, without repeating it."""
    if "\n" in secret or "\r" in secret:
        where = "ends with" if not set("\r\n") & set(secret.rstrip("\r\n")) else "has"
        raise IntacctConfigError(
            f"{name} {where} a line break, which is not part of it; remove it. (A file or secret manager often adds "
            "one: write it with printf or echo -n.)"
        )


def _check_texts(config: IntacctConfig) -> None:
    """Reject text that cannot be sent; what is secret is not repeated."""
    for name in ("client_id", "client_secret", "company_id", "user_id", "refresh_token", "entity_id"):
        text = getattr(config, name)
        if text and not _is_encodable(text, "utf-8"):
            raise IntacctConfigError(f"{name} must be text that UTF-8 can encode.")
    for name in ("client_secret", "refresh_token"):
        _check_line_breaks(name, getattr(config, name))
    entity = config.entity_id
    if not (entity.isprintable() and entity == entity.strip() and _is_encodable(entity, "latin-1")):
        raise IntacctConfigError(
            f"entity_id {entity!r} cannot be sent, since it goes into a header of each request: it must be the id of "
            "an entity, in Latin characters, without line breaks and without spaces around it."
        )


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _check_proxy(url: str) -> None:
    """Reject the URL of a proxy that cannot be one, without repeating its user and password."""
    shown = url.rpartition("@")[2]
    try:
        parts = urlsplit(url)
        usable = (
            bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        usable = False
    if (
        not usable
        or parts.scheme not in _PROXY_SCHEMES
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        raise IntacctConfigError(
            f"proxy must be a URL such as http://proxy.acme.com:3128 or http://user:password@proxy.acme.com:3128, with "
            f"one of the schemes {', '.join(_PROXY_SCHEMES)}, not {shown!r}. Percent-encode special characters of the "
            "password."
        )
    if parts.scheme.startswith("socks") and find_spec("socks") is None:
        raise IntacctConfigError(f"proxy {shown!r} needs the package PySocks: pip install 'requests[socks]'.")


def _parse_verify(value: Any) -> bool | str:
    """Return whether to verify certificates, or the path of the bundle to verify them with."""
    if isinstance(value, bool):
        return value
    text = str(value).strip() if isinstance(value, str | os.PathLike) else ""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not text or not text.isprintable() or not os.path.exists(text):
        raise IntacctConfigError(
            f"verify must be true, false or the path of a file or directory with CA certificates; there is nothing at "
            f"{value!r}."
            if text
            else f"verify must be true, false or the path of a CA bundle, not {value!r}."
        )
    return text


def _check_grant(config: IntacctConfig) -> None:
    if config.auth_type not in AUTH_TYPES:
        raise IntacctConfigError(
            f"Unknown auth_type {config.auth_type!r}.{did_you_mean(config.auth_type, AUTH_TYPES)} "
            f"Use one of: {', '.join(AUTH_TYPES)}."
        )
    kept = config.refresh_token or config.credential_store != "memory"
    if config.auth_type == "refresh_token" and not kept:
        raise IntacctConfigError(
            "auth_type refresh_token needs the extra refresh_token, or a credential_store that keeps one. "
            "`python -m intacct_provider.authorize` gets the first."
        )


def is_loopback(hostname: str) -> bool:
    """Whether only this machine answers under a host name, in whichever form the address is written."""
    name = hostname.lower().strip("[]").removesuffix(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _is_short_loopback(name)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_short_loopback(name: str) -> bool:
    """Whether a name is what the resolver takes for an IPv4 address of this machine, such as ``127.1``."""
    try:
        return name.isascii() and " " not in name and socket.inet_aton(name)[0] == 127
    except OSError:
        return False


def _split_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise IntacctConfigError(
            f"host is not a URL with a valid port; it must be the API base URL, such as {DEFAULT_BASE_URL}."
        ) from None
    return parts


def _join_base_url(host: str | None, port: int | None) -> str:
    """Join host and port; a connection URI delivers the host without scheme or path."""
    url = (host or "").strip().rstrip("/") or DEFAULT_BASE_URL
    if "://" not in url:
        name = _split_url(f"//{url}").hostname or ""
        url = f"{'http' if is_loopback(name) else 'https'}://{url}"
    parts = _split_url(url)
    if port and not parts.port:
        default = {"https": 443, "http": 80}.get(parts.scheme)
        netloc = parts.netloc if port == default else f"{parts.netloc}:{port}"
        url = parts._replace(netloc=netloc).geturl()
    if not parts.path:
        url += urlsplit(DEFAULT_BASE_URL).path
    return url


def _parse_number(name: str, value: Any) -> float | Literal["auto"]:
    kind, low, high = _NUMBERS[name]
    auto = name == "max_concurrency"
    if auto and isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    wanted = f"{name} must be {f'{AUTO} or ' if auto else ''}"
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise IntacctConfigError(f"{wanted}a number from {low:g} to {high:g}, not {value!r}.") from None
    if isinstance(value, bool) or not low <= number <= high:
        raise IntacctConfigError(f"{wanted}from {low:g} to {high:g}, not {value!r}.")
    if isinstance(value, float) and number != value:
        raise IntacctConfigError(f"{wanted}a whole number from {low:g} to {high:g}, not {value!r}.")
    return number  # type: ignore[no-any-return]
