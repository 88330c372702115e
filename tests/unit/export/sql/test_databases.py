"""Databases that no test can reach: what is refused, warned of, and sent."""

import re

import pytest
import sqlglot
from sql_tables import COLUMNS, facts_of, page

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.sql import load_log
from intacct_provider.export.sql.load_log import Owner
from intacct_provider.export.sql.open_table import MODES
from intacct_provider.export.sql.table_load import TableLoad


class Recorder:
    """A hook, its connection and its cursor: keeps the statements, and reads back what was sent.

    :param columns: of the table; None if it does not exist.
    """

    supports_autocommit = False
    placeholder = "%s"

    def __init__(self, conn_type, columns=None):
        self.conn_type, self.columns = conn_type, columns
        self.statements, self.sent = [], []
        self.description, self.rowcount, self.connection = None, 2, self

    def get_conn(self):
        return self

    def cursor(self):
        return self

    def close(self):
        pass

    commit = rollback = close

    def execute(self, sql, parameters=()):
        self.statements.append(sql)
        self.description = None
        if re.match(r"SELECT \* FROM (customers|intacct_exports) WHERE", sql):
            if self.columns is None:
                raise LookupError("does not exist")
            names = self.columns if "customers" in sql else [column.name for column in load_log._COLUMNS]
            self.description = [(name,) for name in names]

    def executemany(self, sql, rows):
        self.statements.append(sql)
        self.sent = list(rows)

    def fetchone(self):
        return (2, 2) if "count(*)" in self.statements[-1] else None

    def fetchall(self):
        (name,) = re.findall(r"SELECT (\w+) AS kept", self.statements[-1]) or [""]
        at = [column.name for column in COLUMNS].index(name) if name else None
        return [] if at is None else [(row[at],) for row in self.sent]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("columns", [None, ("key", "name", "limit")])
def test_the_grammar_of_snowflake_accepts_what_is_sent(mode, columns):
    hook = Recorder("snowflake", columns)
    with TableLoad(hook, "customers", mode=mode, owner=Owner("dag", "run", "task")) as load:
        load.begin(COLUMNS)
        load.write(page(("1", "Ann", "10.50"), ("2", "Bob", None)))
        if mode == "merge":
            load.remove(["9"])
        load.publish(facts_of())
    assert len(hook.statements) > 8
    for sql in hook.statements:
        text = sql.replace("%s", "NULL")
        (parsed,) = sqlglot.parse(text, dialect="snowflake", error_level=sqlglot.ErrorLevel.RAISE)
        assert type(parsed).__name__ in (
            "Create",
            "Alter",
            "Insert",
            "Select",
            "Merge",
            "Delete",
            "Update",
        ), sql


def test_a_database_that_is_not_tested_is_warned_of(caplog):
    TableLoad(Recorder("snowflake"), "customers")
    assert "Loads into a connection of type 'snowflake' are not tested" in caplog.text


def test_bigquery_is_refused_since_its_connection_has_no_transactions():
    with pytest.raises(IntacctArgumentError, match=r"BigQuery has no transactions.*Export Parquet files"):
        TableLoad(Recorder("gcpbigquery"), "customers")
