"""One record or up to 500: the calls on an object, and how their outcomes become one answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from intacct_provider.sandbox.errors import (
    ApiError,
    invalid,
    payload_errors,
    payload_missing,
    skipped,
    unknown_field,
)
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.records import crud
from intacct_provider.sandbox.records.validation import Author

MAX_RECORDS = 500
Item = TypeVar("Item")
Outcome = dict[str, Any] | ApiError


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client.

    :param transactions: what Intacct would bill: 1 for a read that succeeded, 1 for each record written
    """

    status: int
    body: object = None
    transactions: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectCalls:
    """The calls on one object, inside one transaction.

    :param atomic: a batch succeeds as a whole or changes nothing
    """

    conn: sqlite3.Connection
    object_type: ObjectType
    author: Author
    atomic: bool = False

    def list(self) -> Answer:
        """Answer the collection."""
        return Answer(200, crud.list_references(self.conn, self.object_type, self.author.entity), 1)

    def get(self, keys: Sequence[str]) -> Answer:
        """Answer one record, or several in the order of their keys."""
        answer = self._each(200, keys, self._get, single=len(keys) == 1)
        return Answer(answer.status, answer.body, 1 if answer.transactions else 0)

    def create(self, body: bytes) -> Answer:
        """Add the record, or the records, of a body."""
        payload = decode(body, "POST")
        items = payload if isinstance(payload, list) else [payload]
        return self._each(201, items, self._create, single=not isinstance(payload, list))

    def update(self, key: str, body: bytes) -> Answer:
        """Change the record with that key."""
        return self._each(200, [(key, decode(body, "PATCH"))], self._update, single=True)

    def update_many(self, body: bytes) -> Answer:
        """Change the records of an array, each of which names its key."""
        payload = decode(body, "PATCH")
        if not isinstance(payload, list):
            raise invalid("A PATCH request on a collection takes an array of records, each with its key")
        return self._each(200, payload, self._update_named, single=False)

    def delete(self, keys: Sequence[str]) -> Answer:
        """Remove the records; 204 without a body when all of them are gone."""
        answer = self._each(204, keys, self._delete, single=len(keys) == 1)
        return Answer(204, None, answer.transactions) if answer.status == 204 else answer

    def one_of_job(self, operation: str, record: bytes) -> dict[str, Any]:
        """Carry out one record of a bulk job.

        :param operation: ``create``, ``update`` or ``delete``; the last two take the key from the record
        :return: its element of the result file
        """
        operate, success = {
            "create": (self._create, 201),
            "update": (self._update_named, 200),
            "delete": (self._delete_named, 204),
        }[operation]
        return with_status(success, attempt(lambda body: operate(decode(body, "POST")), record))

    def _get(self, key: str) -> dict[str, Any]:
        return crud.get(self.conn, self.object_type, key, self.author.entity)

    def _create(self, payload: object) -> dict[str, Any]:
        author = self.author
        key = crud.create(
            self.conn, self.object_type, payload, entity=author.entity, user=author.user, now=author.now
        )
        return crud.reference(self.conn, self.object_type, key, created=True)

    def _update(self, item: tuple[str, object]) -> dict[str, Any]:
        key, changes = item
        crud.update(self.conn, self.object_type, key, changes, self.author)
        return crud.reference(self.conn, self.object_type, key)

    def _update_named(self, payload: object) -> dict[str, Any]:
        return self._update(with_key(payload))

    def _delete_named(self, payload: object) -> dict[str, Any]:
        key, more = with_key(payload)
        if more:
            raise payload_errors([unknown_field(f"/{name}") for name in more])
        return self._delete(key)

    def _delete(self, key: str) -> dict[str, Any]:
        crud.delete(self.conn, self.object_type, key, self.author)
        return {}

    def _each(
        self, success: int, items: Sequence[Item], operate: Callable[[Item], dict[str, Any]], *, single: bool
    ) -> Answer:
        if single:
            return one_result(success, operate(items[0]), 1)
        if not items:
            raise payload_missing("POST" if success == 201 else "PATCH")
        if len(items) > MAX_RECORDS:
            raise invalid(f"A request can have at most {MAX_RECORDS} records, not {len(items)}")
        self.conn.execute("SAVEPOINT batch")
        outcomes = [attempt(operate, item) for item in items]
        if self.atomic and any(isinstance(one, ApiError) for one in outcomes):
            self.conn.execute("ROLLBACK TO batch")
            outcomes = [one if isinstance(one, ApiError) else skipped() for one in outcomes]
        self.conn.execute("RELEASE batch")
        return combine(success, outcomes)


def one_result(status: int, result: dict[str, Any], transactions: int) -> Answer:
    """Return the answer that has one result."""
    return Answer(status, {"ia::result": result, "ia::meta": meta(1, 0)}, transactions)


def decode(body: bytes, method: str) -> Any:
    """Return the JSON of a write.

    :raises ApiError: 400 REST-1028 for an empty body, plain 400 for one that is not JSON
    """
    if not body.strip():
        raise payload_missing(method)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise invalid(f"The payload is not valid JSON: {wrong}") from None


def with_key(payload: object) -> tuple[str, dict[str, Any]]:
    """Return the key that a record of an array names, and the rest of the record.

    :raises ApiError: 400 REST-1064 without a key
    """
    members = dict(payload) if isinstance(payload, dict) else {}
    key = members.pop("key", None)
    if not isinstance(key, str):
        raise payload_errors([invalid("key is required", target="/key")])
    return key, members


def attempt(operate: Callable[[Item], dict[str, Any]], item: Item) -> Outcome:
    """Carry out one record of a batch and keep its failure as a value."""
    try:
        return operate(item)
    except ApiError as failure:
        return failure


def meta(success: int, errors: int) -> dict[str, int]:
    """Return the counts that close the answer to a write."""
    return {"totalCount": success + errors, "totalSuccess": success, "totalError": errors}


def combine(success: int, outcomes: Iterable[Outcome]) -> Answer:
    """Return the answer of a batch: plain when all went well, 207 when mixed, the first error's status else.

    The elements of a mixed answer stand in the order of the request. Those of a DELETE carry no key,
    so the position is all that a client has.
    """
    outcomes = list(outcomes)
    failures = [one for one in outcomes if isinstance(one, ApiError)]
    written = len(outcomes) - len(failures)
    if not failures:
        return Answer(success, {"ia::result": outcomes, "ia::meta": meta(written, 0)}, written)
    result = [with_status(success, one) for one in outcomes]
    status = 207 if written else failures[0].status
    return Answer(status, {"ia::result": result, "ia::meta": meta(written, len(failures))}, written)


def with_status(success: int, outcome: Outcome) -> dict[str, Any]:
    """Return one element of a mixed answer."""
    if isinstance(outcome, ApiError):
        return {"ia::error": outcome.error(), "ia::status": outcome.status}
    return {**outcome, "ia::status": success}
