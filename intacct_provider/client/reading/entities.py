"""Entities that filters ask for: one that does not exist is an error instead of an empty result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from intacct_provider.client.query.contradictions import list_comparisons
from intacct_provider.client.query.request import Query
from intacct_provider.client.query.values import fold_value, ignores_case
from intacct_provider.client.spelling import did_you_mean, list_some
from intacct_provider.exceptions import IntacctAPIError, IntacctArgumentError

if TYPE_CHECKING:
    from intacct_provider.client.reading.queries import QueryReader

log = logging.getLogger(__name__)

#: Field of records that says which entity they belong to.
ENTITY = "entity.id"
_MOST_NAMED = 10


def list_entities(query: Query) -> list[str]:
    """Return the ids of entities that the filters of a query ask for by equality."""
    asked = (
        one.operand if isinstance(one.operand, list) else [one.operand]
        for one in list_comparisons(query.filters)
        if one.name == ENTITY and one.operator in ("$eq", "$in")
    )
    return list(dict.fromkeys(one for some in asked for one in some if isinstance(one, str) and one))


class EntityIds:
    """The ids of a company's entities, looked up only for those of which nothing was found."""

    def __init__(self, queries: QueryReader) -> None:
        self._queries = queries
        self._known: set[str] = set()

    def check(self, query: Query, ids: Sequence[str] | None = None, *, argument: str | None = None) -> None:
        """Make sure that entities exist, for one billed call unless that is known.

        :param query: which has found nothing of them.
        :param ids: those of the entities; by default those that the filters ask for.
        :param argument: that names them, for messages; by default that of the filters.
        :raises IntacctArgumentError: naming one that does not exist, and the nearest that does.
        """
        fold = partial(fold_value, ignore_case=ignores_case(query))
        wanted = list_entities(query) if ids is None else ids
        if {fold(one) for one in wanted} <= set(map(fold, self._known)):
            return
        try:
            rows = list(self._queries.iter_rows(Query.build("company-config/entity", ["key", "id"])))
        except IntacctAPIError as err:
            if err.retryable:
                raise
            some = list_some(map(repr, wanted), _MOST_NAMED)
            log.warning(
                "Intacct: no records of entities %s, and whether these exist is unknown: %s", some, err
            )
            return
        self._known = {str(row["id"]) for row in rows}
        existing = set(map(fold, self._known))
        for one in wanted:
            if fold(one) not in existing:
                raise IntacctArgumentError(
                    f"{argument or query.argument}: there is no entity {one!r}, or the user may not see it."
                    f"{did_you_mean(one, sorted(self._known))} Entities: "
                    f"{list_some(sorted(self._known), _MOST_NAMED) or 'none'}."
                )
