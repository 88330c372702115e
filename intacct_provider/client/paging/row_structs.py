"""Rows of a query as fast as they can be had: one slot for each field, in the order asked for.

Rows as mappings cost more than all the rest of an export. These are structs that the JSON decoder fills itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from intacct_provider.client.paging.pages import whole_number

#: A struct with one member for each field; :meth:`RowForm.values` gives them as a tuple.
RowStruct = Any


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows, in the order of their keys, and the keys beside them.

    :param keys: one for each row, as Intacct sent it.
    :param rows: structs of one :class:`RowForm`.
    """

    keys: list[str]
    rows: list[RowStruct]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int | None = None) -> RowPage:
        """Return some of the rows, by position."""
        return RowPage(self.keys[start:stop], self.rows[start:stop])


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the query service, as it is.

    :param total_count: records that the query matched when this page was made, or None if untold.
    :param page_size: rows that the server says a page has, or None if untold.
    """

    page: RowPage
    total_count: int | None
    page_size: int | None


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page of a query, before anything was made of it.

    :param total_count: records that the query matched when this page was made, or None if untold.
    :param page_size: rows that the server says a page has; those asked for, if untold.
    :param moment: when the server answered, by its own clock, as Intacct writes moments; None if untold.
    """

    page: RowPage
    total_count: int | None
    page_size: int
    moment: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What Intacct itself counts and adds up.

    :param count: records.
    :param sums: exact, by field; zero where there is nothing to add.
    """

    count: int
    sums: dict[str, Decimal] = field(default_factory=dict)


class RowForm:
    """The form of the rows of one query.

    Text stays text, numbers with a fraction are :class:`decimal.Decimal`, what is missing or null is None. Columns that
    were not asked for are left out (Intacct lets some of its own leak in).

    :param fields: names, as a query has them; ``key`` need not be among them.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        slots = {name: f"f{n}" for n, name in enumerate(self.fields)}
        self.type = msgspec.defstruct(
            "Row",
            [(slot, Any, None) for slot in slots.values()],
            rename={slot: name for name, slot in slots.items()},
            gc=False,
        )
        self._rows = _decoder(self.type)
        self._keys = _decoder(_Key)
        self._key_slot = slots.get("key")
        self._key_of = attrgetter(self._key_slot or "f0")

    def read(self, content: bytes) -> Answer | None:
        """Decode an answer of the query service; None if it is none, or reports an error beside its rows."""
        try:
            answer = self._rows.decode(content)
            # Names of members are checked by the decoder, which lets a null pass for any of them.
            if answer.error or answer.errors:
                return None
            if self._key_slot is None:
                keys = [row.key for row in self._keys.decode(content).rows]
            else:
                keys = list(map(self._key_of, answer.rows))
        except (ValueError, RecursionError, ArithmeticError):
            return None
        meta = answer.meta if isinstance(answer.meta, dict) else {}
        page = RowPage(list(map(str, keys)), answer.rows)
        return Answer(page, whole_number(meta.get("totalCount")), whole_number(meta.get("pageSize")))

    def page_of(self, rows: Sequence[dict[str, Any]]) -> RowPage:
        """Return rows that come as mappings, ``key`` among their members, in this form."""
        slots = [(f"f{n}", name) for n, name in enumerate(self.fields)]
        made = [self.type(**{slot: row.get(name) for slot, name in slots}) for row in rows]
        return RowPage([str(row["key"]) for row in rows], made)

    @staticmethod
    def values(row: RowStruct) -> tuple[Any, ...]:
        """Return the values of a row, in the order of the fields."""
        return msgspec.structs.astuple(row)


class _Key(msgspec.Struct, gc=False):
    key: Any


def _decoder(row: type) -> msgspec.json.Decoder[Any]:
    answer = msgspec.defstruct(
        "Answer",
        [("rows", list[row]), ("meta", Any, None), ("error", Any, None), ("errors", Any, None)],  # type: ignore[valid-type]
        rename={"rows": "ia::result", "meta": "ia::meta", "errors": "ia::error"},
        gc=False,
    )
    return msgspec.json.Decoder(answer, float_hook=Decimal)
