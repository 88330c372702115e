"""Writes to a test company: every record that they create is deleted again, and looked for afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import IDEMPOTENCY_HEADER, Reply, Request
from intacct_provider.client.model import get_entries, get_object_name, read_fields
from intacct_provider.client.paths import collection_path, record_path
from intacct_provider.client.results import read_result
from intacct_provider.exceptions import IntacctError
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Inquiry, Verdict
from intacct_provider.probe.asking import (
    MODEL,
    Asker,
    BudgetSpentError,
    describe,
    is_error_id,
    is_refusal,
    read_page,
)
from intacct_provider.probe.questions.fields import NO_FIELD
from intacct_provider.probe.questions.history import ask_own_deletion

#: Fields of text that are tried first, since many others must have a certain form.
_TEXTS = ("description", "notes", "comments", "taxId", "name2")
#: Targets of references that are asked for a record.
_MOST_TARGETS = 2
#: How often what was created is looked for and deleted.
CLEANUP_ROUNDS = 3
#: Requests that are left for that, however small the budget is.
CLEANUP_REQUESTS = 1 + 2 * CLEANUP_ROUNDS


@dataclass(slots=True)
class ProbeRecords:
    """The records that the probe creates, by ids that nobody else uses.

    :param keys: of those that are known to exist.
    """

    asker: Asker
    object_name: str
    with_name: bool
    mark: str = field(default_factory=lambda: f"PRB{secrets.token_hex(4)}".upper())
    ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def build(self, **more: Any) -> dict[str, Any]:
        """Return a new record."""
        self.ids.append(f"{self.mark}-{len(self.ids) + 1}")
        name = {"name": self.ids[-1]} if self.with_name else {}
        return {"id": self.ids[-1], **name, **more}

    def post(self, purpose: str, ids: Sequence[str], body: Any, key: str | None = None) -> Reply:
        """Create records, and remember the keys that the response has."""
        headers = {IDEMPOTENCY_HEADER: key} if key else {}
        reply = self._write("POST", collection_path(self.object_name), purpose, ids, body, headers)
        elements = reply.elements if isinstance(reply.elements, list) else [reply.result]
        found = [element.get("key") for element in elements if isinstance(element, Mapping)]
        self.keys += [key for key in map(_text, found) if key and key not in self.keys]
        return reply

    def patch(self, purpose: str, ids: Sequence[str], key: str, body: Any) -> Reply:
        """Change a record."""
        return self._write("PATCH", record_path(self.object_name, [key]), purpose, ids, body, {})

    def get(self, purpose: str, ids: Sequence[str], key: str) -> Mapping[str, Any]:
        """Return a record; empty if it cannot be read."""
        reply = self.asker.ask(purpose, ids, Request("GET", record_path(self.object_name, [key])))
        return reply.result if isinstance(reply.result, Mapping) and not reply.error() else {}

    def find(self, purpose: str, ids: Sequence[str]) -> dict[str, str] | None:
        """Return the existing records, id by key; None if they cannot be read."""
        filters = [{"$in": {"id": self.ids}}]
        reply = self.asker.query(purpose, ids, self.object_name, ["key", "id"], filters=filters, size=100)
        page = read_page(reply, 1, 100)
        return None if page is None else {str(row.get("key")): str(row.get("id")) for row in page.rows}

    def delete(self, purpose: str, ids: Sequence[str], keys: Sequence[str]) -> Reply:
        """Delete records."""
        return self.asker.ask(purpose, ids, Request("DELETE", record_path(self.object_name, keys)))

    def _write(
        self,
        method: str,
        path: str,
        purpose: str,
        ids: Sequence[str],
        body: Any,
        headers: Mapping[str, str],
    ) -> Reply:
        content = codec.encode(body)
        request = Request(method, path, content=content, headers=headers, repeatable=False)
        return self.asker.ask(purpose, ids, request)


def ask_writes(inquiry: Inquiry, object_name: str) -> bool:
    """Answer what needs writes, and return whether everything that was created is deleted.

    A lost response or a spent budget ends the questions; what was created is deleted all the same.

    :raises IntacctError: if that fails.
    """
    asker = inquiry.asker
    params = {"name": object_name, "schema": "true"}
    reply = asker.ask(f"read the model of {object_name}", (), Request("GET", MODEL, params=params))
    model = reply.result if isinstance(reply.result, Mapping) and not reply.error() else {}
    known = read_fields(model)
    if "id" not in known or known["id"].read_only:
        return True
    records = ProbeRecords(asker, object_name, "name" in known and not known["name"].read_only)
    try:
        _ask_all(inquiry, records, model)
    except (BudgetSpentError, IntacctError):
        pass
    finally:
        asker.limit = max(asker.limit, asker.requests + CLEANUP_REQUESTS)
        clean = _clean_up(records)
    return clean


def _ask_all(inquiry: Inquiry, records: ProbeRecords, model: Mapping[str, Any]) -> None:
    key = _ask_idempotency(inquiry, records, _find_text(model))
    _ask_batches(inquiry, records)
    if key:
        _ask_null(inquiry, records, key, _find_text(model))
        _ask_reference(inquiry, records, key, model)
        _ask_unwritable(inquiry, records, key, model)
        _ask_deletion(inquiry, records, key)


def _ask_idempotency(inquiry: Inquiry, records: ProbeRecords, text: str | None) -> str | None:
    """Create a record twice under one key; return its key."""
    ids = ("idempotency-replay",)
    record = records.build(**({text: "first"} if text else {}))
    unique = secrets.token_hex(16)
    first = records.post("create a record", ids, record, unique)
    if first.error() or not records.keys:
        inquiry.answer("idempotency-replay", UNKNOWN, f"no record could be created ({describe(first)})")
        return None
    known = list(records.keys)
    again = records.post("create it again under the same key", ids, record, unique)
    same = not again.error() and again.result == first.result
    evidence = "the first response again" if same else f"another response ({describe(again)})"
    if not same and again.status >= 500:
        inquiry.answer("idempotency-replay", UNKNOWN, describe(again))
    else:
        inquiry.answer("idempotency-replay", HOLDS if same else CONTRADICTED, evidence)
    return known[0]


def _ask_batches(inquiry: Inquiry, records: ProbeRecords) -> None:
    ids = ("batch-answer-order", "idempotency-batch-replay")
    batch, unique = [records.build() for _ in range(3)], secrets.token_hex(16)
    first = records.post("create three records in a batch", ids, batch, unique)
    again = records.post("send the batch again under the same key", ids[1:], batch, unique)
    if first.error() or not isinstance(first.elements, list):
        for one in ids:
            inquiry.answer(one, UNKNOWN, f"no batch could be created ({describe(first)})")
    else:
        same = not again.error() and again.elements == first.elements
        evidence = "the first response again" if same else f"another response ({describe(again)})"
        inquiry.answer("idempotency-batch-replay", HOLDS if same else CONTRADICTED, evidence)
        _answer_order(inquiry, records, [record["id"] for record in batch], first.elements)
    part = ("batch-partial-failure",)
    mixed = [records.build(), records.build(**{NO_FIELD: "x"})]
    reply = records.post("send a batch with an invalid record", part, mixed)
    found = records.find("see which of its records exist", part)
    if found is None:
        inquiry.answer(part[0], UNKNOWN, "the records cannot be read")
        return
    written = [record["id"] in found.values() for record in mixed]
    one_each = isinstance(reply.elements, list) and len(reply.elements) == len(mixed)
    answer = HOLDS if written == [True, False] and one_each else CONTRADICTED
    status, error_id = _read_rejection(reply)
    evidence = f"{describe(reply)}, {sum(written)} of 2 records written"
    inquiry.answer(part[0], answer, evidence, status=status, errorId=error_id)


def _read_rejection(reply: Reply) -> tuple[int | None, str]:
    """Return the status of the first rejected record, and the last id that says why."""
    elements = reply.elements if isinstance(reply.elements, list) else []
    errors = [read_result(0, one, reply).error for one in elements if isinstance(one, Mapping)]
    error = next(filter(None, [*errors, reply.error()]), None)
    if error is None:
        return None, ""
    ids = [error.error_id, *(detail.error_id for detail in error.details)]
    return error.status, next((one for one in reversed(ids) if is_error_id(one)), "")


def _answer_order(inquiry: Inquiry, records: ProbeRecords, sent: list[str], elements: Sequence[Any]) -> None:
    ids = ("batch-answer-order",)
    found = records.find("see which record has which key", ids)
    named = (
        [found.get(_text(one.get("key"))) for one in elements if isinstance(one, Mapping)] if found else []
    )
    if len(named) != len(sent) or None in named:
        inquiry.answer("batch-answer-order", UNKNOWN, "the results have no keys to compare")
    else:
        answer = HOLDS if named == sent else CONTRADICTED
        inquiry.answer("batch-answer-order", answer, "in order" if named == sent else "in another order")


def _ask_null(inquiry: Inquiry, records: ProbeRecords, key: str, text: str | None) -> None:
    ids = ("null-clears-field",)
    if text is None:
        inquiry.answer(ids[0], UNKNOWN, "the model has no suitable field")
        return
    if not records.get("read a text field", ids, key).get(text):
        inquiry.answer(ids[0], UNKNOWN, "the field could not be set")
        return
    reply = records.patch("clear a text field with null", ids, key, {text: None})
    after = records.get("read the text field again", ids, key)
    _answer_cleared(inquiry, ids[0], reply, cleared=not after.get(text) if after else None)


def _ask_reference(inquiry: Inquiry, records: ProbeRecords, key: str, model: Mapping[str, Any]) -> None:
    ids = ("null-clears-reference",)
    found = _find_target(records, key, model)
    if found is None:
        inquiry.answer(ids[0], UNKNOWN, "the model has no reference with a record to refer to")
        return
    name, target = found
    records.patch("set a reference", ids, key, {name: {"key": target}})
    if not _has_reference(records.get("read the reference", ids, key), name):
        inquiry.answer(ids[0], UNKNOWN, "the reference could not be set")
        return
    reply = records.patch("clear the reference with null", ids, key, {name: None})
    after = records.get("read the reference again", ids, key)
    _answer_cleared(inquiry, ids[0], reply, cleared=not _has_reference(after, name) if after else None)


def _answer_cleared(inquiry: Inquiry, assumption_id: str, reply: Reply, cleared: bool | None) -> None:
    if cleared is None:
        inquiry.answer(assumption_id, UNKNOWN, "the record could not be read afterwards")
        return
    evidence = f"{describe(reply)}, and the value is {'cleared' if cleared else 'as before'}"
    inquiry.answer(assumption_id, HOLDS if cleared else CONTRADICTED, evidence)


def _has_reference(record: Mapping[str, Any], name: str) -> bool:
    value = record.get(name)
    return isinstance(value, Mapping) and bool(value.get("key") or value.get("id"))


def _ask_unwritable(inquiry: Inquiry, records: ProbeRecords, key: str, model: Mapping[str, Any]) -> None:
    ids = ("unwritable-field-refused",)
    names = [name for name, one in read_fields(model).items() if one.read_only and one.type == "string"]
    name = next((one for one in names if "." not in one and one not in ("key", "id", "href")), None)
    if name is None:
        inquiry.answer(ids[0], UNKNOWN, "the model has no read-only field of text")
        return
    reply = records.patch("change a read-only field", ids, key, {name: "probe"})
    answer: Verdict = HOLDS if is_refusal(reply) else UNKNOWN if reply.error() else CONTRADICTED
    inquiry.answer(ids[0], answer, describe(reply))


def _ask_deletion(inquiry: Inquiry, records: ProbeRecords, key: str) -> None:
    ids = ("delete-missing-key",)
    first = records.delete("delete a record", ids, [key])
    if first.error():
        inquiry.answer(ids[0], UNKNOWN, f"the record could not be deleted ({describe(first)})")
        return
    reply = records.delete("delete it again", ids, [key])
    if reply.status == 404:
        answer: Verdict = HOLDS
    else:
        answer = UNKNOWN if reply.status in (401, 403, 429) or reply.status >= 500 else CONTRADICTED
    inquiry.answer(ids[0], answer, describe(reply))
    ask_own_deletion(inquiry, records.object_name, (key, records.ids[0]))


def _clean_up(records: ProbeRecords) -> bool:
    """Delete what exists, and return whether a query afterwards finds none of it."""
    if not records.ids:
        return True
    found = records.find("find what the probe created", ())
    keys = list(records.keys if found is None else found)
    for _ in range(CLEANUP_ROUNDS):
        if keys:
            records.delete("delete it", (), keys)
        found = records.find("see that nothing of it is left", ())
        keys = list(found or ())  # a record that others refer to can only be deleted after them
        if not keys:
            break
    return found == {}


def _find_text(model: Mapping[str, Any]) -> str | None:
    """Return a field of text that can be set and cleared, as far as the model says."""
    known = read_fields(model)
    usable = [
        name
        for name, one in known.items()
        if one.type == "string"
        and not (one.read_only or one.write_only or one.enum or one.format)
        and one.nullable
        and one.mutable
        and "." not in name
        and name not in ("id", "key", "name", "href")
    ]
    return next((name for name in _TEXTS if name in usable), next(iter(usable), None))


def _find_target(records: ProbeRecords, key: str, model: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a reference that can be set, and the key of a record that it can refer to."""
    references = {
        name: get_object_name(part)
        for name, part in get_entries(model, "refs").items()
        if not (part.get("isOwner") or part.get("readOnly") or part.get("deprecated"))
        and get_object_name(part)
        and get_entries(part, "fields").get("key", {}).get("readOnly") is not True
        and get_entries(part, "fields").get("id", {}).get("readOnly") is not True
    }
    others = [one for one in records.keys if one != key]
    for name, target in references.items():
        if target == records.object_name and others:
            return name, others[0]
    for name, target in list(references.items())[:_MOST_TARGETS]:
        reply = records.asker.query("find a record to refer to", ("null-clears-reference",), target, ["key"])
        page = read_page(reply, 1, 1)
        if page is not None and page.rows:
            return name, str(page.rows[0].get("key"))
    return None


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
