"""Where the desired records of a sync come from: a file, a SQL query, a task or a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators._sql_hook import sql_hook
from intacct_provider.operators.base import (
    describe_rendered_list,
    describe_rendered_nothing,
    is_rendered_list,
    is_rendered_nothing,
)
from intacct_provider.storage.files import read_file

if TYPE_CHECKING:
    from intacct_provider.sync.desired.sources import Layout
    from intacct_provider.sync.desired.state import Desired

#: Returns the records when the task runs; takes no arguments.
DesiredFunction = Callable[[], Iterable[Mapping[str, Any]]]

#: How SQL begins, or what it has somewhere behind a comment or a template.
_STATEMENT = re.compile(
    r"^\s*(--|/\*|\(|(with|values|table|from|exec|execute|call|show|pragma)\s)|\bselect\s", re.IGNORECASE
)

#: The end of a path: a file with a format.
_FILE_NAME = re.compile(r"\.\w{1,8}$")


def defer_call(desired: Any) -> Any:
    """Return a function so that it is called when the task runs; other values as they are.

    Airflow calls functions in templated arguments when it renders them, and stores what they return in its database,
    where records do not belong.
    """
    if not callable(desired):
        return desired

    @wraps(desired)
    def call(**rendering: Any) -> Any:
        return desired if rendering else desired()

    return call


def read_desired_state(
    desired: str | Iterable[Mapping[str, Any]] | DesiredFunction | None,
    sql: str | None,
    sql_conn_id: str | None,
    layout: Layout,
) -> Desired:
    """Return the desired records from the source that is given.

    :param desired: path or URI of a file, the records themselves, or a function that returns either.
    :param sql: query whose rows are the records, run through the connection ``sql_conn_id``.
    :param layout: how the records of the source become records of Intacct.
    :raises IntacctArgumentError: if both or neither are given, or if they cannot be read.
    """
    from intacct_provider.sync.desired.sources import read_desired_file, read_desired_records

    if (desired is None) == (sql is None):
        which = "neither is" if desired is None else "both are"
        raise IntacctArgumentError(f"Give either desired or desired_sql; {which} given.")
    if sql is not None:
        if not sql_conn_id:
            raise IntacctArgumentError("desired_sql needs sql_conn_id, the connection to run it with.")
        return read_desired_records(_run_query(sql, sql_conn_id), layout, source="desired_sql", table=True)
    if callable(desired):
        desired = desired()
    if is_rendered_nothing(desired):
        raise IntacctArgumentError(f"desired {describe_rendered_nothing(str(desired))}")
    if is_rendered_list(desired):
        raise IntacctArgumentError(describe_rendered_list("desired"))
    if isinstance(desired, str):
        _check_path(desired)
        return read_desired_file(desired, read_file("desired", desired), layout)
    return read_desired_records(cast("Iterable[Mapping[str, Any]]", desired), layout, source="desired")


def _check_path(desired: str) -> None:
    """Reject text that is not a path, without repeating it: it may be records."""
    if "\n" in desired.strip() or not _FILE_NAME.search(desired.strip()):
        raise IntacctArgumentError(
            f"desired is a text of {len(desired)} characters that is not the path of a file with a format, such as "
            "groups.csv. To give records, give a list of them, such as the output of a task: desired=upstream.output."
        )


def _run_query(sql: str, sql_conn_id: str) -> list[dict[str, Any]]:
    hook = sql_hook(sql_conn_id)
    if (count := _count_statements(sql)) != 1:
        raise IntacctArgumentError(
            f"desired_sql has {count} SQL statements; it must be one query, whose rows are the desired records. Put "
            "what prepares it into a task of its own, or into the query as a WITH clause."
        )
    rows = hook.run(sql, handler=_name_columns)
    return cast("list[dict[str, Any]]", rows)


def _count_statements(sql: str) -> int:
    """Return the number of SQL statements in a text, without comments and empty statements."""
    import sqlparse  # which the SQL provider of Airflow needs too

    bare = (sqlparse.format(statement, strip_comments=True) for statement in sqlparse.split(sql))
    return sum(1 for statement in bare if statement.strip("; \t\r\n"))


def is_sql_text(text: Any) -> bool:
    """Return whether a text that ends in ``.sql`` is SQL, such as ``SELECT * FROM finance.sql``, and not a path."""
    return isinstance(text, str) and ("\n" in text.strip() or _STATEMENT.search(text) is not None)


def _name_columns(cursor: Any) -> list[dict[str, Any]]:
    """Return the rows under the names of their columns."""
    if cursor.description is None:
        raise IntacctArgumentError("desired_sql does not return rows; it must be a query.")
    names = [str(column[0]) for column in cursor.description]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise IntacctArgumentError(f"desired_sql returns the column {twice!r} twice; rename one of them.")
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
