"""What an export reads: its arguments, checked against the object's model before a row is paid for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field as condition_on
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.schema.columns import Column, column_facts, columns_of, detail_columns

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.model import ModelField
    from intacct_provider.client.paging.complete_read import CompleteRead
    from intacct_provider.export.reading import Reading

#: Column that tells whose record it is, when an export reads several entities.
ENTITY_COLUMN = "entity_id"
_ENTITY = "entity.id"
_NUMBERS = ("decimal", "integer")

Fields = Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one export.

    :param query: what is asked of Intacct; with ``detail`` for the keys of the records.
    :param columns: of the output, in order.
    :param sums: fields whose totals Intacct is asked for, too.
    :param above: rows have keys above this one.
    :param upto: rows have keys up to this one.
    :param detail: whether whole records are read by key, after their keys.
    :param early: pages of which the first was asked for beside the model, for the first reading.
    """

    query: Query
    columns: tuple[Column, ...]
    sums: tuple[str, ...] = ()
    above: str | None = None
    upto: str | None = None
    detail: bool = False
    early: list[CompleteRead] = field(default_factory=list)

    @property
    def object_name(self) -> str:
        """The path of the object."""
        return self.query.object_name

    def facts(self) -> dict[str, Any]:
        """Return what was asked, in Intacct's own terms, and how the columns are called."""
        body = self.query.payload()
        query = {name: body[name] for name in body if name not in ("object", "start", "size", "orderBy")}
        if self.detail:
            del query["fields"]
        return {
            "object": self.object_name,
            "query": query,
            "detail": self.detail,
            "columns": column_facts(self.columns),
        }

    def read(self, client: IntacctClient, *, above: str | None = None) -> Reading:
        """Return the rows, or those with keys above one, to be read once."""
        from intacct_provider.export.reading import Reading

        return Reading(client, self, above=self.above if above is None else above)

    def close(self) -> None:
        """Ask for nothing more, if nobody takes the early pages."""
        while self.early:
            self.early.pop().close()


def source_of(
    client: IntacctClient,
    *,
    object_name: str,
    fields: Fields,
    filters: Filters = None,
    filter_expression: str | None = None,
    filter_parameters: Mapping[str, Any] | None = None,
    detail: bool = False,
    entities: str | Sequence[str] | None = None,
    as_of: str | dt.date | None = None,
    control_totals: Sequence[str] = (),
    key_range: Mapping[str, Any] | None = None,
    typed: bool = False,
    early: bool = False,
) -> Source:
    """Check the arguments of an export; reads the model of the object, for one billed call.

    :param typed: whether the records in lists have to have types, for which their models are read, too.
    :param early: whether to ask for the first page beside the model, where the model changes nothing about it.
    :raises IntacctArgumentError: naming the argument, the value and what to do.
    """
    named = named_fields(fields, detail=detail)
    query = Query.build(
        object_name,
        ["key"] if detail or named is None else list(named),
        filters=filters,
        filter_expression=filter_expression,
        filter_parameters=_parameters(filter_parameters, entities, as_of),
    )
    if query.aggregated:
        raise IntacctArgumentError(
            "fields has an aggregate; an export is of records. Aggregates are read by IntacctQueryOperator, and "
            "control_totals has Intacct add up fields of the export."
        )
    among = None if key_range is None else KeyRange.checked(key_range)
    above, upto = (among.above, among.upto) if among else (None, None)
    begun: list[CompleteRead] = []
    if early and named is not None and not detail and entities is None and not control_totals:
        pages = client.read_pages(query, StructRows(query.fields), above=above, upto=upto)
        pages.begin()
        begun.append(pages)
    try:
        known = client.fields(object_name)
        if begun:
            _refuse_lists(named or {}, known)
    except BaseException:
        for pages in begun:
            pages.close()
        raise
    if detail:
        return Source(
            query,
            _whole_records(client, object_name, named, typed=typed),
            above=above,
            upto=upto,
            detail=True,
        )
    if named is None:
        named = {name: name for name in client.queryable_fields(object_name)}
    if entities is not None:
        named, query = _of_entities(named, query, entities, known)
    _refuse_lists(named, known)
    columns = columns_of(named, known)
    query = replace(query, fields=tuple(named))
    return Source(query, columns, _sums(control_totals, columns), above, upto, early=begun)


