"""The rows of one export: what is asked of Intacct for them, and the columns that they have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intacct_provider.client.query.request import Query
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.lists import ListTable, join_columns
from intacct_provider.export.schema.masks import Masks


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one export.

    :param query: what is asked of Intacct; with ``detail`` for the keys of the records.
    :param columns: of the output, in order.
    :param sums: fields whose totals Intacct is asked for, too.
    :param above: rows have keys above this one.
    :param upto: rows have keys up to this one.
    :param detail: whether whole records are read by key, after their keys.
    :param stamp: field that says when a record last changed, where that is wanted of every row.
    :param masks: how fields of the rows are hidden; the columns are those of masked rows, and
    :param unmasked: those that the rows would have without masks.
    :param lists: those that are exported as tables of their own; ``columns`` are without them.
    """

    query: Query
    columns: tuple[Column, ...]
    sums: tuple[str, ...] = ()
    above: str | None = None
    upto: str | None = None
    detail: bool = False
    stamp: str | None = None
    masks: Masks = field(default_factory=dict)
    unmasked: tuple[Column, ...] = ()
    lists: tuple[ListTable, ...] = ()

    @property
    def object_name(self) -> str:
        """The path of the object."""
        return self.query.object_name

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns, those of lists that are tables of their own included."""
        return join_columns(self.columns, self.lists)

    @property
    def asked(self) -> dict[str, Any]:
        """What Intacct is asked, in its own terms."""
        body = self.query.payload()
        dropped = ("object", "start", "size", "orderBy", *(["fields"] if self.detail else []))
        return {name: body[name] for name in body if name not in dropped}

    @property
    def identity(self) -> dict[str, Any]:
        """What is exported, whatever of it is hidden."""
        columns = self.unmasked or self.columns
        fields = {} if self.detail else {"fields": [column.field for column in columns]}
        return {
            "object": self.object_name,
            "query": self.asked | fields,
            "detail": self.detail,
            "columns": columns,
            **({"lists": [one.name for one in self.lists]} if self.lists else {}),
        }
