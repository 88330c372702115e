"""Lists of records as tables of their own: their columns, and their rows, taken out of the records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgspec
from msgspec import structs

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.element_models import Element

#: Where lists go: they stay within their records, or become files or tables of their own.
LISTS = ("nested", "tables")
#: Columns that the rows of a list begin with: the key of the record that has the list, and the place in it, from 0.
PARENT_KEY, POSITION = "parent_key", "position"
_OWN = (Column(PARENT_KEY, PARENT_KEY, "string"), Column(POSITION, POSITION, "integer"))
#: Member of the rows of a list whose elements are values rather than records.
_ITEM = "item"


class ListTable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list that is exported as a table of its own.

    :param name: of the table, beside that of the records: the list's dotted name, or the one that the user gave it.
    :param path: of the list in a record.
    :param columns: of its rows.
    :param element: what its elements are; None if they are plain values.
    """

    name: str
    path: tuple[str, ...]
    columns: tuple[Column, ...]
    element: Element | None = None

    @property
    def of_values(self) -> bool:
        """Whether each row has its element as one value, rather than the members of a record."""
        return self.columns[-1].name == _ITEM


class AnyList(Protocol):
    """What says which columns a list has."""

    @property
    def name(self) -> str:
        """The name of its table."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of its rows."""


def split_columns(
    columns: Sequence[Column], elements: Sequence[Element]
) -> tuple[tuple[Column, ...], tuple[ListTable, ...]]:
    """Return the columns without lists, and the lists, those in groups included; lists in lists stay where they are.

    :param elements: of the lists.
    """
    found: list[tuple[str, tuple[str, ...], Column]] = []
    own = tuple(_keep_own(columns, found, (), ""))
    by_path = {path: element for element in elements for path in element.paths}
    lists = [ListTable(name, path, _list_columns(item), by_path.get(path)) for name, path, item in found]
    return own, tuple(lists)


def join_columns(columns: Sequence[Column], lists: Sequence[AnyList]) -> tuple[Column, ...]:
    """Return the columns of records and of their lists as one, to compare them with those of another export."""
    made = [
        Column(one.name, one.name, "list", members=(Column(_ITEM, _ITEM, "struct", members=one.columns),))
        for one in lists
    ]
    return (*columns, *made)


def count_elements(record: Mapping[str, Any], element: Element) -> int:
    """Return how many elements a record has in all lists of their object."""
    return sum(_count(record, path) for path in element.paths)


def _count(record: Any, path: Sequence[str]) -> int:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return len(record) if isinstance(record, list) else 0


def split_page(page: Page, lists: Sequence[ListTable]) -> tuple[Page, list[Page]]:
    """Return a page of records without their lists, and the rows of each list; the keys are those of the records.

    :raises IntacctColumnError: if what should be a list is something else.
    """
    records = [_copy_groups(record, lists) for record in page.rows]
    parts = []
    for one in lists:
        rows: list[dict[str, Any]] = []
        keys: list[str] = []
        for key, record in zip(page.keys, records, strict=True):
            found = [_make_row(one, key, n, element) for n, element in enumerate(_take(record, one, key))]
            rows += found
            keys += [key] * len(found)
        parts.append(Page(rows, keys=keys))
    return replace(page, rows=records), parts


def _keep_own(
    columns: Sequence[Column],
    lists: list[tuple[str, tuple[str, ...], Column]],
    path: tuple[str, ...],
    prefix: str,
) -> Iterator[Column]:
    """Yield the columns that are not lists, and add the lists: their names, paths and elements."""
    for column in columns:
        inner, name = (*path, column.field), prefix + column.name
        if column.type == "list":
            lists.append((name, inner, column.members[0]))
        elif column.type == "struct":
            members = tuple(_keep_own(column.members, lists, inner, f"{name}."))
            if members:
                yield structs.replace(column, members=members)
        else:
            yield column


def _list_columns(element: Column) -> tuple[Column, ...]:
    members = element.members or (structs.replace(element, name=_ITEM, field=_ITEM),)
    renamed = [structs.replace(one, name=_rename(one.name), field=_rename(one.field)) for one in members]
    return (*_OWN, *renamed)


def _rename(name: str) -> str:
    """Return the name of an element's member among the columns of the list."""
    return f"{name}_" if name in (PARENT_KEY, POSITION) else name


def _copy_groups(record: Mapping[str, Any], lists: Sequence[ListTable]) -> dict[str, Any]:
    """Return a copy of a record from which the lists can be taken without changing the record."""
    copied = dict(record)
    for one in lists:
        below = copied
        for group in one.path[:-1]:
            if not isinstance(below.get(group), Mapping):
                break
            below[group] = dict(below[group])
            below = below[group]
    return copied


def _take(record: dict[str, Any], one: ListTable, key: str) -> list[Any]:
    """Remove a list from a record, and return it; null and a missing one are empty."""
    below: Any = record
    for group in one.path[:-1]:
        below = below.get(group)
        if not isinstance(below, dict):
            return []
    found = below.pop(one.path[-1], None)
    if found is not None and not isinstance(found, list):
        raise IntacctColumnError(
            f"{'.'.join(one.path)!r} of record {key} is a {type(found).__name__}, where its model has a list. Leave it "
            "out, or give lists='nested' and file_format='jsonl', which accepts whatever Intacct sends."
        )
    return found or []


def _make_row(one: ListTable, key: str, position: int, element: Any) -> dict[str, Any]:
    own = {PARENT_KEY: key, POSITION: position}
    if one.of_values or not isinstance(element, Mapping):
        return own if element is None else {**own, _ITEM: element}
    if PARENT_KEY in element or POSITION in element:
        element = {_rename(name): value for name, value in element.items()}
    return {**own, **element}