def named_fields(fields: Fields, *, detail: bool) -> dict[str, str] | None:
    """Return the fields with their columns; None for all.

    :raises IntacctArgumentError: for what names no fields, and for two columns of one name.
    """
    if fields == "*" or (fields is None and detail):
        return None
    if fields is None or isinstance(fields, str) or not isinstance(fields, Iterable) or not fields:
        raise IntacctArgumentError(
            f"fields must be a list of field names, a mapping of field names to column names, or '*' for all that can "
            f"be queried, not {fields!r}."
        )
    named = dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields}
    taken: dict[str, str] = {}
    for name, column in named.items():
        if not isinstance(column, str) or not column.strip():
            raise IntacctArgumentError(f"fields names the column of {name!r} {column!r}, which is no name.")
        if column in taken:
            raise IntacctArgumentError(
                f"fields gives {taken[column]!r} and {name!r} the same column, {column!r}."
            )
        taken[column] = name
    return named


def _parameters(
    given: Mapping[str, Any] | None, entities: Any, as_of: str | dt.date | None
) -> dict[str, Any] | None:
    parameters: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    if given is not None and not isinstance(given, Mapping):
        return given  # for Query.build to refuse
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


def _of_entities(
    named: dict[str, str], query: Query, entities: str | Sequence[str], known: Mapping[str, ModelField]
) -> tuple[dict[str, str], Query]:
    """Add the column of the entity, and leave only records of those asked for."""
    if entities != "all" and (
        isinstance(entities, str) or not entities or not all(isinstance(one, str) for one in entities)
    ):
        raise IntacctArgumentError(
            f"entities must be 'all' or a list of entity ids, '' for the top level, not {entities!r}."
        )
    if _ENTITY not in known:
        raise IntacctArgumentError(
            f"entities: records of {query.object_name} belong to no entity, as its model has no field {_ENTITY}. Leave "
            "entities out."
        )
    if named.get(_ENTITY) is None:
        if ENTITY_COLUMN in named.values():
            raise IntacctArgumentError(
                f"fields has a column {ENTITY_COLUMN!r}, which is the name of the column that entities adds."
            )
        named = {_ENTITY: ENTITY_COLUMN, **named}
    if entities == "all":
        return named, query
    ids = sorted({one for one in entities if one})
    wanted = [condition_on(_ENTITY).in_(ids)] if ids else []
    if "" in entities:
        wanted.append(condition_on(_ENTITY).is_null())
    return named, query.narrow(wanted[0] if len(wanted) == 1 else wanted[0] | wanted[1])


def _refuse_lists(named: Mapping[str, str], known: Mapping[str, ModelField]) -> None:
    for name in named:
        if name in known and not known[name].queryable:
            what = "write-only" if known[name].write_only else "a list"
            more = (
                "" if known[name].write_only else " With detail=True whole records are read, lists included."
            )
            raise IntacctArgumentError(f"fields has {name!r}, which is {what}: no query returns it.{more}")


def _sums(control_totals: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    if isinstance(control_totals, str):
        control_totals = [control_totals]
    numbers = {column.field: column for column in columns if column.type in _NUMBERS}
    for name in control_totals:
        if name in numbers:
            continue
        there = name in {column.field for column in columns}
        problem = "is no number" if there else "is not among fields"
        raise IntacctArgumentError(
            f"control_totals has {name!r}, which {problem}.{did_you_mean(str(name), numbers)} Numbers among fields: "
            f"{', '.join(numbers) or 'none'}."
        )
    return tuple(dict.fromkeys(control_totals))


def _whole_records(
    client: IntacctClient, object_name: str, named: Mapping[str, str] | None, *, typed: bool
) -> tuple[Column, ...]:
    columns = detail_columns(client.model(object_name), client.model if typed else None)
    if named is None:
        return columns
    by_field = {column.field: column for column in columns}
    for name in named:
        if name not in by_field:
            raise IntacctArgumentError(
                f"fields has {name!r}, which is no member of a whole record of {object_name}."
                f"{did_you_mean(str(name), by_field)} Members: {', '.join(by_field)}."
            )
    return tuple(replace(by_field[name], name=column) for name, column in named.items())
