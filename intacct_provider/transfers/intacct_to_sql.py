"""Every row of a query to a table of a SQL database, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, BaseHook

from intacct_provider import __version__
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.base import report_to_outlets
from intacct_provider.operators.export import IntacctExportOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.extractors import OperatorLineage

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.paging.pages import Page
    from intacct_provider.client.paging.proof import Proof
    from intacct_provider.export.completeness.tally import Tally
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.run import Export
    from intacct_provider.export.sql.table_load import TableLoad

_DONE = ("table", "mode", "rows", "inserted", "updated", "deleted", "watermark")


class IntacctToSqlOperator(IntacctExportOperator):
    """Load every row of a query into a table: all rows that existed during the whole read, once, or none.

    Rows go to a temporary table while they are read, one page of them in memory. When they are proven complete, they
    become part of the table in one transaction, so that a reader sees all of the old rows or all of the new, and a task
    that is killed leaves the table as it was. PostgreSQL gets rows by ``COPY``.

    The same transaction writes a line in a table ``intacct_exports`` of the same schema, which is created when there is
    none: what was read, how many rows, and why they are everything. By it, a retry knows that the rows are already
    there, when an earlier try was killed between the database's commit and the task's success. A task with ``append``
    appends nothing either when it is cleared after its success, since nobody could tell the rows from the first ones;
    with ``replace`` and ``merge`` it does its work again.

    With ``incremental`` the table is checked, too: when it does not have what the last export loaded, because it was
    dropped or put back from a backup, everything is read once more. ``append`` adds a row for each change of a record,
    and once more for those within ``lookback``; to have each record once, use ``merge``.

    Amounts are exact: ``numeric`` in PostgreSQL, text in SQLite, which has no exact numbers. Moments are in UTC.

    An ``Asset`` in ``outlets`` is updated with ``table``, ``rows``, ``watermark`` and ``schema``.

    Further arguments are those of :class:`~intacct_provider.operators.export.IntacctExportOperator`. Columns are named
    as ``fields`` names them; a field without a name of its own has underscores for its dots. Needs the extra ``sql``.

    :param sql_conn_id: Airflow connection of the database; PostgreSQL and SQLite are tested, others get standard SQL.
        (templated)
    :param table: name, with its schema if need be: ``finance.customers``. Taken as written, case included. (templated)
    :param mode: ``append``; ``replace``, which deletes all other rows and keeps the table with its grants, indexes,
        views and foreign keys; or ``merge``, which updates rows whose key is there and inserts the others. (templated)
    :param key: field whose values tell rows apart, for ``merge``.
    :param create_table: create the table when there is none. An existing table is never altered, except that
        ``schema_drift="add"`` adds missing columns.
    :param keys_path: file on any object storage beside which ``detect_deletes`` keeps the keys of the table's rows.
        (templated)
    :return: ``table``, ``mode``, ``rows`` (read), ``inserted``, ``updated``, ``deleted``, ``watermark`` (None unless
        incremental) and ``transactions`` (billed).
    """

    template_fields: Sequence[str] = (
        *IntacctExportOperator.template_fields,
        "sql_conn_id",
        "table",
        "mode",
        "keys_path",
    )

    def __init__(
        self,
        *,
        sql_conn_id: str,
        table: str,
        mode: str = "append",
        key: str = "key",
        create_table: bool = True,
        keys_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.mode = mode
        self.key = key
        self.create_table = create_table
        self.keys_path = keys_path
        self._loading: TableLoad | None = None
        self._anew = False
        self._export: Export | None = None
        self._rows = 0

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the rows."""
        with self.client(context) as client:
            return self._load(client, context)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage what was loaded, with its schema and number of rows."""
        from intacct_provider.operators.lineage import facets_on_complete, table_name

        if self._export is None:
            return None
        return facets_on_complete(
            company_id=self._export.client.config.company_id,
            object_name=self.object_name,
            columns=self._export.source.columns,
            rows=self._rows,
            table=table_name(sql_hook(self.sql_conn_id), self.table),
        )

    def _load(self, client: IntacctClient, context: Context) -> dict[str, Any]:
        from intacct_provider.export.sql.load_log import Owner
        from intacct_provider.export.sql.table_load import TableLoad

        self._check_mode()
        load = TableLoad(
            sql_hook(self.sql_conn_id),
            self.table,
            mode=self.mode,
            key=self.key,
            create=self.create_table,
            add_columns=self.schema_drift == "add",
            owner=Owner.of(context),
        )
        with load, ExitStack() as stack:
            self._loading = load
            names = self._names()
            if names is not None:
                load.check(names)
            export = _with_sql_names(self.begin(client, context))
            self.check_schema(export)
            deletions = self._deletions(export)
            if deletions is not None:
                stack.callback(deletions.close)
            line = load.begin(export.source.columns, self._digest(export), again=deletions is not None)
            facts = line.facts if line else self._publish(load, export, deletions)
            if line:
                self.log.info(
                    "%s: an earlier try loaded its %d rows at %s; nothing is read.",
                    self.table, line.row_count, line.finished_at,
                )  # fmt: skip
            if self.key_range is None:
                export.commit(deletions)
        return self._told(context, export, facts)

    @property
    def refreshes(self) -> bool:
        """Whether everything is to be read: because it is asked for, or the table does not have what was loaded."""
        return super().refreshes or self._anew

    def _within_window(self, export: Export) -> Export:
        """Make sure that the table is as the last export left it, before only what changed since is read."""
        load, mark = self._loading, export.state.watermark(self.incremental or "") if export.state else None
        if load is not None and mark is not None and not super().refreshes and not load.reaches(mark):
            if load.exists and self.mode == "append":
                raise IntacctArgumentError(
                    f"table {self.table!r} is not as the last export left it: {load.lines} has no line of this "
                    f"task that reaches {mark}. Put back what was there, or empty the table and give full_refresh=True."
                )
            self.log.warning(
                "%s does not have what was loaded up to %s; everything is read once more.", self.table, mark
            )
            self._anew = True
        return super()._within_window(export)

    def _publish(self, load: TableLoad, export: Export, deletions: Deletions | None) -> dict[str, Any]:
        rows = _Rows(load, export, deletions)
        proof = export.read_into(rows)
        if deletions is not None:
            deletions.settle(rows.tally.rows)
            load.remove(key for page in deletions.pages() for key in page.keys)
        return load.publish(self._facts(export, rows.tally, proof, deletions))

    def _facts(
        self, export: Export, tally: Tally, proof: Proof, deletions: Deletions | None
    ) -> dict[str, Any]:
        config, window = export.client.config, export.window
        return {
            **export.source.facts(),
            "company_id": config.company_id,
            "entity_id": config.entity_id,
            "table": self.table,
            "mode": self.mode,
            "first_key": tally.first_key,
            "last_key": tally.last_key,
            "completeness": proof.facts(),
            "window": window.facts() if window else None,
            "watermark": window.upper if window else None,
            "deletions": deletions.facts() if deletions else None,
            "provider_version": __version__,
            "run": export.run_facts(),
        }

    def _told(self, context: Context, export: Export, facts: dict[str, Any]) -> dict[str, Any]:
        from intacct_provider.export.schema.columns import column_facts
        from intacct_provider.operators.lineage import report_to_hooks

        self._export, self._rows = export, facts["rows"]
        result = {name: facts[name] for name in _DONE} | {"transactions": export.client.transactions}
        self.log.info(
            "%s: %d rows into %s by %s: %d inserted, %d updated, %d deleted.",
            self.object_name, *(result[name] for name in ("rows", "table", "mode", "inserted", "updated", "deleted")),
        )  # fmt: skip
        told = {name: result[name] for name in ("table", "rows", "watermark")}
        report_to_outlets(context, self.outlets, told | {"schema": column_facts(export.source.columns)})
        report_to_hooks(self.hook, company_id=export.client.config.company_id, object_name=self.object_name)
        return result

    def _check_mode(self) -> None:
        """Refuse what cannot go together, before anything is sent."""
        if self.mode == "replace" and self.incremental:
            raise IntacctArgumentError(
                "mode='replace' and incremental do not go together: what did not change would be deleted from the "
                "table. Use mode='merge'."
            )
        if self.mode == "replace" and self.key_range is not None:
            raise IntacctArgumentError(
                "mode='replace' and key_range do not go together: each range would delete the rows of the others. "
                "Use mode='merge', or 'append'."
            )
        if self.detect_deletes is not None and (self.mode != "merge" or not self.keys_path):
            raise IntacctArgumentError(
                "detect_deletes needs mode='merge', and keys_path, a file on an object storage beside which the keys "
                "of the table's rows are kept."
            )

    def _names(self) -> list[str] | None:
        """Return the names of the columns, as far as they are known without a call."""
        from intacct_provider.export.source import ENTITY_COLUMN, named_fields
        from intacct_provider.export.sql.names import check_names, sql_name

        named = named_fields(self.fields, detail=self.detail)
        if named is None:
            return None
        columns = {field: sql_name(field, name) for field, name in named.items()}
        check_names(columns)
        entity = [ENTITY_COLUMN] if self.entities is not None and "entity.id" not in columns else []
        return entity + list(columns.values())

    def _deletions(self, export: Export) -> Deletions | None:
        from intacct_provider.storage.files import parse_destination

        return None if self.keys_path is None else self.deletions(export, parse_destination(self.keys_path))

    def _digest(self, export: Export) -> str:
        """Return what tells the rows of this query from those of another, whatever the window."""
        from intacct_provider.export.sql.load_log import digest_of

        source = replace(export.source, query=export.whole)
        named = {column.name: column.field for column in source.columns}
        return digest_of(source.facts() | {"columns": named, "above": source.above, "upto": source.upto})


class _Rows:
    """The table, as what takes the rows of an export."""

    resumable = False

    def __init__(self, load: TableLoad, export: Export, deletions: Deletions | None) -> None:
        from intacct_provider.export.completeness.tally import Counter, Tally

        self._load, self._deletions = load, deletions
        self._count = Counter(export.source.query.fields, export.source.sums)
        self.tally = Tally()

    def begin(self) -> None:
        """Make ready; rows of an earlier try went with its connection."""
        if self._deletions:
            self._deletions.begin()

    def write(self, page: Page) -> None:
        """Take rows."""
        if self._deletions:
            self._deletions.add(page)
        self._load.write(page)
        self.tally.join(self._count(page))

    def finish(self) -> Tally:
        """Return the facts about all rows."""
        return self.tally

    def discard(self) -> None:
        """Forget all rows."""
        self._load.discard()
        if self._deletions:
            self._deletions.discard()
        self.tally = type(self.tally)()


def sql_hook(sql_conn_id: str) -> DbApiHook:
    """Return the hook of a SQL database.

    :raises IntacctArgumentError: if the connection is none of a SQL database, or what it needs is not installed.
    """
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError:
        raise IntacctArgumentError(
            "Loading into a database needs apache-airflow-providers-common-sql: pip install "
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
            f"sql_conn_id {sql_conn_id!r} is a connection for {type(hook).__name__}, which is for no SQL database."
        )
    return hook


def _with_sql_names(export: Export) -> Export:
    from intacct_provider.export.sql.names import in_sql

    return replace(export, source=replace(export.source, columns=in_sql(export.source.columns)))
