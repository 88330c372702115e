"""Queries whose filters ask for values that no record has: an error instead of an empty result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.model import ModelField
from intacct_provider.client.paging.pages import Page, Row, Totals
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.contradictions import Contradiction, find_contradictions
from intacct_provider.client.query.request import Query
from intacct_provider.client.query.values import (
    Doubt,
    describe_field,
    fold_value,
    has_values_to_check,
    ignores_case,
    list_doubtful_values,
    looks_wrong,
    rows_prove_values,
)
from intacct_provider.client.reading.entities import EntityIds, list_entities
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.exceptions import IntacctArgumentError, IntacctError, IntacctValidationError

log = logging.getLogger(__name__)

Found = TypeVar("Found")
_MOST_NAMED = 5


class FilterValues:
    """Checks the values in filters against the models of a company.

    A model can be incomplete, so what it does not list is looked up once: a value that a record has is right.
    """

    def __init__(self, catalog: Catalog, queries: QueryReader) -> None:
        self._catalog = catalog
        self._queries = queries
        self._used: set[tuple[str, str]] = set()
        #: The entities that queries without a result have asked for.
        self.entities = EntityIds(queries)

    def check(self, query: Query) -> Query:
        """Return the query, whose values are then known to be checked.

        :raises IntacctArgumentError: for values that no record has, with the nearest that exist, and for conditions
            that exclude each other.
        """
        if query.values_checked:
            return query
        find_field = partial(self._find_field, query.object_name)
        if has_values_to_check(query):
            doubts = list_doubtful_values(query, find_field)
            refused = [
                one
                for _, some in groupby(doubts, attrgetter("name"))
                for one in self._list_unused(query, list(some))
            ]
            if refused:
                raise _build_error(query, refused)
        # Conditions that were added, such as ranges of keys, may well leave nothing of what was asked for.
        if not query.narrowed:
            describe = partial(describe_field, find_field=find_field)
            found = find_contradictions(query.filters, query.expression, describe)
            if found and not any(self._is_met(query, one) for one in found):
                raise query.refuse(found[0])
        return query.trust_values()

    def read(self, query: Query, read: Callable[[], Found], *, empty: Callable[[Found], bool]) -> Found:
        """Return what a query reads; check its values first, unless rows prove them, and if there are none.

        So a read that finds what it asks for does not pay for a model.
        """
        if _needs_check(query) and (looks_wrong(query) or not rows_prove_values(query)):
            query = self.check(query)
        try:
            found = read()
        except IntacctValidationError:
            self.check(query)
            raise
        if empty(found):
            self.check(query)
            self.entities.check(query)
        return found

    def read_page(self, query: Query, read: Callable[[], Page]) -> Page:
        """Return the page that ``read`` reads of a query."""
        return self.read(query, read, empty=lambda page: not page.rows and page.start <= 1)

    def read_totals(self, query: Query, read: Callable[[], Totals]) -> Totals:
        """Return the totals that ``read`` reads of a query."""
        return self.read(query, read, empty=lambda totals: not totals.count)

    def iter_rows(self, query: Query) -> Iterator[Row]:
        """Yield every row of a query."""
        rows = self._queries.iter_rows(query)
        return self._check_first(query, rows) if _needs_check(query) or list_entities(query) else rows

    def _check_first(self, query: Query, rows: Iterator[Row]) -> Iterator[Row]:
        first = self.read(query, lambda: next(rows, None), empty=lambda row: row is None)
        if first is not None:
            yield first
            yield from rows

    def _find_field(self, object_name: str, name: str) -> ModelField | None:
        """Return the description of a field; None if it cannot be read, which must not keep a query from running."""
        try:
            return self._catalog.find_field(object_name, name)
        except IntacctError as err:
            if err.retryable:
                raise
            log.warning("Intacct: the values of %s in filters are not checked: %s", name, err)
            return None

    def _is_met(self, query: Query, contradiction: Contradiction) -> bool:
        """Whether a record meets conditions that exclude each other, as far as is known; one billed call."""
        lookup = contradiction.conditions
        if (query.object_name, repr(lookup)) in self._used:
            return True
        try:
            met = bool(self._queries.count(replace(query, filters=lookup, expression="and")).count)
        except IntacctValidationError:
            return False  # Intacct does not compare the field with such values
        if met:
            self._used.add((query.object_name, repr(lookup)))
        return met

    def _list_unused(self, query: Query, doubts: Sequence[Doubt]) -> list[Doubt]:
        """Return those of some values of one field that no record has; one billed call, unless known already."""
        unknown = [one for one in doubts if (query.object_name, repr(one.lookup)) not in self._used]
        unused = self._ask(query, unknown) if unknown else []
        self._used.update((query.object_name, repr(one.lookup)) for one in unknown if one not in unused)
        return unused

    def _ask(self, query: Query, doubts: Sequence[Doubt]) -> list[Doubt]:
        if len(doubts) > 1 and not all("$eq" in one.lookup for one in doubts):
            return [one for each in doubts for one in self._ask(query, [each])]
        try:
            return self._ask_for_one(query, *doubts) if len(doubts) == 1 else self._ask_for_all(query, doubts)
        except IntacctValidationError:
            return list(doubts)  # Intacct does not compare the field with such a value

    def _ask_for_one(self, query: Query, doubt: Doubt) -> list[Doubt]:
        asked = replace(query, filters=(doubt.lookup,), expression="and")
        return [] if self._queries.count(asked).count else [doubt]

    def _ask_for_all(self, query: Query, doubts: Sequence[Doubt]) -> list[Doubt]:
        """Have the records that have one of the values grouped by it."""
        name, values = doubts[0].name, [one.value for one in doubts]
        fields = (name, "count:key")
        asked = replace(
            query, fields=fields, filters=({"$in": {name: values}},), expression="and", order_by=()
        )
        page = self._queries.fetch_page(asked, 1, len(doubts), rows=MappingRows(fields, keyed=False))
        fold = partial(fold_value, ignore_case=ignores_case(query))
        used = {fold(row[name]) for row in page.rows}
        return [one for one in doubts if fold(one.value) not in used]


def _needs_check(query: Query) -> bool:
    return not query.values_checked and (has_values_to_check(query) or looks_wrong(query))


def _build_error(query: Query, refused: Sequence[Doubt]) -> IntacctArgumentError:
    unique = list(dict.fromkeys((one.problem, one.advice) for one in refused))
    lines = [
        f"{problem}, and no record of {query.object_name} has it.{advice}"
        for problem, advice in unique[:_MOST_NAMED]
    ]
    if len(unique) > _MOST_NAMED:
        lines.append(f"And {len(unique) - _MOST_NAMED} more.")
    return IntacctArgumentError(f"{query.argument}: {' '.join(lines)}")
