"""What a user asks to be exported, checked against the object's model before a row is paid for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from msgspec import structs

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.paging.control_totals import MODIFIED
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, check_exclude
from intacct_provider.client.query.values import looks_wrong
from intacct_provider.client.reading.entities import ENTITY
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.entities import check_entities, select_entities, with_entity
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.schema.column_names import Fields, name_columns
from intacct_provider.export.schema.columns import Column, detail_columns, query_columns
from intacct_provider.export.schema.element_models import (
    find_element_objects,
    find_elements,
    read_element_models,
)
from intacct_provider.export.schema.lists import LISTS, split_columns
from intacct_provider.export.schema.masks import (
    DROP,
    Masks,
    check_filters_hide,
    check_not_used,
    expand_groups,
    mask_columns,
    parse_masks,
)
from intacct_provider.export.source import Source

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField
    from intacct_provider.client.paging.complete_read import CompleteRead

_NUMBERS = ("decimal", "integer")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user asks to be exported, as far as it can be checked without a call.

    :param query: does not ask for fields that are dropped.
    :param named: columns by field; None for all.
    :param masks: how fields are hidden.
    :param above: rows have keys above this one, and
    :param upto: up to this one.
    :param lists: where the lists of whole records go, one of :data:`LISTS`.
    :param exclude: fields that are left out if all are asked for.
    """

    query: Query
    named: dict[str, str] | None
    detail: bool
    entities: str | Sequence[str] | None
    control_totals: Sequence[str]
    above: str | None
    upto: str | None
    masks: Masks
    lists: str = "nested"
    exclude: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        *,
        object_name: str,
        fields: Fields,
        exclude: Sequence[str] | None = None,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        detail: bool = False,
        entities: str | Sequence[str] | None = None,
        as_of: str | dt.date | None = None,
        control_totals: Sequence[str] = (),
        key_range: Mapping[str, Any] | None = None,
        mask: Any = None,
        lists: str = "nested",
    ) -> Self:
        """Check the arguments of an export.

        :raises IntacctArgumentError: naming the argument, the value and what to do.
        """
        masks = parse_masks(mask)
        check_choice("lists", lists, LISTS)
        if lists == "tables" and not detail:
            raise IntacctArgumentError(
                "lists='tables' needs detail=True: no query returns the lists of records."
            )
        excluded = check_exclude(fields, exclude)
        if excluded and detail:
            raise IntacctArgumentError(
                f"exclude needs detail=False: leave members of whole records out by mask={{{excluded[0]!r}: 'drop'}}."
            )
        if entities is not None:
            check_entities(entities, detail=detail)
        named = name_columns(fields, detail=detail)
        query = Query.build(
            object_name,
            ["key"] if detail or named is None else _list_asked(named, entities, masks),
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=_parameters(filter_parameters, entities, as_of),
        )
        if query.aggregated:
            raise IntacctArgumentError(
                "fields has an aggregate; an export is of records. Aggregates are read by IntacctQueryOperator, and "
                "control_totals has Intacct add up fields of the export."
            )
        check_filters_hide(masks, query.filters)
        if isinstance(entities, list | tuple) and any(entities):
            check_not_used(masks, "entities", [ENTITY], "their ids would be in the manifest")
        sums = [control_totals] if isinstance(control_totals, str) else control_totals
        check_not_used(masks, "control_totals", sums, "their sum would be in the manifest")
        above = upto = None
        if key_range is not None:
            among = KeyRange.parse(key_range)
            above, upto = among.above, among.upto
        return cls(query, named, detail, entities, control_totals, above, upto, masks, lists, excluded)

    def begin(self, client: IntacctClient) -> CompleteRead | None:
        """Ask for the first page while the model is read, where the model cannot change what is asked.

        Not for filters that look wrong: they are checked against the model before anything is paid for.
        """
        changed = self.named is None or self.detail or self.entities is not None or self.control_totals
        if changed or looks_wrong(self.query):
            return None
        pages = client.read_pages(self.query, StructRows(self.query.fields), above=self.above, upto=self.upto)
        pages.begin()
        return pages

    def load(self, client: IntacctClient, *, typed: bool = False) -> Source:
        """Check what was asked against the model of the object, for one billed call.

        :param typed: whether the records in lists need types, for which their models are read, too.
        :raises IntacctArgumentError: naming the argument, the value and what to do.
        """
        name, query = self.query.object_name, self.query
        known = client.fields(name)
        query = client.check_filters(query)
        if self.detail:
            return self._load_records(client, typed=typed)
        named = self.named or {field: field for field in client.queryable_fields(name, self.exclude)}
        if self.entities is not None:
            named, query = select_entities(named, query, self.entities, known)
        _reject_lists(named, known)
        columns = query_columns(named, known)
        sums = _check_sums(self.control_totals, columns)
        stamped = sums and MODIFIED in known and known[MODIFIED].queryable
        return self._build(query, columns, sums=sums, stamp=MODIFIED if stamped else None)

    def _load_records(self, client: IntacctClient, *, typed: bool) -> Source:
        """Return the source of whole records, whose lists are apart if that is wanted."""
        name, apart = self.query.object_name, self.lists == "tables"
        model = client.model(name)
        # What is within lists is known by the models of their elements only.
        in_lists = [f"{one}." for one in find_element_objects(model)]
        typed = typed or apart or any(field.startswith(tuple(in_lists)) for field in self.masks)
        elements = read_element_models(client, model) if typed else {}
        columns = _record_columns(
            detail_columns(model, lambda path: elements.get(path, {})), name, self.named
        )
        source = self._build(self.query, columns, detail=True)
        if not apart:
            return source
        columns, lists = split_columns(source.columns, find_elements(model, elements, name))
        return replace(source, columns=columns, lists=lists)

    def _build(self, query: Query, columns: tuple[Column, ...], **others: Any) -> Source:
        fields = [] if self.detail else [column.field for column in columns]
        masks = expand_groups(self.masks, fields)
        masked = mask_columns(columns, masks)
        source = Source(
            query, masked, above=self.above, upto=self.upto, masks=masks, unmasked=columns, **others
        )
        if source.detail:
            return source
        return replace(source, query=replace(query, fields=tuple(column.field for column in masked)))


