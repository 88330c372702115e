"""Which records exist: those just written, or written by an earlier attempt."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.exceptions import IntacctError

log = logging.getLogger(__name__)

#: A private record exists, too.
_ALL = {"includePrivate": True}
#: Key and id of a record, as far as they are known.
Reference = tuple[str | None, str | None]


def find_keys(queries: QueryReader, object_name: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the keys of records just written, by their ids.

    A failure here must not make a written record look unwritten, so it is only logged.
    """
    found: dict[str, str] = {}
    try:
        for start in range(0, len(ids), BATCH_SIZE):
            query = Query.build(
                object_name,
                ["key", "id"],
                filters=field("id").in_(ids[start : start + BATCH_SIZE]),
                filter_parameters=_ALL,
            )
            found |= {row["id"]: row["key"] for row in queries.iter_rows(query)}
        return found
    except IntacctError as err:
        log.warning("Intacct: %s was written, but its key could not be looked up: %s", object_name, err)
        return {}


def find_missing(queries: QueryReader, object_name: str, references: Sequence[Reference]) -> set[int]:
    """Return the positions of references whose records no longer exist; one read per batch."""
    found: set[Reference] = set()
    keys = [key for key, _id in references if key]
    ids = [id_ for key, id_ in references if id_ and not key]
    try:
        if keys:
            found |= {(key, None) for key in _select(queries, object_name, "key", keys)}
        if ids:
            found |= {(None, id_) for id_ in _select(queries, object_name, "id", ids)}
    except IntacctError as err:
        log.warning("Intacct: could not read whether %s created earlier still exists: %s", object_name, err)
        return set()
    return {
        n for n, (key, id_) in enumerate(references) if ((key, None) if key else (None, id_)) not in found
    }


def _select(queries: QueryReader, object_name: str, name: str, values: Sequence[str]) -> list[str]:
    """Return those of some keys or ids that a query finds."""
    query = Query.build(object_name, [name], filters=field(name).in_(values), filter_parameters=_ALL)
    return [row[name] for row in queries.iter_rows(query)]
