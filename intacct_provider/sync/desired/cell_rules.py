"""Which rows of a source count, and what the values of its columns stand for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value

#: By column, the values that it has in the rows that count: one, or a list of them. ``""`` is an empty cell.
Where = Mapping[str, Any]
#: By column, the value that each text of a cell stands for; None clears the field.
ValueMaps = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CellRules:
    """Rules for the rows and cells of a source, by the names of its columns.

    :param where: a row counts if each of these columns has this value, or one of these; None for all rows.
    :param value_maps: by column, what a cell's text stands for; other texts stay as they are.
    :param trim: whether spaces around texts are removed.
    :raises IntacctArgumentError: if one of them has another form.
    """

    where: Where | None = None
    value_maps: ValueMaps | None = None
    trim: bool = False
    _wanted: Mapping[str, frozenset[str]] = field(init=False, default_factory=dict)
    _meanings: Mapping[str, Mapping[str, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.where is not None and not isinstance(self.where, Mapping):
            raise IntacctArgumentError(
                f"where must be a mapping of column to value or values, not {show_value(self.where)}"
            )
        maps = {} if self.value_maps is None else self.value_maps
        if not isinstance(maps, Mapping) or not all(isinstance(each, Mapping) for each in maps.values()):
            raise IntacctArgumentError(
                "value_maps must map columns to mappings of text to value, such as "
                f"{{'status': {{'Y': 'active', 'N': 'inactive'}}}}, not {show_value(maps)}"
            )
        wanted = {name: frozenset(map(_get_text, _list_values(v))) for name, v in (self.where or {}).items()}
        meanings = {
            name: {_get_text(text): value for text, value in each.items()} for name, each in maps.items()
        }
        object.__setattr__(self, "_wanted", wanted)
        object.__setattr__(self, "_meanings", meanings)

    @property
    def deciding(self) -> Collection[str]:
        """The columns that say whether a row counts."""
        return self._wanted.keys()

    def wants(self, name: str, cell: Any) -> bool:
        """Return whether rows with this cell in a column count, as far as this column says."""
        return _get_text(cell) in self._wanted.get(name, ())

    def check_names(self, names: Collection[str], source: str) -> None:
        """Reject rules for columns that do not exist.

        :raises IntacctArgumentError: naming the argument, the column and the nearest one that exists.
        """
        for argument, given in (("where", self._wanted), ("value_maps", self._meanings)):
            if missing := next((name for name in given if name not in names), None):
                shown = ", ".join(map(show_value, [name for name in names if name][:20]))
                raise IntacctArgumentError(
                    f"{source}: {argument} names {show_value(missing)}, which does not exist."
                    f"{did_you_mean(str(missing), list(names))} Columns: {shown}"
                )

    def select(self, names: Iterable[str], cells: Iterable[Any]) -> bool:
        """Return whether a row counts."""
        if not self._wanted:
            return True
        row = dict(zip(names, cells, strict=False))
        return all(_get_text(row.get(name)) in values for name, values in self._wanted.items())

    def interpret(self, name: str, cell: Any) -> tuple[Any, bool]:
        """Return the value of a cell, and whether ``value_maps`` gives it."""
        if name in self._meanings and (text := _get_text(cell)) in self._meanings[name]:
            return self._meanings[name][text], True
        return (cell.strip() if self.trim and isinstance(cell, str) else cell), False


def _list_values(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple | set | frozenset) else [value]


def _get_text(value: Any) -> str:
    """Return a value as the text by which cells are compared: 10, 10.0 and ``10`` are one, True is ``true``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and value == value // 1:
        return str(int(value))
    if isinstance(value, dt.date):
        return value.isoformat()
    text = str(value).strip()
    return text.lower() if text.lower() in {"true", "false"} else text
