"""The hook of a SQL connection, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from intacct_provider._compat import AirflowException
from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


def sql_hook(sql_conn_id: str) -> DbApiHook:
    """Return the hook of a SQL database.

    :raises IntacctArgumentError: if it is not a SQL connection, or a package that it needs is not installed.
    """
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        raise IntacctArgumentError(
            "sql_conn_id needs apache-airflow-providers-common-sql: pip install "
            "'airflow-provider-intacct[sql]'."
        ) from None
    connection = BaseHook.get_connection(sql_conn_id)
    try:
        hook = connection.get_hook()
    except AirflowException as err:
        raise IntacctArgumentError(
            f"sql_conn_id {sql_conn_id!r} is of type {connection.conn_type!r}, whose provider is not installed "
            f"({err})."
        ) from err
    if not isinstance(hook, DbApiHook):
        raise IntacctArgumentError(
            f"sql_conn_id {sql_conn_id!r} is not a SQL connection (its hook is {type(hook).__name__})."
        )
    return hook
