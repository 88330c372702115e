"""The allowed-operations service: what the caller may do with records.

The sandbox has no roles, so an operation is rejected for two reasons only: the record is not visible to the
caller, or it cannot be deleted because another record uses it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from intacct_provider.sandbox.api.messages import check_object_name, meta
from intacct_provider.sandbox.errors import invalid
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.values import parse_key
from intacct_provider.sandbox.records.crud import find_dependent
from intacct_provider.sandbox.store import Database, quote

OPERATIONS = ("canView", "canEdit", "canDelete")
MAX_KEYS = 1000


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The options of a request.

    :param include_private: whether the top level sees the records of entities.
    :param module_key: has no effect here.
    """

    include_private: bool = False
    module_key: str | None = None


class OperationsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request for the operations that are allowed on records.

    :param operations: the operations to check; all by default.
    :param additional_data: has no effect here.
    """

    object: str
    keys: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]
    operations: list[str] | None = None
    options: Options = Options()
    additional_data: dict[str, Any] | None = None


def read_request(body: object, catalog: Catalog) -> OperationsRequest:
    """Return the request in a decoded body.

    :raises ApiError: 400 if it is invalid or the object is unknown.
    """
    try:
        request = msgspec.convert(body, OperationsRequest)
    except msgspec.ValidationError as error:
        raise invalid(f"The payload is not a valid allowed-operations request: {error}") from None
    check_object_name(request.object, catalog)
    return request


def list_allowed(conn: Database, request: OperationsRequest, entity: int | None) -> dict[str, Any]:
    """Return the body of the response: one element per key, in the order of the keys.

    Sage does not document the response for a key that no visible record has; here its operations are empty.

    :param entity: key of the entity of the session; ``None`` for the top level.
    """
    wanted = OPERATIONS if request.operations is None else request.operations
    result = [
        {
            "key": key,
            "operations": [one for one in find_operations(conn, request, key, entity) if one in wanted],
        }
        for key in request.keys
    ]
    return {"ia::result": result, "ia::meta": meta(len(result), 0)}


def find_operations(
    conn: Database, request: OperationsRequest, key: str, entity: int | None
) -> tuple[str, ...]:
    """Return all operations that are allowed on one record."""
    object_type = conn.catalog.objects[request.object]
    number = find_visible(conn, object_type, key, entity, include_private=request.options.include_private)
    if number is None:
        return ()
    return OPERATIONS if find_dependent(conn, object_type.name, number) is None else OPERATIONS[:2]


def find_visible(
    conn: Database, object_type: ObjectType, key: str, entity: int | None, *, include_private: bool
) -> int | None:
    """Return a key as a number, if the session sees a record with that key; else ``None``."""
    sql = f'SELECT "key", "entity.key" AS owner FROM {quote(object_type.name)} WHERE "key" = ?'  # noqa: S608
    row = conn.execute(sql, (parse_key(key),)).fetchone()
    if row is None:
        return None
    everywhere = entity is None and include_private
    return int(row["key"]) if everywhere or row["owner"] in (None, entity) else None
