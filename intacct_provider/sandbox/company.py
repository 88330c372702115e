"""The company from inside, for tests: records put in and taken out without a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from intacct_provider.sandbox.errors import ApiError
from intacct_provider.sandbox.identity import USER
from intacct_provider.sandbox.objects.catalog import known_object
from intacct_provider.sandbox.records import crud, render
from intacct_provider.sandbox.records.validation import find
from intacct_provider.sandbox.store import Store, quote


def add(
    store: Store, object_name: str, given: Iterable[Mapping[str, Any]], entity: str | None = None
) -> list[str]:
    """Add records as the API's user would, and return their keys: all or none.

    :raises ValueError: names the record, by its position and id, and what is wrong with it
    """
    object_type = known_object(object_name)
    with store.transaction() as conn:
        now = store.now()
        user = crud.ensure_user(conn, USER, now)
        owner = None if entity is None else find(conn, "company-config/entity", "id", entity)
        if entity is not None and owner is None:
            raise ValueError(f"the company has no entity {entity!r}")
        keys = []
        for position, record in enumerate(given):
            try:
                key = crud.create(conn, object_type, dict(record), entity=owner, user=user, now=now)
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
