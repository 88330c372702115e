"""Direct access to the company for tests: add and read records without a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from intacct_provider.sandbox.errors import ApiError
from intacct_provider.sandbox.identity import USER
from intacct_provider.sandbox.objects.names import ENTITY
from intacct_provider.sandbox.records.audit import Author
from intacct_provider.sandbox.records.crud import Records, ensure_user
from intacct_provider.sandbox.records.render import render_record
from intacct_provider.sandbox.store import Store, find_key, quote


def add_records(
    store: Store, object_name: str, payloads: Iterable[Mapping[str, Any]], entity: str | None = None
) -> list[str]:
    """Add records as the user of the connection would, and return their keys: all or none.

    :raises ValueError: names the record by its position and id, and what is wrong with it.
    """
    object_type = store.catalog.find(object_name)
    with store.transaction() as conn:
        now = store.now()
        user = ensure_user(conn, USER, now)
        owner = None if entity is None else find_key(conn, ENTITY, "id", entity)
        if entity is not None and owner is None:
            raise ValueError(f"the company has no entity {entity!r}")
        records = Records(conn, object_type, Author(user, owner, now))
        keys = []
        for position, payload in enumerate(payloads):
            try:
                keys.append(str(records.create(dict(payload))))
            except ApiError as error:
                causes = "; ".join(cause.message for cause in error.details) or error.message
                which = f"record {position} (id {payload.get('id')!r}) of {object_name}"
                raise ValueError(f"{which} cannot be added: {causes}") from None
    return keys


def read_records(store: Store, object_name: str) -> list[dict[str, Any]]:
    """Return all records of an object as GET shows them, each with its key, in the order of their keys.

    :raises ValueError: for an unknown object.
    """
    object_type = store.catalog.find(object_name)
    with store.transaction() as conn:
        rows = conn.execute(f'SELECT * FROM {quote(object_name)} ORDER BY "key"').fetchall()  # noqa: S608
        return [{"key": str(row["key"]), **render_record(conn, object_type, row)} for row in rows]
