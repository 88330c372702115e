"""Where the desired records of a sync come from: a file, a SQL query, a task or a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseHook, ObjectStoragePath

from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from intacct_provider.sync.desired.state import Desired

#: What makes records when the task runs, without arguments.
DesiredFunction = Callable[[], Iterable[Mapping[str, Any]]]


def called(desired: Any) -> Any:
    """Return a function so that it is called when the task runs; all else as it is.

    Airflow calls functions in templated arguments when it renders them, without the task's context, and keeps what
    they return in its database, where records do not belong.
    """
    if not callable(desired):
        return desired

    @wraps(desired)
    def call(**rendering: Any) -> Any:
        return desired if rendering else desired()

    return call


def desired_state(
    desired: str | Iterable[Mapping[str, Any]] | DesiredFunction | None,
    sql: str | None,
    sql_conn_id: str | None,
    **reading: Any,
) -> Desired:
    """Return the desired records from whichever source is given.

    :param desired: path or URI of a file, the records themselves, or a function that returns either.
    :param sql: query whose rows are the records, run through the connection ``sql_conn_id``.
    :param reading: ``match_on``, ``columns``, ``constants`` and ``null_marker``.
    :raises IntacctArgumentError: if both or none are given, or for what cannot be read.
    """
    from intacct_provider.sync.desired.read import desired_of, read_desired

    if (desired is None) == (sql is None):
        which = "neither is" if desired is None else "both are"
        raise IntacctArgumentError(f"Give either desired or desired_sql; {which} given.")
    if sql is not None:
        if not sql_conn_id:
            raise IntacctArgumentError(
                "desired_sql needs sql_conn_id, the connection that it is run through."
            )
        return desired_of(_rows(sql, sql_conn_id), source="desired_sql", table=True, **reading)
    if callable(desired):
        desired = desired()
    if isinstance(desired, str):
        return read_desired(desired, content_of("desired", desired), **reading)
    return desired_of(cast("Iterable[Mapping[str, Any]]", desired), source="desired", **reading)


def content_of(argument: str, path: str) -> bytes:
    """Read a file. What is wrong with the path is told as such; a storage's hiccups may be retried.

    :param argument: what errors call the path.
    :raises IntacctArgumentError: if there is no such file, or it may not be read.
    """
    try:
        with ObjectStoragePath(path).open("rb") as file:
            content: bytes = file.read()
    except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as err:
        raise IntacctArgumentError(
            f"{argument} file {path!r} cannot be read ({type(err).__name__})."
        ) from err
    return content


def _rows(sql: str, sql_conn_id: str) -> list[dict[str, Any]]:
    hook = BaseHook.get_connection(sql_conn_id).get_hook()
    if not hasattr(hook, "run"):
        raise IntacctArgumentError(
            f"sql_conn_id {sql_conn_id!r} is a connection for {type(hook).__name__}, which runs no SQL."
        )
    return cast("list[dict[str, Any]]", cast("DbApiHook", hook).run(sql, handler=_named))


def _named(cursor: Any) -> list[dict[str, Any]]:
    """Return the rows under the names of their columns."""
    if cursor.description is None:
        raise IntacctArgumentError("desired_sql returns no rows; it must be a query.")
    names = [str(column[0]) for column in cursor.description]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise IntacctArgumentError(
            f"desired_sql returns the column {twice!r} twice; name one of them otherwise."
        )
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
