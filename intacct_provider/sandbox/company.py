"""The company from inside, for tests: records put in and taken out without a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from intacct_provider.sandbox import records, render
from intacct_provider.sandbox.errors import ApiError
from intacct_provider.sandbox.fields import ObjectType
from intacct_provider.sandbox.identity import USER
from intacct_provider.sandbox.payload import find
from intacct_provider.sandbox.schema import OBJECTS
from intacct_provider.sandbox.store import Store, quote


def known_object(name: str) -> ObjectType:
    """Return an object by its name.

    :raises ValueError: when there is none; the message names the nearest
    """
    if name not in OBJECTS:
        near = get_close_matches(name, OBJECTS, n=1, cutoff=0.0)[0]
        raise ValueError(f"{name!r} is not an object of the sandbox; did you mean {near!r}?")
    return OBJECTS[name]


def add(
    store: Store, object_name: str, given: Iterable[Mapping[str, Any]], entity: str | None = None
) -> list[str]:
    """Add records as the API's user would, and return their keys: all or none.

    :raises ValueError: names the record, by its position and id, and what is wrong with it
    """
    object_type = known_object(object_name)
    with store.transaction() as conn:
        now = store.now()
        user = records.ensure_user(conn, USER, now)
        owner = None if entity is None else find(conn, "company-config/entity", "id", entity)
        if entity is not None and owner is None:
            raise ValueError(f"the company has no entity {entity!r}")
        keys = []
        for position, record in enumerate(given):
            try:
                key = records.create(conn, object_type, dict(record), entity=owner, user=user, now=now)
            except ApiError as wrong:
                causes = "; ".join(cause.message for cause in wrong.details) or wrong.message
                which = f"record {position} (id {record.get('id')!r}) of {object_name}"
                raise ValueError(f"{which} cannot be added: {causes}") from None
            keys.append(str(key))
    return keys


def everything(store: Store, object_name: str) -> list[dict[str, Any]]:
    """Return all records of an object as GET shows them, each with its key, in the order of keys.

    :raises ValueError: when there is no such object
    """
    object_type = known_object(object_name)
    with store.transaction() as conn:
        rows = conn.execute(f'SELECT * FROM {quote(object_name)} ORDER BY "key"').fetchall()  # noqa: S608
        return [{"key": str(row["key"]), **render.record(conn, object_type, row)} for row in rows]