def _list_asked(named: Mapping[str, str], entities: str | Sequence[str] | None, masks: Masks) -> list[str]:
    """Return the fields to ask for: what is dropped never leaves Intacct."""
    exported = named if entities is None else with_entity(named)
    masks = expand_groups(masks, exported)
    mask_columns(query_columns(exported, {}), masks)
    return [name for name in named if masks.get(name) != DROP]


def _parameters(
    given: Mapping[str, Any] | None, entities: Any, as_of: str | dt.date | None
) -> dict[str, Any] | None:
    parameters: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    if given is not None and not isinstance(given, Mapping):
        return given  # Query.build rejects it
    if as_of is not None:
        if "asOfDate" in parameters:
            raise IntacctArgumentError("Give as_of or filter_parameters['asOfDate'], not both.")
        parameters["asOfDate"] = _day(as_of)
    if entities is not None:
        parameters["includePrivate"] = True
    return parameters or None


def _day(as_of: str | dt.date) -> str:
    try:
        day = as_of.date() if isinstance(as_of, dt.datetime) else as_of
        return (day if isinstance(day, dt.date) else dt.date.fromisoformat(day)).isoformat()
    except (TypeError, ValueError):
        raise IntacctArgumentError(f"as_of must be a date such as '2026-06-30', not {as_of!r}.") from None


def _reject_lists(named: Mapping[str, str], known: Mapping[str, ModelField]) -> None:
    for name in named:
        if name in known and not known[name].queryable:
            listed = known[name].is_list
            what = "a list" if listed else "write-only" if known[name].write_only else "metadata"
            more = " With detail=True whole records are read, lists included." if listed else ""
            raise IntacctArgumentError(f"fields has {name!r}, which is {what}: no query returns it.{more}")


def _check_sums(control_totals: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    if isinstance(control_totals, str):
        control_totals = [control_totals]
    numbers = {column.field: column for column in columns if column.type in _NUMBERS}
    for name in control_totals:
        if name in numbers:
            continue
        exported = name in {column.field for column in columns}
        problem = "is not a number" if exported else "is not among fields"
        raise IntacctArgumentError(
            f"control_totals has {name!r}, which {problem}.{did_you_mean(str(name), numbers)} Numbers among fields: "
            f"{', '.join(numbers) or 'none'}."
        )
    return tuple(dict.fromkeys(control_totals))


def _record_columns(
    columns: tuple[Column, ...], object_name: str, named: Mapping[str, str] | None
) -> tuple[Column, ...]:
    if named is None:
        return columns
    by_field = {column.field: column for column in columns}
    for name in named:
        if name not in by_field:
            raise IntacctArgumentError(
                f"fields has {name!r}, which is not a member of a whole record of {object_name}."
                f"{did_you_mean(str(name), by_field)} Members: {', '.join(by_field)}."
            )
    return tuple(structs.replace(by_field[name], name=column) for name, column in named.items())
