"""Names of tables and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.dialect import Name


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


def name_for_sql(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return columns with names that are easy to write in SQL: underscores for the dots of Intacct's names.

    :raises IntacctArgumentError: if two columns get the same name.
    """
    named = [structs.replace(column, name=sql_name(column.field, column.name)) for column in columns]
    check_names({column.field: column.name for column in named})
    return tuple(named)


def sql_name(field: str, name: str) -> str:
    """Return the name of a field's column, unless it was given one."""
    return name.replace(".", "_") if name == field else name


def check_names(columns: Mapping[str, str]) -> None:
    """Reject two columns with the same name; most databases ignore case.

    :param columns: names by field.
    """
    taken: dict[str, str] = {}
    for field, name in columns.items():
        other = taken.setdefault(name.casefold(), field)
        if other != field:
            raise IntacctArgumentError(
                f"fields: {other!r} and {field!r} would both be column {name!r} of the table. Give one of them "
                f"another name: fields={{{field!r}: 'column'}}."
            )
