"""The calls on an object: one record, or up to 500 whose outcomes become one response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from intacct_provider.sandbox.api.messages import (
    ApiResponse,
    Outcome,
    decode_json,
    meta,
    one_result,
    with_status,
)
from intacct_provider.sandbox.errors import (
    ApiError,
    invalid,
    payload_errors,
    payload_missing,
    skipped_record,
    unknown_field,
)
from intacct_provider.sandbox.records.crud import Records

MAX_RECORDS = 500
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ObjectCalls:
    """The calls on one object, inside one transaction.

    :param atomic: whether a batch succeeds as a whole or changes nothing.
    """

    records: Records
    atomic: bool = False

    def list(self) -> ApiResponse:
        """Return a list of references."""
        return ApiResponse(200, self.records.list_references(), 1)

    def get(self, keys: Sequence[str]) -> ApiResponse:
        """Return one record, or several in the order of their keys."""
        response = self._each(None, keys, self.records.get, single=len(keys) == 1)
        return ApiResponse(response.status, response.body, 1 if response.transactions else 0)

    def create(self, body: bytes) -> ApiResponse:
        """Add the record or the records of a body."""
        payload = decode_json(body, "POST")
        items = payload if isinstance(payload, list) else [payload]
        return self._each(201, items, self._create, single=not isinstance(payload, list))

    def update(self, key: str, body: bytes) -> ApiResponse:
        """Change the record with that key."""
        return self._each(200, [(key, decode_json(body, "PATCH"))], self._update, single=True)

    def update_many(self, body: bytes) -> ApiResponse:
        """Change the records of an array, each with its own key."""
        payload = decode_json(body, "PATCH")
        if not isinstance(payload, list):
            raise invalid("A PATCH request on a collection takes an array of records, each with its key")
        return self._each(200, payload, self._update_by_key, single=False)

    def delete(self, keys: Sequence[str]) -> ApiResponse:
        """Delete the records; 204 without a body if all of them could be deleted."""
        response = self._each(204, keys, self._delete, single=len(keys) == 1)
        return ApiResponse(204, None, response.transactions) if response.status == 204 else response

    def write_job_record(self, operation: str, record: bytes) -> dict[str, Any]:
        """Write one record of a bulk job.

        :param operation: ``create``, ``update`` or ``delete``; the last two take the key from the record.
        :return: its element of the result file.
        """
        write, success = {
            "create": (self._create, 201),
            "update": (self._update_by_key, 200),
            "delete": (self._delete_by_key, 204),
        }[operation]
        return with_status(success, attempt(lambda body: write(decode_json(body, "POST")), record))

    def _create(self, payload: object) -> dict[str, Any]:
        return self.records.reference(self.records.create(payload), created=True)

    def _update(self, item: tuple[str, object]) -> dict[str, Any]:
        key, changes = item
        self.records.update(key, changes)
        return self.records.reference(key)

    def _update_by_key(self, payload: object) -> dict[str, Any]:
        return self._update(split_key(payload))

    def _delete(self, key: str) -> dict[str, Any]:
        self.records.delete(key)
        return {}

    def _delete_by_key(self, payload: object) -> dict[str, Any]:
        key, more = split_key(payload)
        if more:
            raise payload_errors([unknown_field(f"/{name}") for name in more])
        return self._delete(key)

    def _each(
        self,
        success: int | None,
        items: Sequence[Item],
        operate: Callable[[Item], dict[str, Any]],
        *,
        single: bool,
    ) -> ApiResponse:
        if single:
            return one_result(success or 200, operate(items[0]), 1)
        if not items:
            raise payload_missing("POST" if success == 201 else "PATCH")
        if len(items) > MAX_RECORDS:
            raise invalid(f"A request can have at most {MAX_RECORDS} records, not {len(items)}")
        conn = self.records.conn
        conn.execute("SAVEPOINT batch")
        outcomes = [attempt(operate, item) for item in items]
        if self.atomic and any(isinstance(one, ApiError) for one in outcomes):
            conn.execute("ROLLBACK TO batch")
            outcomes = [one if isinstance(one, ApiError) else skipped_record() for one in outcomes]
        conn.execute("RELEASE batch")
        return combine(success, outcomes)


def split_key(payload: object) -> tuple[str, dict[str, Any]]:
    """Return the key of a record in an array, and the rest of the record.

    :raises ApiError: 400 REST-1064 if the key is missing.
    """
    members = dict(payload) if isinstance(payload, dict) else {}
    key = members.pop("key", None)
    if not isinstance(key, str):
        raise payload_errors([invalid("key is required", target="/key")])
    return key, members


def attempt(operate: Callable[[Item], dict[str, Any]], item: Item) -> Outcome:
    """Process one record of a batch, and return the error if it is rejected."""
    try:
        return operate(item)
    except ApiError as error:
        return error


def combine(success: int | None, outcomes: Sequence[Outcome]) -> ApiResponse:
    """Return the response to a batch: plain if all records succeed, 207 if some do, else the first error's status.

    The elements of a mixed response are in the order of the request. Those of a DELETE have no key, so their
    position is all that a client has.

    :param success: status of a record that was written; ``None`` for those that were read, which show none.
    """
    errors = [one for one in outcomes if isinstance(one, ApiError)]
    written = len(outcomes) - len(errors)
    if not errors:
        return ApiResponse(success or 200, {"ia::result": outcomes, "ia::meta": meta(written, 0)}, written)
    result = [with_status(success, one) for one in outcomes]
    status = 207 if written else errors[0].status
    return ApiResponse(status, {"ia::result": result, "ia::meta": meta(written, len(errors))}, written)
