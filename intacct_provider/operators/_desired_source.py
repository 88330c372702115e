"""Where the desired records of a sync come from: a file, a SQL query, a task or a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators._sql_hook import sql_hook
from intacct_provider.storage.files import read_file

if TYPE_CHECKING:
    from intacct_provider.sync.desired.sources import Layout
    from intacct_provider.sync.desired.state import Desired

#: Returns the records when the task runs; takes no arguments.
DesiredFunction = Callable[[], Iterable[Mapping[str, Any]]]


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
    if isinstance(desired, str):
        return read_desired_file(desired, read_file("desired", desired), layout)
    return read_desired_records(cast("Iterable[Mapping[str, Any]]", desired), layout, source="desired")


def _run_query(sql: str, sql_conn_id: str) -> list[dict[str, Any]]:
    rows = sql_hook(sql_conn_id).run(sql, handler=_name_columns)
    return cast("list[dict[str, Any]]", rows)


def _name_columns(cursor: Any) -> list[dict[str, Any]]:
    """Return the rows under the names of their columns."""
    if cursor.description is None:
        raise IntacctArgumentError("desired_sql does not return rows; it must be a query.")
    names = [str(column[0]) for column in cursor.description]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise IntacctArgumentError(f"desired_sql returns the column {twice!r} twice; rename one of them.")
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
