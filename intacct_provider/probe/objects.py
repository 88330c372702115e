"""What is read of each object once, for several questions: its model, its lowest keys and its latest rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intacct_provider.client.http.transport import Reply, Request
from intacct_provider.client.model import ModelField, list_queryable, read_fields
from intacct_provider.probe.asking import MODEL, Asker, describe, is_refusal, read_page

DEFAULT_OBJECTS = (
    "accounts-receivable/customer",
    "accounts-receivable/customer-group",
    "general-ledger/account-group",
    "general-ledger/account-group-purpose",
)
#: Rows of each page that is read for evidence.
SIZE = 100
#: Fields that are read without a model, or if a query refuses those of the model and does not say which.
_BASIC = ("key", "id", "name", "audit.createdDateTime", "audit.modifiedDateTime")
#: Refusals after which no further field is looked for, in the whole run.
MOST_REFUSALS = 3


@dataclass(slots=True)
class ObjectFacts:
    """What was read of one object.

    :param shown: its name in reports, where custom objects have a number only.
    :param problem: why nothing can be said of it; empty if something can.
    :param skipped: whether the company does not have it.
    :param order_refused: how a query sorted by ``key`` was refused; empty if it was not.
    :param filter_refused: whether a query with a filter on ``key`` was refused.
    :param ascending: keys of the first page by ``key``, as they came.
    :param descending: keys of the last page, the highest first.
    :param asked: the fields of ``rows``.
    :param refused: fields of the model that a query refused.
    :param unfinished: whether a query refuses further fields, which were not found.
    """

    name: str
    shown: str
    problem: str = ""
    skipped: bool = False
    order_refused: str = ""
    filter_refused: bool = False
    total: int | None = None
    ascending: list[Any] = field(default_factory=list)
    descending: list[Any] = field(default_factory=list)
    model: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, ModelField] = field(default_factory=dict)
    asked: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    refused: list[str] = field(default_factory=list)
    unfinished: bool = False

    @property
    def size(self) -> int:
        """Its records, as far as known."""
        return max(self.total or 0, len(self.ascending))

    @property
    def keys(self) -> list[str]:
        """The known keys that are whole numbers, as text."""
        known = dict.fromkeys(str(key) for key in [*self.ascending, *self.descending])
        return [key for key in known if re.fullmatch(r"0|[1-9][0-9]{0,17}", key)]


class ObjectReader:
    """Reads objects one after the other.

    :ivar objects: what was read so far, also when the budget is spent on the way.
    """

    def __init__(self, asker: Asker, names: Sequence[str]) -> None:
        self._asker = asker
        self._refusals_left = MOST_REFUSALS
        customs = [name for name in names if "::" in name]
        shown = {name: f"custom object {n}" for n, name in enumerate(customs, 1)}
        self.objects = [ObjectFacts(name, shown.get(name, name), problem="not asked") for name in names]

    def read(self) -> None:
        """Read all objects."""
        for facts in self.objects:
            self._read_object(facts)

    def _read_object(self, facts: ObjectFacts) -> None:
        ids, purpose = ("key-orders-as-number",), f"sort {facts.shown} by key"
        reply = self._asker.query(purpose, ids, facts.name, ["key"], orderBy=[{"key": "asc"}], size=SIZE)
        page = read_page(reply, 1, SIZE)
        facts.problem = ""
        if page is not None:
            facts.ascending, facts.total = [row.get("key") for row in page.rows], page.total
        elif reply.status == 404:
            facts.problem, facts.skipped = "skipped, since a query answers HTTP 404", True
            return
        elif not is_refusal(reply):
            facts.problem = f"a query answers {describe(reply)}"
            return
        self._read_model(facts)
        if page is None and not facts.fields:
            facts.problem, facts.skipped = f"skipped, since a query answers {describe(reply)}", True
            return
        facts.order_refused = "" if page is not None else describe(reply)
        self._read_rows(facts)

    def _read_model(self, facts: ObjectFacts) -> None:
        ids = ("idempotence-supported", "web-url", "model-fields-queryable")
        request = Request("GET", MODEL, params={"name": facts.name, "schema": "true"})
        reply = self._asker.ask(f"read the model of {facts.shown}", ids, request)
        if not reply.error() and isinstance(reply.result, Mapping):
            facts.model, facts.fields = reply.result, read_fields(reply.result)

    def _read_rows(self, facts: ObjectFacts) -> None:
        """Read the records with the highest keys, with all fields that a query accepts."""
        names = list_queryable(facts.fields) or list(_BASIC)
        reply = self._ask_rows(facts, names)
        while is_refusal(reply):
            culprit = find_named_field(reply, names)
            if culprit is None or not self._refusals_left:
                facts.unfinished = True
                break
            self._refusals_left -= 1
            facts.refused.append(culprit)
            names.remove(culprit)
            reply = self._ask_rows(facts, names)
        if is_refusal(reply) and len(names) > 1:
            names = [name for name in _BASIC if name in names]
            reply = self._ask_rows(facts, names)
        page = read_page(reply, 1, SIZE)
        if page is not None:
            facts.asked, facts.rows = names, page.rows
            facts.total = page.total if facts.total is None else facts.total
            facts.descending = [] if facts.order_refused else [row.get("key") for row in page.rows]

    def _ask_rows(self, facts: ObjectFacts, names: Sequence[str]) -> Reply:
        ids = ("model-fields-queryable", "null-members", "related-fields-dotted", "key-orders-as-number")
        order: dict[str, Any] = {} if facts.order_refused else {"orderBy": [{"key": "desc"}]}
        purpose = f"read {len(names)} fields of {facts.shown}, the highest keys first"
        return self._asker.query(purpose, ids, facts.name, names, size=SIZE, **order)


def find_named_field(reply: Reply, names: Sequence[str]) -> str | None:
    """Return the one of the names that a refusal is about; None if it names none, or several."""
    error = reply.error()
    if error is None:
        return None
    placed = [value for value in error.placeholders.values() if value in names and value != "key"]
    if placed:
        return placed[0]
    text = " ".join([error.message, *(detail.message for detail in error.details)])
    worded = dict.fromkeys(re.findall(r"[\w.:]*\w", text))
    found = [word for word in worded if word in names and word != "key"]
    return found[0] if len(found) == 1 else None
