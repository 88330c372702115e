"""The allowed-operations service: what the caller may do with records, before trying it.

A sandbox has no roles, so only two things can forbid something: the record is out of the caller's sight, or
it cannot be deleted because another record uses it.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any

import msgspec

from intacct_provider.sandbox.api.batch import meta
from intacct_provider.sandbox.api.incoming import named_object
from intacct_provider.sandbox.errors import invalid
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.records.crud import first_user
from intacct_provider.sandbox.records.validation import parse_key
from intacct_provider.sandbox.store import quote

OPERATIONS = ("canView", "canEdit", "canDelete")
MAX_KEYS = 1000


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What else a question says.

    :param include_private: at the top level, let the records of entities be seen
    :param module_key: has no effect here
    """

    include_private: bool = False
    module_key: str | None = None


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a client wants to know.

    :param operations: those to answer for; all that there are when not given
    :param additional_data: has no effect here
    """

    object: str
    keys: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]
    operations: list[str] | None = None
    options: Options = Options()
    additional_data: dict[str, Any] | None = None


def read(body: object) -> Question:
    """Return the question of a decoded body.

    :raises ApiError: 400 for what is wrong with it, or for an object that does not exist
    """
    try:
        question = msgspec.convert(body, Question)
    except msgspec.ValidationError as wrong:
        raise invalid(f"The payload is not a question for allowed operations: {wrong}") from None
    named_object(question.object)
    return question


def answer(conn: sqlite3.Connection, question: Question, entity: int | None) -> dict[str, Any]:
    """Return the body of the answer: one element per key, in their order.

    Sage does not say what becomes of a key that no visible record has; here its list of operations is empty.

    :param entity: key of the entity of the session; ``None`` for the top level
    """
    wanted = OPERATIONS if question.operations is None else question.operations
    result = [
        {"key": key, "operations": [one for one in allowed(conn, question, key, entity) if one in wanted]}
        for key in question.keys
    ]
    return {"ia::result": result, "ia::meta": meta(len(result), 0)}


def allowed(conn: sqlite3.Connection, question: Question, key: str, entity: int | None) -> tuple[str, ...]:
    """Return everything that may be done with one record."""
    object_type = OBJECTS[question.object]
    number = visible(conn, object_type, key, entity, include_private=question.options.include_private)
    if number is None:
        return ()
    return OPERATIONS if first_user(conn, object_type.name, number) is None else OPERATIONS[:2]


def visible(
    conn: sqlite3.Connection, object_type: ObjectType, key: str, entity: int | None, *, include_private: bool
) -> int | None:
    """Return the number of a key, when there is such a record and the session sees it."""
    sql = f'SELECT "key", "entity.key" AS owner FROM {quote(object_type.name)} WHERE "key" = ?'  # noqa: S608
    row = conn.execute(sql, (parse_key(key),)).fetchone()
    if row is None:
        return None
    everywhere = entity is None and include_private
    return int(row["key"]) if everywhere or row["owner"] in (None, entity) else None
