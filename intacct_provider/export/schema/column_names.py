"""The names that a user gives the columns of an export."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from intacct_provider.exceptions import IntacctArgumentError

Fields = Sequence[str] | Mapping[str, str] | None

#: Neither Intacct nor JSON Lines have these characters in the name of a field.
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f"\\]')


def name_columns(fields: Fields, *, detail: bool) -> dict[str, str] | None:
    """Return the columns by field; None for all fields.

    :raises IntacctArgumentError: if ``fields`` is not a list or mapping of fields, or gives two the same column.
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
        if not isinstance(name, str) or not isinstance(column, str) or not column.strip():
            raise IntacctArgumentError(
                f"fields names the column of {name!r} {column!r}, which is not a name."
            )
        for one in (name, column):
            if _NOT_IN_NAMES.search(one):
                raise IntacctArgumentError(
                    f"fields has the name {one!r}. Names of fields and columns have no line breaks or other control "
                    "characters, no double quotes and no backslashes."
                )
        if column in taken:
            raise IntacctArgumentError(
                f"fields gives {taken[column]!r} and {name!r} the same column, {column!r}."
            )
        taken[column] = name
    return named
