"""Names of tables and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.dialect import Name


def parts_of(table: str) -> Name:
    """Return the parts of a table's name.

    :raises IntacctArgumentError: for what is no name.
    """
    parts = tuple(table.split(".")) if isinstance(table, str) else ()
    if not 1 <= len(parts) <= 3 or not all(part.strip() for part in parts):
        raise IntacctArgumentError(
            f"table must be a name such as 'customers' or 'finance.customers', not {table!r}."
        )
    return parts


def matching(name: str, there: Iterable[str]) -> str | None:
    """Return the column that a name means: the same, or the only one that differs in nothing but case."""
    names = list(there)
    if name in names:
        return name
    alike = [one for one in names if one.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def in_sql(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return columns with names as they are easy to write in SQL: underscores for the dots of Intacct's names.

    :raises IntacctArgumentError: if two columns get the same name.
    """
    named = [replace(column, name=sql_name(column.field, column.name)) for column in columns]
    check_names({column.field: column.name for column in named})
    return tuple(named)


def sql_name(field: str, name: str) -> str:
    """Return the name of a field's column, unless it was given one."""
    return name.replace(".", "_") if name == field else name


def check_names(columns: Mapping[str, str]) -> None:
    """Refuse two columns of one name; case does not tell columns apart in most databases.

    :param columns: names by field.
    """
    taken: dict[str, str] = {}
    for field, name in columns.items():
        other = taken.setdefault(name.casefold(), field)
        if other != field:
            raise IntacctArgumentError(
                f"fields: {other!r} and {field!r} would both be column {name!r} of the table. Name one of them "
                f"otherwise: fields={{{field!r}: 'column'}}."
            )
