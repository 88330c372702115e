"""Exports of several entities at once: the column with the entity of each record, and which entities exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.expressions import field as condition_on
from intacct_provider.client.query.request import Query
from intacct_provider.client.reading.entities import ENTITY, list_entities
from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField
    from intacct_provider.export.source import Source

#: Column with the entity of each record, when an export reads several entities.
ENTITY_COLUMN = "entity_id"


def check_entities(entities: Any, *, detail: bool) -> None:
    """Reject what names no entities, or an export whose rows do not say theirs.

    :raises IntacctArgumentError: saying what to give instead.
    """
    if entities != "all" and not (
        isinstance(entities, Sequence)
        and not isinstance(entities, str)
        and entities
        and all(isinstance(one, str) for one in entities)
    ):
        raise IntacctArgumentError(
            f"entities must be 'all' or a list of entity ids, '' for the top level, not {entities!r}."
        )
    if detail:
        raise IntacctArgumentError(
            "entities needs detail=False: no query returns the entity of whole records. Leave detail out, or export "
            "each entity in a task of its own, with entity_id."
        )


def with_entity(named: Mapping[str, str]) -> dict[str, str]:
    """Return the columns by field with that of the entity, which comes first unless it is among them.

    :raises IntacctArgumentError: if another field has its name.
    """
    if ENTITY in named:
        return dict(named)
    if ENTITY_COLUMN in named.values():
        raise IntacctArgumentError(
            f"fields has a column {ENTITY_COLUMN!r}, which is the name of the column that entities adds."
        )
    return {ENTITY: ENTITY_COLUMN, **named}


def select_entities(
    named: dict[str, str], query: Query, entities: str | Sequence[str], known: Mapping[str, ModelField]
) -> tuple[dict[str, str], Query]:
    """Add the column of the entity, and select only records of the entities asked for."""
    if ENTITY not in known:
        raise IntacctArgumentError(
            f"entities cannot be used with {query.object_name}: its model has no field {ENTITY}. Leave entities out."
        )
    named = with_entity(named)
    if entities == "all":
        return named, query
    ids = sorted({one for one in entities if one})
    wanted = [condition_on(ENTITY).in_(ids)] if ids else []
    if "" in entities:
        wanted.append(condition_on(ENTITY).is_null())
    return named, query.narrow(wanted[0] if len(wanted) == 1 else wanted[0] | wanted[1])


class EntityCheck:
    """Makes sure that entities exist of which an export finds no record: a wrong id selects nothing.

    :param argument: that names them, for messages.
    """

    def __init__(self, client: IntacctClient, source: Source, argument: str) -> None:
        self._client, self._query, self._argument = client, source.query, argument
        self._wanted = list_entities(source.query)
        shown = not source.detail and ENTITY in source.query.fields
        self._slot = f"f{source.query.fields.index(ENTITY)}" if shown else ""
        self._unseen: set[str] = set()

    def begin(self) -> None:
        """Start with no rows."""
        self._unseen = set(self._wanted)

    def add(self, page: Page) -> None:
        """Look for the entities of rows; where these do not show theirs, any row will do."""
        if self._unseen and not self._slot and len(page):
            self._unseen.clear()
        elif self._unseen:
            self._unseen.difference_update({getattr(row, self._slot) for row in page.rows})

    def close(self) -> None:
        """Release nothing."""

    def check(self) -> None:
        """Look up the entities without any row, for one billed call; none if there are no such entities.

        :raises IntacctArgumentError: naming one that does not exist, and the nearest that does.
        """
        if self._unseen:
            unseen = [one for one in self._wanted if one in self._unseen]
            self._client.check_entities(self._query, unseen, argument=self._argument)
