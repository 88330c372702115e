"""Intacct's own templates for imports, as they come: marked rows, and upper-case headers.

The column ``DONOTIMPORT`` says which rows Intacct's import leaves out: those with a ``#``. The rows below the header
that describe the columns are marked so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_MARK_COLUMN = "DONOTIMPORT"
_MARK = "#"
_UPPER_CASE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def find_mark_column(names: Sequence[str]) -> int | None:
    """Return the position of the column that marks rows; None if the table is not an import template."""
    folded = [name.replace("_", "").replace(" ", "").upper() for name in names]
    return folded.index(_MARK_COLUMN) if _MARK_COLUMN in folded else None


def is_marked(cell: Any) -> bool:
    """Return whether a row with this cell in the column ``DONOTIMPORT`` is left out."""
    return isinstance(cell, str) and cell.strip().startswith(_MARK)


def get_field_name(header: str) -> str:
    """Return the field that a header of a template most likely names: ``CREDIT_LIMIT`` is creditLimit."""
    if not _UPPER_CASE.fullmatch(header):
        return header
    first, *others = header.lower().split("_")
    return first + "".join(part.capitalize() for part in others)
