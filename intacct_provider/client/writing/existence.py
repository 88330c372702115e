"""Where records are that were just written, or written by an earlier attempt."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.model import WELL_KNOWN_OBJECTS
from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctError

if TYPE_CHECKING:
    from intacct_provider.client.reads import ReadCalls

log = logging.getLogger(__name__)

#: Key and id of a record, as far as they are known.
Reference = tuple[str | None, str | None]


def keys_by_id(client: ReadCalls, object_name: str, ids: Sequence[str]) -> dict[str, str]:
    """Look up the keys of records just written.

    Failing here must not make a written record look unwritten, so it is only logged.
    """
    try:
        found: dict[str, str] = {}
        for start in range(0, len(ids), BATCH_SIZE):
            some = field("id").in_(ids[start : start + BATCH_SIZE])
            found |= {
                row["id"]: row["key"] for row in client.iter_rows(object_name, ["key", "id"], filters=some)
            }
        return found
    except IntacctError as err:
        log.warning("Intacct: %s was written, but its key could not be looked up: %s", object_name, err)
        return {}


def gone(client: ReadCalls, object_name: str, references: Sequence[Reference]) -> set[int]:
    """Return the positions of references that lead to no record; one read for as many as a batch has."""
    there: set[Reference] = set()
    keys = [key for key, _id in references if key]
    ids = [id_ for key, id_ in references if id_ and not key]
    try:
        if keys:
            there |= {
                (row["key"], None)
                for row in client.iter_rows(object_name, ["key"], filters=field("key").in_(keys))
            }
        if ids:
            there |= {
                (None, row["id"])
                for row in client.iter_rows(object_name, ["id"], filters=field("id").in_(ids))
            }
    except IntacctError as err:
        log.warning(
            "Intacct: whether %s created earlier is still there could not be read: %s", object_name, err
        )
        return set()
    return {
        n for n, (key, id_) in enumerate(references) if ((key, None) if key else (None, id_)) not in there
    }


def known(client: ReadCalls, object_name: str) -> bool:
    """Return whether Intacct has such an object; False also if that cannot be found out."""
    if object_name in WELL_KNOWN_OBJECTS:
        return True
    try:
        return object_name in client.object_names()
    except IntacctError as err:
        log.warning("Intacct: whether there is an object %s could not be read: %s", object_name, err)
        return False
