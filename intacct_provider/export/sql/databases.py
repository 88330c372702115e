"""Which dialect a connection's database speaks."""

from __future__ import annotations

import logging
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.sql.dialect import Dialect
from intacct_provider.export.sql.duckdb import DuckDb
from intacct_provider.export.sql.mysql import MySql
from intacct_provider.export.sql.postgres import Postgres
from intacct_provider.export.sql.sqlite import Sqlite

_DIALECTS: dict[str, type[Dialect]] = {
    "postgres": Postgres,
    "postgresql": Postgres,
    "sqlite": Sqlite,
    "mysql": MySql,
    "duckdb": DuckDb,
}
#: Connections whose hooks cannot keep several statements in one transaction.
_WITHOUT_TRANSACTIONS = {"gcpbigquery": "BigQuery"}
_log = logging.getLogger(__name__)


def find_dialect(hook: Any) -> Dialect:
    """Return the dialect of a hook's database.

    :raises IntacctArgumentError: for a database whose connection has no transactions.
    """
    kind = getattr(hook, "conn_type", None)
    if kind in _WITHOUT_TRANSACTIONS:
        raise IntacctArgumentError(
            f"sql_conn_id: a connection to {_WITHOUT_TRANSACTIONS[kind]} has no transactions, so a task that is killed "
            "would leave a part of the rows in the table. Export Parquet files with IntacctToObjectStorageOperator and "
            f"load them with {_WITHOUT_TRANSACTIONS[kind]}'s own operator."
        )
    name = kind if kind in _DIALECTS else getattr(hook, "dialect_name", "")
    found = _DIALECTS.get(name)
    if found is None:
        _log.warning(
            "Loads into a connection of type %r are not tested. Standard SQL is sent, and what the table keeps is read "
            "back before it is published.", kind,
        )  # fmt: skip
    return (found or Dialect)(hook)
