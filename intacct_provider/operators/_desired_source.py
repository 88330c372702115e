"""Where the records of a sync or of a bulk job come from: a file, a SQL query, a task or a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, cast

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators._sql_hook import sql_hook
from intacct_provider.operators.base import (
    IntacctOperator,
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


class SqlSourceOperator(IntacctOperator):
    """An operator with a query among its arguments, as text or as the path of a ``.sql`` file.

    :cvar sql_argument: name of that argument.
    """

    template_ext: Sequence[str] = (".sql",)
    sql_argument = "desired_sql"

    def resolve_template_files(self) -> None:
        """Read the file with the query, unless it is a query that ends like the name of a file."""
        setattr(self, self.sql_argument, _mark_sql(getattr(self, self.sql_argument)))
        super().resolve_template_files()

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template; Airflow takes each text that ends in ``.sql`` for the name of a file."""
        return super().render_template(_mark_sql(content), *args, **kwargs)


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
    *,
    argument: str = "desired",
) -> Desired:
    """Return the desired records from the source that is given.

    :param desired: path or URI of a file, the records themselves, or a function that returns either.
    :param sql: query whose rows are the records, run through the connection ``sql_conn_id``.
    :param layout: how the records of the source become records of Intacct.
    :param argument: name of ``desired`` in errors; that of ``sql`` is the same with ``_sql``.
    :raises IntacctArgumentError: if both or neither are given, or if they cannot be read.
    """
    from intacct_provider.sync.desired.sources import read_desired_file, read_desired_records

    if (desired is None) == (sql is None):
        which = "neither is" if desired is None else "both are"
        raise IntacctArgumentError(f"Give either {argument} or {argument}_sql; {which} given.")
    if sql is not None:
        source = f"{argument}_sql"
        if not sql_conn_id:
            raise IntacctArgumentError(f"{source} needs sql_conn_id, the connection to run it with.")
        return read_desired_records(_run_query(source, sql, sql_conn_id), layout, source=source, table=True)
    if callable(desired):
        desired = desired()
    if is_rendered_nothing(desired):
        raise IntacctArgumentError(f"{argument} {describe_rendered_nothing(str(desired))}")
    if is_rendered_list(desired):
        raise IntacctArgumentError(describe_rendered_list(argument))
    if isinstance(desired, str):
        _check_path(argument, desired)
        return read_desired_file(desired, read_file(argument, desired), layout)
    return read_desired_records(cast("Iterable[Mapping[str, Any]]", desired), layout, source=argument)


def _check_path(argument: str, desired: str) -> None:
    """Reject text that is not a path, without repeating it: it may be records."""
    if "\n" in desired.strip() or not _FILE_NAME.search(desired.strip()):
        raise IntacctArgumentError(
            f"{argument} is a text of {len(desired)} characters that is not the path of a file with a format, such as "
            "groups.csv. To give records, give a list of them, such as the output of a task: "
            f"{argument}=upstream.output."
        )


def _run_query(source: str, sql: str, sql_conn_id: str) -> list[dict[str, Any]]:
    hook = sql_hook(sql_conn_id)
    if (count := _count_statements(sql)) != 1:
        raise IntacctArgumentError(
            f"{source} has {count} SQL statements; it must be one query, whose rows are the records. Put "
            "what prepares it into a task of its own, or into the query as a WITH clause."
        )
    rows = hook.run(sql, handler=partial(_name_columns, source))
    return cast("list[dict[str, Any]]", rows)


def _count_statements(sql: str) -> int:
    """Return the number of SQL statements in a text, without comments and empty statements."""
    import sqlparse  # which the SQL provider of Airflow needs too

    bare = (sqlparse.format(statement, strip_comments=True) for statement in sqlparse.split(sql))
    return sum(1 for statement in bare if statement.strip("; \t\r\n"))


def _mark_sql(text: Any) -> Any:
    """Return SQL that ends in ``.sql`` with a space, so that Airflow does not treat it as the name of a file."""
    return f"{text} " if isinstance(text, str) and text.endswith(".sql") and _is_sql_text(text) else text


def _is_sql_text(text: str) -> bool:
    """Return whether a text that ends in ``.sql`` is SQL, such as ``SELECT * FROM finance.sql``, and not a path."""
    return "\n" in text.strip() or _STATEMENT.search(text) is not None


def _name_columns(source: str, cursor: Any) -> list[dict[str, Any]]:
    """Return the rows under the names of their columns."""
    if cursor.description is None:
        raise IntacctArgumentError(f"{source} does not return rows; it must be a query.")
    names = [str(column[0]) for column in cursor.description]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise IntacctArgumentError(f"{source} returns the column {twice!r} twice; rename one of them.")
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
