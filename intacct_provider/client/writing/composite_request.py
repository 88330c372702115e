"""The requests of a composite call: 2 to 10, checked, later ones using the results of those before them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from intacct_provider.client.http.transport import IDEMPOTENCY_HEADER
from intacct_provider.client.keys import as_number, text_or_none
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError

PATH = "/services/core/composite"
FEWEST, MOST = 2, 10
METHODS = ("GET", "POST", "PATCH", "DELETE")
MEMBERS = ("method", "path", "body", "headers", "resultReference")
#: Services that only read, whatever their method, and know no idempotency keys.
READING = ("/services/core/query", "/services/core/model", "/services/core/allowed-operations/list")
_REFERENCE = re.compile(r"@\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(r"/(objects|services)/[^\s?#]+(\?\S*)?")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the requests, checked.

    :param key: its idempotency key, if it needs one and has none of its own.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]
    name: str | None
    key: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET" and self.path.partition("?")[0] not in READING

    @property
    def needs_key(self) -> bool:
        """Whether it takes an idempotency key and has none of its own."""
        own = any(name.lower() == IDEMPOTENCY_HEADER.lower() for name in self.headers)
        return self.writes and self.method != "DELETE" and not own

    @property
    def object_name(self) -> str:
        """The object that it is about, such as ``accounts-receivable/customer``; empty for a service."""
        _, kind, *names = self.path.partition("?")[0].split("/")
        return unquote("/".join(names[:2])) if kind == "objects" else ""

    @property
    def creates(self) -> bool:
        """Whether it creates a record."""
        return self.method == "POST" and bool(self.object_name)

    @property
    def id(self) -> str | None:
        """The id that it gives to a record."""
        return text_or_none((self.body or {}).get("id"))

    @property
    def key_in_path(self) -> str | None:
        """The key of the only record that it reads or changes, if its path names one."""
        return self.keys_in_path[0] if len(self.keys_in_path) == 1 else None

    @property
    def keys_in_path(self) -> list[str]:
        """The keys of the records that it reads or changes; empty if its path does not name them."""
        _, kind, *names = self.path.partition("?")[0].split("/")
        keys = names[2].split(",") if kind == "objects" and len(names) == 3 else []
        return keys if all(as_number(key) is not None for key in keys) else []

    @property
    def refers_to(self) -> set[str | None]:
        """The names of the requests whose results it uses."""
        texts = (self.path, *_iter_texts(self.body))
        return {found.partition(".")[0] for text in texts for found in _REFERENCE.findall(text)}

    def wire(self) -> dict[str, Any]:
        """Return it as Intacct takes it."""
        headers = {**self.headers, **({IDEMPOTENCY_HEADER: self.key} if self.key else {})}
        optional = {"headers": headers or None, "body": self.body, "resultReference": self.name}
        given = {name: value for name, value in optional.items() if value is not None}
        return {"method": self.method, "path": self.path, **given}


def read_parts(requests: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> list[Part]:
    """Check requests of a composite call.

    :param headers: what each of them carries unless it says otherwise; a part inherits none from the call.
    :raises IntacctArgumentError: for the first thing that cannot be right.
    """
    if isinstance(requests, Mapping | str) or not isinstance(requests, Sequence):
        raise IntacctArgumentError(f"requests must be a list, not {type(requests).__name__}.")
    if not FEWEST <= len(requests) <= MOST:
        raise IntacctArgumentError(
            f"requests must be {FEWEST} to {MOST} requests, not {len(requests)}; for records of one object use "
            "create_many and the like."
        )
    parts: list[Part] = []
    for n, given in enumerate(requests):
        for problem in _find_problems(given, [part.name for part in parts if part.name]):
            raise IntacctArgumentError(f"requests[{n}]: {problem}")
        own = given.get("headers") or {}
        named = {name.lower() for name in own}
        inherited = {name: value for name, value in headers.items() if name.lower() not in named}
        parts.append(
            Part(
                given["method"],
                given["path"],
                given.get("body"),
                {**inherited, **own},
                given.get("resultReference"),
            )
        )
    return parts


def _find_problems(given: Any, earlier: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a request, in words."""
    if not isinstance(given, Mapping):
        yield f"must be a mapping such as {{'method': 'GET', 'path': '/objects/...'}}, not {type(given).__name__}."
        return
    for member in given:
        if member not in MEMBERS:
            yield f"{member!r} is not a member of a request.{did_you_mean(str(member), MEMBERS)}"
    method, path, body = given.get("method"), given.get("path"), given.get("body")
    if method not in METHODS:
        yield f"method must be one of {', '.join(METHODS)}, not {method!r}.{did_you_mean(str(method), METHODS)}"
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        yield f"path must begin with /objects/ or /services/ and hold no space, not {path!r}."
    elif {".", ".."} & {*unquote(path.partition("?")[0]).replace("\\", "/").split("/")}:
        yield f"path must not lead elsewhere by '..', as {path!r} does."
    elif path.partition("?")[0] == PATH:
        yield "a composite call cannot be a part of another."
    if method in ("POST", "PATCH") and not isinstance(body, Mapping):
        yield f"body must be a mapping of fields for {method}, not {type(body).__name__}."
    if method in ("GET", "DELETE") and body is not None:
        yield f"{method} takes no body."
    yield from _check_headers(given.get("headers"))
    yield from _check_references(given, earlier)


def _check_headers(headers: Any) -> Iterator[str]:
    if headers is not None and not isinstance(headers, Mapping):
        yield f"headers must be a mapping, not {type(headers).__name__}."
        return
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            yield f"headers must be texts; {name!r} is {type(value).__name__}."
        if str(name).lower() in ("authorization", "content-type", "accept"):
            yield f"headers must leave {name} out; it is that of the whole call."


def _check_references(given: Mapping[str, Any], earlier: Sequence[str]) -> Iterator[str]:
    name = given.get("resultReference")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        yield f"resultReference may have letters, digits, - and _ only, not {name!r}."
    elif name in earlier:
        yield f"resultReference {name!r} is taken by an earlier request."
    for text in (given.get("path"), *_iter_texts(given.get("body"))):
        for reference in _REFERENCE.findall(str(text)):
            source, _, member = reference.partition(".")
            if source not in earlier:
                closest = did_you_mean(source, earlier)
                yield f"@{{{reference}}}: no earlier request has the resultReference {source!r}.{closest}"
            elif not all(member.split(".")):
                yield f"@{{{reference}}} must name a member, as in @{{{source}.key}}."


def _iter_texts(value: Any) -> Iterator[str]:
    """Yield every text in a body."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _iter_texts(one)
