"""The forms that rows of a query can have, and how a response of the query service is decoded into each.

Mappings are easy to use. Structs are fastest: the JSON decoder fills one slot for each field itself, while
mappings would cost an export more than everything else it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from intacct_provider.client.http import codec
from intacct_provider.client.paging.pages import Page, build_page

#: A struct with one member for each field; :meth:`StructRows.values` returns them as a tuple.
RowStruct = Any


class RowFormat(Protocol):
    """A form of rows. Text stays text, numbers with a fraction are decimals, what is missing or null is None.

    Columns that were not asked for are left out; Intacct sends some of its own along.
    """

    def read(self, content: bytes, start: int, size: int) -> Page | None:
        """Decode a response of the query service; None if it is not a page, or reports an error besides its rows.

        :param start: position of the first row asked for.
        :param size: rows asked for.
        """


class MappingRows:
    """Rows as mappings by name.

    :param fields: names, in the order that the rows have.
    :param keyed: whether the query asks for ``key``, which need not be among the fields.
    """

    def __init__(self, fields: Iterable[str], *, keyed: bool = True) -> None:
        self.fields = tuple(fields)
        self._keyed = keyed

    def read(self, content: bytes, start: int, size: int) -> Page | None:
        """Decode a response, as :meth:`RowFormat.read`."""
        try:
            response = codec.decode(content)
        except ValueError:
            return None
        if not isinstance(response, Mapping) or response.get("ia::error") or response.get("error"):
            return None
        found = response.get("ia::result")
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            return None
        rows = [{name: row.get(name) for name in self.fields} for row in found]
        keys = [str(row.get("key")) for row in found] if self._keyed else []
        return build_page(rows, keys, response.get("ia::meta"), start, size)


class StructRows:
    """Rows as structs, decoded once.

    :param fields: names, in the order that the rows have; ``key`` need not be among them, but the query asks for it.
    :param stamp: field whose values pages have as :attr:`Page.stamps`; the query asks for it, too.
    """

    def __init__(self, fields: Iterable[str], *, stamp: str | None = None) -> None:
        self.fields = tuple(fields)
        slots = {name: f"f{n}" for n, name in enumerate(self.fields)}
        self.type = msgspec.defstruct(
            "Row",
            [(slot, Any, None) for slot in slots.values()],
            rename={slot: name for name, slot in slots.items()},
            gc=False,
        )
        self._rows = _build_decoder(self.type)
        self._keys = _build_decoder(_Key)
        self._key_slot = slots.get("key")
        self._read_key = attrgetter(self._key_slot or "f0")
        self._read_stamp = attrgetter(slots.get(stamp or "", "stamp"))
        self._stamps = _build_decoder(_define_stamp(stamp)) if stamp and stamp not in slots else None
        self._stamped = stamp is not None

    def read(self, content: bytes, start: int, size: int) -> Page | None:
        """Decode a response, as :meth:`RowFormat.read`."""
        try:
            response = self._rows.decode(content)
            # The decoder checks the names of members, but accepts null for any of them.
            if response.error or response.errors:
                return None
            if self._key_slot is None:
                keys = [row.key for row in self._keys.decode(content).rows]
            else:
                keys = list(map(self._read_key, response.rows))
            stamps = self._read_stamps(content, response.rows) if self._stamped else []
        except (ValueError, msgspec.DecodeError, RecursionError, ArithmeticError):
            return None
        page = build_page(response.rows, list(map(str, keys)), response.meta, start, size)
        return replace(page, stamps=stamps) if stamps else page

    def _read_stamps(self, content: bytes, rows: Sequence[RowStruct]) -> list[Any]:
        rows = rows if self._stamps is None else self._stamps.decode(content).rows
        return list(map(self._read_stamp, rows))

    def convert(self, rows: Sequence[Mapping[str, Any]]) -> Page:
        """Return mappings, ``key`` among their members, as a page of structs."""
        slots = [(f"f{n}", name) for n, name in enumerate(self.fields)]
        structs = [self.type(**{slot: row.get(name) for slot, name in slots}) for row in rows]
        return Page(structs, keys=[str(row["key"]) for row in rows])

    @staticmethod
    def values(row: RowStruct) -> tuple[Any, ...]:
        """Return the values of a row, in the order of the fields."""
        return msgspec.structs.astuple(row)


class _Key(msgspec.Struct, gc=False):
    key: Any


def _define_stamp(name: str) -> type:
    return msgspec.defstruct("Stamp", [("stamp", Any, None)], rename={"stamp": name}, gc=False)


def _build_decoder(row: type) -> msgspec.json.Decoder[Any]:
    response = msgspec.defstruct(
        "Response",
        [("rows", list[row]), ("meta", Any, None), ("error", Any, None), ("errors", Any, None)],  # type: ignore[valid-type]
        rename={"rows": "ia::result", "meta": "ia::meta", "errors": "ia::error"},
        gc=False,
    )
    return msgspec.json.Decoder(response, float_hook=Decimal)
