"""Names of tables and columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count

from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.dialect import Dialect, Name

#: Columns that every table of a database has.
_SYSTEM_COLUMNS = {"PostgreSQL": frozenset(("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"))}
_ROOM = 54


def split_table_name(table: str) -> Name:
    """Return the parts of a table's name.

    :raises IntacctArgumentError: if it is not a name.
    """
    parts = tuple(table.split(".")) if isinstance(table, str) else ()
    if not 1 <= len(parts) <= 3 or not all(part.strip() for part in parts):
        raise IntacctArgumentError(
            f"table must be a name such as 'customers' or 'finance.customers', not {table!r}."
        )
    return parts


def find_column(name: str, existing: Iterable[str]) -> str | None:
    """Return the column that a name means: the same one, or the only one that differs in case alone."""
    names = list(existing)
    if name in names:
        return name
    alike = [one for one in names if one.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def name_for_sql(
    columns: Sequence[Column], dialect: Dialect, existing: Collection[str] = ()
) -> tuple[Column, ...]:
    """Return columns with names of their own that are easy to write in SQL: underscores for dots of Intacct's names.

    Where several fields would have the same column (``a.b`` and ``a_b``, or names that differ by case only, which most
    databases ignore), the first in alphabetical order has it and the others get a number: ``accountlabel_2``. A column
    that the table has under just that name stays with its field. Names that the database does not take are shortened.
    None of this depends on the order of the fields. Names that a user gave stay as they are.

    :param existing: columns that the table has.
    :raises IntacctArgumentError: if a user gave two fields the same column, one that every table has, or a name that
        the database does not take.
    """
    names = _choose_names({column.field: column.name for column in columns}, dialect, existing)
    return tuple(structs.replace(column, name=names[column.field]) for column in columns)


def plain_name(field: str) -> str:
    """Return the name of a field's column where nothing else has it."""
    return field.replace(".", "_")


def _choose_names(given: Mapping[str, str], dialect: Dialect, existing: Collection[str]) -> dict[str, str]:
    system = _SYSTEM_COLUMNS.get(dialect.title, frozenset())
    names = {field: name for field, name in given.items() if name != field}
    _check_given(names, system, dialect)
    taken = {name.casefold() for name in (*names.values(), *system)}

    def claim(field: str, name: str) -> None:
        names[field] = name
        taken.add(name.casefold())

    open_fields = sorted(field for field in given if field not in names)
    for field in open_fields:
        name = plain_name(field)
        if name in existing and name not in names.values():
            claim(field, name)
    for field in open_fields:
        name = _fit(plain_name(field), dialect)
        if field not in names and name.casefold() not in taken:
            claim(field, name)
    for field in open_fields:
        if field not in names:
            numbered = (_fit(f"{plain_name(field)}_{number}", dialect) for number in count(2))
            claim(field, next(name for name in numbered if name.casefold() not in taken))
    return names


def _check_given(names: Mapping[str, str], system: Collection[str], dialect: Dialect) -> None:
    """Reject what the database does not accept, and two columns with the same name; most databases ignore case."""
    taken: dict[str, str] = {}
    for field, name in names.items():
        dialect.quote(name)
        other = taken.setdefault(name.casefold(), field)
        if other != field:
            raise IntacctArgumentError(
                f"fields: {other!r} and {field!r} would both be column {name!r} of the table. Give one of them "
                f"another name: fields={{{field!r}: 'column'}}."
            )
        if name in system:
            raise IntacctArgumentError(
                f"fields names the column of {field!r} {name!r}, which every table has for its own use already. Give "
                "it another name."
            )


def _fit(name: str, dialect: Dialect) -> str:
    """Return a name that the database takes: itself, or what is left of it with a digest of all of it."""
    simple = re.sub(r"[^A-Za-z0-9_]", "_", name)
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    candidates = (name, simple, f"c_{simple}", f"{_cut(name)}_{digest}", f"{_cut(simple)}_{digest}")
    return next((one for one in candidates if _is_taken_by(dialect, one)), name)


def _cut(name: str) -> str:
    """Return as much of a name as leaves room for a digest in the shortest of the common limits, 63 bytes."""
    return name.encode()[:_ROOM].decode(errors="ignore")


def _is_taken_by(dialect: Dialect, name: str) -> bool:
    try:
        dialect.quote(name)
    except IntacctArgumentError:
        return False
    return True
