"""Databases that exports are loaded into, and rows to load: for the tests of SQL."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from uuid import uuid4

import pytest
from mariadb import mariadb
from postgres import cluster

from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.export.facts import Completeness, RunFacts
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.load_log import LoadFacts
from intacct_provider.export.sql.table_load import TableLoad

CONN_ID = "warehouse"
#: Databases that are files.
FILES = ("sqlite", "duckdb")
ENVIRONMENT = "AIRFLOW_CONN_WAREHOUSE"
#: PostgreSQL by psycopg 3, by psycopg 2, and as a database of which nothing but the standard is known; MariaDB by both
#: drivers of Airflow's hook.
POSTGRES, MARIADB = (pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "mysql"))
#: Databases of which more than the standard is known.
KNOWN = ("sqlite", "duckdb", POSTGRES, MARIADB)
KINDS = (
    *KNOWN,
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("psycopg2", "standard", "connector")),
)
KEY = Column("key", "key", "string")
NAME = Column("name", "name", "string")
LIMIT = Column("limit", "creditLimit", "decimal", 2)
COLUMNS = (KEY, NAME, LIMIT)


class Servers:
    """Database servers, each started when it is first needed; close them when the tests are done."""

    def __init__(self):
        self._running = {}
        self._exits = ExitStack()

    def get(self, kind):
        """Return the server for a kind of database; None if it is a file."""
        if kind in FILES:
            return None
        start = mariadb if kind in ("mysql", "connector") else cluster
        if start not in self._running:
            self._running[start] = self._exits.enter_context(start())
        return self._running[start]

    def close(self):
        """Stop them."""
        self._exits.close()


@contextmanager
def database_servers():
    """Give servers for :class:`Database`, and stop them in the end."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.close()


class Database:
    """An empty database, and a connection ``warehouse`` to it.

    :param kind: one of :data:`KINDS`.
    :param servers: the servers, or the one that the kind needs.
    """

    def __init__(self, kind, tmp_path, monkeypatch, servers=None):
        self.kind = kind
        self.sqlite, self.duckdb = kind == "sqlite", kind == "duckdb"
        self.mysql = kind in ("mysql", "connector")
        self._server = servers.get(kind) if isinstance(servers, Servers) else servers
        if kind in FILES:
            self._path = tmp_path / f"{uuid4().hex}.db"
            connection = json.dumps({"conn_type": kind, "host": str(self._path)})
        else:
            self._name = f"d{uuid4().hex}"
            with closing(self._server.connect()) as conn:
                conn.cursor().execute(f"CREATE DATABASE {self._name}")
            extra = {"client": "mysql-connector-python"} if kind == "connector" else {}
            connection = self._server.connection(self._name, **extra)
        self.connection = connection
        monkeypatch.setenv(ENVIRONMENT, connection)

    def connect(self):
        """Return a connection of a reader, which commits each statement."""
        if self.sqlite:
            return sqlite3.connect(self._path, isolation_level=None)
        if self.duckdb:
            import duckdb

            return duckdb.connect(str(self._path))
        return self._server.connect(self._name)

    def run(self, *statements):
        """Execute statements and return the rows of the last one."""
        with closing(self.connect()) as conn:
            cursor = conn.cursor()
            for sql in statements:
                # MySQL reserves the word.
                cursor.execute(re.sub(r'(?<!["\w])key(?!["\w])', '"key"', sql) if self.mysql else sql)
            return list(cursor.fetchall()) if cursor.description else []

    def tables(self):
        """Return the names of all tables that outlive a connection."""
        if self.sqlite:
            return {name for (name,) in self.run("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if self.duckdb:
            return {
                name for (name,) in self.run("SELECT table_name FROM duckdb_tables() WHERE NOT temporary")
            }
        if self.mysql:
            return {name for (name,) in self.run("SHOW TABLES")}
        return {
            name
            for (name,) in self.run(
                "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE relkind IN ('r', 'p') AND relpersistence <> 't' "
                "AND nspname NOT IN ('pg_catalog', 'information_schema')"
            )
        }

    def hook(self):
        """Return the Airflow hook of the database."""
        return hook_of(self.kind)

    def load(self, table="customers", **how):
        """Return a load of a table."""
        return TableLoad(self.hook(), table, **how)


def hook_of(kind):
    """Return the hook of the connection ``warehouse``."""
    from airflow.providers.common.compat.sdk import BaseHook

    if kind == "duckdb":
        from duckdb_provider.hooks.duckdb_hook import DuckDBHook

        return DuckDBHook(duckdb_conn_id=CONN_ID)
    if kind in ("sqlite", "postgres", "mysql", "connector"):
        return BaseHook.get_connection(CONN_ID).get_hook()
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    class OldDriver(PostgresHook):
        """As it is where psycopg 3 is not installed."""

        def get_conn(self):
            import psycopg2

            given = self.connection
            return psycopg2.connect(host=given.host, port=given.port, user=given.login, dbname=given.schema)

    class Standard(PostgresHook):
        """Of a database that this provider does not know."""

        conn_type = "standard"
        dialect_name = "standard"

        @property
        def reserved_words(self):
            return self.get_reserved_words("postgresql")

    return {"psycopg2": OldDriver, "standard": Standard}[kind](postgres_conn_id=CONN_ID)


def page(*rows, columns=COLUMNS):
    """Return a page of rows, given as tuples."""
    form = StructRows([column.field for column in columns])
    return form.convert(
        [dict(zip((column.field for column in columns), row, strict=True)) | {"key": row[0]} for row in rows]
    )


def facts_of(mode="append", **known):
    """Return what a load has read."""
    unknown = {"object": "", "query": {}, "detail": False, "columns": (), "company_id": "", "entity_id": ""}
    unknown |= {"table": "customers", "first_key": None, "last_key": None, "provider_version": ""}
    return LoadFacts(
        **unknown | {"mode": mode} | known,
        completeness=Completeness(result="equal", rows=0, counted=0, control_totals={}),
        run=RunFacts(started_at="", finished_at="", transactions=0),
    )


def loaded(load, *pages, columns=COLUMNS, gone=(), digest="", **facts):
    """See a load through; return what it did, or the entry of an earlier one."""
    with load:
        done = load.begin(columns, digest)
        if done is not None:
            return done
        for one in pages:
            load.write(one)
        if gone:
            load.remove(gone)
        done = load.publish(facts_of(load.mode, **facts))
        return {name: getattr(done, name) for name in counts()}


def counts(rows=0, inserted=0, updated=0, deleted=0):
    """Return what a load reports that it did."""
    return {"rows": rows, "inserted": inserted, "updated": updated, "deleted": deleted}
