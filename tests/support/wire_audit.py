"""An audit of everything that a sandbox answers: each answer must be one that its OpenAPI document describes.

The document serves the clients' authors, so it must be true; and whatever is true of it in every test of the
suite, a client of ours may rely on. Sandboxes in other processes are not covered, planned faults are left out.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from functools import cached_property, wraps
from typing import Any

import jsonschema_rs
import msgspec

BASE = "/ia/api/v1"
DOCUMENT = "urn:sandbox"
QUERY = "/services/core/query"
#: Of a larger page only the first rows are looked at, so that the audit costs next to nothing.
MANY_ROWS, FIRST_ROWS = 200, 50


class Page(msgspec.Struct):
    """A page of a query whose rows are not decoded yet."""

    rows: list[msgspec.Raw] = msgspec.field(name="ia::result", default_factory=list)
    meta: Any = msgspec.field(name="ia::meta", default=None)


class Recorder:
    """An ASGI ``send`` that remembers the answer that it passes on."""

    def __init__(self, send: Any) -> None:
        self.send = send
        self.__self__ = getattr(send, "__self__", None)  # a fault reaches for the connection behind it
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode().lower(): v.decode("latin-1") for k, v in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body")
        await self.send(message)


class WireAudit:
    """Checks answers against the document, and remembers which of them it does not describe."""

    def __init__(self) -> None:
        self.answers = 0
        self.violations: Counter[str] = Counter()
        self._validators: dict[str, Any] = {}
        self._schemas_elsewhere: set[str] = set()
        self._lock = threading.Lock()

    @property
    def schemas(self) -> set[str]:
        """The descriptions of bodies that were needed, here and in workers."""
        return {pointer for pointer in self._validators if "/content/" in pointer} | self._schemas_elsewhere

    def findings(self) -> dict[str, Any]:
        """Return what was checked and found: for the process that judges the whole run."""
        return {
            "answers": self.answers,
            "violations": dict(self.violations),
            "schemas": sorted(self.schemas),
        }

    def add(self, findings: dict[str, Any]) -> None:
        """Add what the audit of a worker has found."""
        self.answers += findings["answers"]
        self.violations.update(findings["violations"])
        self._schemas_elsewhere |= set(findings["schemas"])

    @cached_property
    def document(self) -> dict[str, Any]:
        """The sandbox's own description of itself."""
        from intacct_provider.sandbox.openapi.document import build_document

        return build_document()

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        return jsonschema_rs.Registry([(DOCUMENT, self.document)], draft=jsonschema_rs.Draft202012)

    def install(self) -> None:
        """Listen to every gateway of this process."""
        from intacct_provider.sandbox.gateway import Gateway
        from intacct_provider.sandbox.objects.catalog import BUILT_IN
        from intacct_provider.sandbox.state import CALL

        serve = Gateway.__call__

        @wraps(serve)
        async def audited(gateway: Any, scope: Any, receive: Any, send: Any) -> None:
            answer = Recorder(send)
            await serve(gateway, scope, receive, answer)
            built_in = gateway.state.store.catalog is BUILT_IN  # other companies have a document of their own
            if built_in and answer.complete and scope[CALL].fault is None:
                self.check(scope["method"], scope["path"], answer.status, answer.headers, answer.body)

        Gateway.__call__ = audited  # type: ignore[method-assign]

    def check(self, method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> None:
        """Check one answer; errors are reported without anything of the body."""
        address, operation = self._operation(method, path)
        where = f"{method} {address} {status}"
        found = operation.get(str(status))
        if found is None:
            wrong = ["the status is not documented"]
        else:
            wrong = list(self._wrong(*self._resolved(found), headers, body, page=address == QUERY))
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
        with self._lock:
            self.answers += 1
            for problem in wrong:
                self.violations[f"{where}: {problem} (in {test})"] += 1

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        """Return the address as the document names it, and its answers, each a reference to where it stands."""
        relative = path.removeprefix(BASE)
        template = re.sub(r"^(/objects/[^/]+/[^/]+)/[^/]+$", r"\1/{key}", relative)
        operations = self.document["paths"].get(template) if path.startswith(BASE) else None
        if operations is None:
            shared = {"400": "refusal-400", "401": "refusal-401", "404": "address-404", "429": "refusal-429"}
            if not path.startswith(BASE + "/"):
                shared["400"] = "version-400"
            template = "an address that is not documented"
        elif (verb := "get" if method == "HEAD" else method.lower()) in operations:
            place = f"#/paths/{template.replace('/', '~1')}/{verb}/responses"
            return template, {status: f"{place}/{status}" for status in operations[verb]["responses"]}
        else:
            shared = {"405": "refusal-405", "429": "refusal-429"}
        return template, {status: f"#/components/responses/{name}" for status, name in shared.items()}

    def _resolved(self, pointer: str) -> tuple[str, dict[str, Any]]:
        """Return where a description stands and the description, behind its reference if it is one."""
        found: Any = self.document
        for name in pointer.split("/")[1:]:
            found = found[name.replace("~1", "/")]
        return self._resolved(found["$ref"]) if "$ref" in found else (pointer, found)

    def _wrong(
        self, pointer: str, described: dict[str, Any], headers: dict[str, str], body: bytes, *, page: bool
    ) -> Any:
        for name, reference in described["headers"].items():
            header = self._resolved(reference["$ref"])[1]
            value = headers.get(name.lower())
            if value is None:
                if header["required"]:
                    yield f"the header {name} is missing"
            elif not self._header(reference["$ref"], header, value):
                yield f"the header {name} breaks its schema"
        if "content" not in described:
            yield from ["there is a body"] if body else []
            return
        [media_type] = described["content"]
        if headers.get("content-type") != media_type:
            yield "the content type is not documented"
        elif media_type == "application/json":
            validator = self._validator(f"{pointer}/content/{media_type.replace('/', '~1')}/schema")
            content = decoded(body, page=page)
            if not validator.is_valid(content):  # much quicker than looking for the errors
                for error in validator.iter_errors(content):
                    yield "/{} breaks {}".format(*place_of(error))

    def _header(self, pointer: str, header: dict[str, Any], value: str) -> bool:
        number = header["schema"]["type"] == "integer" and re.fullmatch("[0-9]+", value)
        return bool(self._validator(f"{pointer}/schema").is_valid(int(value) if number else value))

    def _validator(self, pointer: str) -> Any:
        if pointer not in self._validators:
            reference = {"$ref": DOCUMENT + pointer.replace("{", "%7B").replace("}", "%7D")}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(reference, registry=self._registry)
        return self._validators[pointer]


def decoded(body: bytes, *, page: bool) -> Any:
    """Return the JSON of a body; of a large page of a query the first rows only."""
    if page and body.count(b"},{") >= MANY_ROWS:
        large = msgspec.json.decode(body, type=Page)
        rows = [msgspec.json.decode(row) for row in large.rows[:FIRST_ROWS]]
        return {"ia::result": rows, "ia::meta": large.meta}
    return msgspec.json.decode(body)


def place_of(error: Any) -> tuple[str, str]:
    """Return where in a body a rule is broken, indexes left out, and which: of alternatives, the likeliest."""
    branches = getattr(error.kind, "context", None)
    if branches:
        deepest = [max(branch, key=depth) for branch in branches if branch]
        if deepest:
            return place_of(max(deepest, key=depth))
    path = "/".join("*" if isinstance(part, int) else str(part) for part in error.instance_path)
    return path, "/".join(str(part) for part in error.schema_path[-2:])


def depth(error: Any) -> int:
    """Return how deep in the body an error is: alternatives that do not fit at all fail early."""
    return len(error.instance_path)
