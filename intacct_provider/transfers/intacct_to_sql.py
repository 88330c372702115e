"""Loads every row of a query into a table of a SQL database, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators._sql_hook import sql_hook
from intacct_provider.operators.export import IntacctExportOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath

    from intacct_provider.client import IntacctClient
    from intacct_provider.export.run import Export
    from intacct_provider.export.schema.columns import Column
    from intacct_provider.export.sql.load_log import LoadFacts
    from intacct_provider.export.sql.sink import TableSink
    from intacct_provider.export.sql.table_load import TableLoad

_RETURNED = ("table", "mode", "rows", "inserted", "updated", "deleted", "watermark")


class IntacctToSqlOperator(IntacctExportOperator):
    """Load every row of a query into a table: all rows that existed during the whole read, once, or none.

    Rows go to a temporary table while they are read, one page of them in memory. When they are proven complete, they
    become part of the table in one transaction, so that a reader sees all of the old rows or all of the new, and a task
    that is killed leaves the table as it was. PostgreSQL gets rows by ``COPY``.

    The same transaction writes an entry to the table ``intacct_exports`` of the same schema, which it creates if need
    be: what was read, how many rows, and what proves them complete. By it, a retry knows that the rows are already
    loaded, if an earlier attempt was killed between the database's commit and the task's success. A task with
    ``append`` that is cleared after its success does not append again, since its rows could not be distinguished from
    the first ones; with ``replace`` and ``merge`` it loads again.

    With ``incremental`` the table is checked, too: if it does not have what the last export loaded, because it was
    dropped or restored from a backup, everything is read again. ``append`` adds a row for each change of a record, and
    once more for those within ``lookback``; to have each record once, use ``merge``.

    What the table keeps is what Intacct sent: a value that a column would change fails the task, which names column
    and key, and the table stays as it was. In tables that are created, amounts are ``numeric``, or text in SQLite,
    which has no exact numbers. Timestamps are in UTC.

    An ``Asset`` in ``outlets`` is updated with ``table``, ``rows``, ``watermark`` and ``schema``.

    Further arguments are those of :class:`~intacct_provider.operators.export.IntacctExportOperator`. Columns are named
    as ``fields`` names them; a field without a name of its own has underscores for its dots. Needs the extra ``sql``.

    :param sql_conn_id: Airflow connection of the database; PostgreSQL, MariaDB, SQLite and DuckDB are tested, others
        get standard SQL. (templated)
    :param table: name, with its schema if need be: ``finance.customers``. Used as written, case included. (templated)
    :param mode: ``append``; ``replace``, which deletes all other rows and keeps the table with its grants, indexes,
        views and foreign keys; or ``merge``, which updates rows whose key exists and inserts the others. (templated)
    :param key: field that identifies a row, for ``merge``.
    :param create_table: create the table if it does not exist. An existing table is never altered, except that
        ``schema_drift="add"`` adds missing columns.
    :param keys_path: file on any object storage beside which ``detect_deletes`` keeps the keys of the table's rows.
        (templated)
    :return: ``table``, ``mode``, ``rows`` (read), ``inserted``, ``updated``, ``deleted``, ``watermark`` (None unless
        incremental) and ``transactions`` (billed); with ``lists="tables"`` also ``lists``: ``table`` and ``rows`` of
        each.
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the rows."""
        with self.client(context) as client:
            self._check_mode()
            with self._open_load(context) as load:
                export = self._plan_export(client, context, load)
                with export:
                    facts = export.run(self._sink(load, export))
            transactions = client.transactions
        self._report_load(context, facts)
        result = {name: getattr(facts, name) for name in _RETURNED} | {"transactions": transactions}
        if facts.lists:
            result["lists"] = {one.name: {"table": one.table, "rows": one.rows} for one in facts.lists}
        return result

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Report to OpenLineage what was loaded, with its schema and number of rows."""
        from intacct_provider.operators.lineage import facets_on_complete, table_name

        if self._lineage is None:
            return None
        return facets_on_complete(
            replace(self._lineage, table=table_name(sql_hook(self.sql_conn_id), self.table))
        )

    def _open_load(self, context: Context) -> TableLoad:
        from intacct_provider.export.sql.load_log import Owner
        from intacct_provider.export.sql.table_load import TableLoad

        return TableLoad(
            sql_hook(self.sql_conn_id),
            self.table,
            mode=self.mode,
            key=self.key,
            create=self.create_table,
            add_columns=self.schema_drift == "add",
            deletes=self.detect_deletes is not None,
            lists=self.lists == "tables",
            owner=Owner.from_context(context),
        )

    def _plan_export(self, client: IntacctClient, context: Context, load: TableLoad) -> Export:
        """Return the export: what changed since the last one, with the columns checked and deletions to be found."""
        self._check_key_mask()
        keys_path = self._parse_keys_path()
        names = self._known_columns(load)
        if names is not None:
            load.check(names)
        load.check_hashes(load.name_columns(self._hashed_columns()))
        export = self.prepare(client, context)
        full_refresh = self.wants_full_refresh or self._lost_rows(load, export)
        columns = self._name_columns(export, load)
        if self.mode == "merge" and (
            self.reads_all_again(export) or self._has_new_columns(load, export, columns)
        ):
            full_refresh = True
        export = self.narrow(export, full_refresh=full_refresh)
        export = replace(export, source=replace(export.source, columns=columns))
        self.check_schema(export)
        if keys_path is None:
            return export
        return replace(export, deletions=self.find_deletions(export, keys_path, full_refresh=full_refresh))

    def _name_columns(self, export: Export, load: TableLoad) -> tuple[Column, ...]:
        """Return the columns as the table has them, and log those whose names nobody would expect."""
        from intacct_provider.export.sql.names import plain_name

        columns = load.name_columns(export.source.columns)
        for column, before in zip(columns, export.source.columns, strict=True):
            if column.name not in (before.name, plain_name(column.field)):
                self.log.info("%s: field %r is column %r.", self.table, column.field, column.name)
        return columns

    def _has_new_columns(self, load: TableLoad, export: Export, columns: Sequence[Column]) -> bool:
        """Whether rows of unchanged records have no values in some columns, so that these have to come again."""
        from intacct_provider.export.schema.drift import compare

        remembered = export.state.columns if export.state else None
        if not remembered or not load.exists:
            return False
        named = replace(export.source, columns=tuple(columns)).all_columns
        new = {*compare(remembered, named).added, *load.find_lacking([column.name for column in columns])}
        if new:
            self.log.warning(
                "%s: columns %s are new in the table; everything is read again.",
                self.table,
                ", ".join(sorted(new)),
            )
        return bool(new)

    def _lost_rows(self, load: TableLoad, export: Export) -> bool:
        """Whether the table does not have what the last export left, so that everything is read again.

        :raises IntacctArgumentError: if it has other rows, to which everything would be appended.
        """
        from intacct_provider.export.sql.list_load import list_table

        mark = export.state.watermark(self.incremental or "") if export.state else None
        if mark is None or self.wants_full_refresh:
            return False
        missing = load.find_missing([list_table(self.table, one.name) for one in export.source.lists])
        if load.reaches(mark) and not missing:
            return False
        if load.exists and self.mode == "append":
            raise IntacctArgumentError(
                f"table {self.table!r} does not match what the last export left: {load.log_table} has no entry of this "
                f"task that reaches {mark}. Restore the table, or empty it and give full_refresh=True."
            )
        what = ", ".join(missing) or self.table
        self.log.warning("%s: what was loaded up to %s is missing; everything is read again.", what, mark)
        return True

    def _check_key_mask(self) -> None:
        """Reject a hidden key of ``merge``: rows that are in the table already would not be found by it."""
        from intacct_provider.export.schema.column_names import name_columns
        from intacct_provider.export.schema.masks import parse_masks
        from intacct_provider.export.sql.names import plain_name

        named = name_columns(self.fields, detail=self.detail) or {}
        for field in parse_masks(self.mask) if self.mode == "merge" else ():
            if self.key in (field, named.get(field), plain_name(field)):
                raise IntacctArgumentError(
                    f"mask hides {field!r}, by which mode='merge' finds the rows of the table. Merge by 'key'."
                )

    def _hashed_columns(self) -> list[Column]:
        """Return the columns of hashes, whose names are known without a call; those of lists are in other tables."""
        from intacct_provider.export.schema.column_names import name_columns
        from intacct_provider.export.schema.columns import Column
        from intacct_provider.export.schema.masks import SHA256, parse_masks

        named = name_columns(self.fields, detail=self.detail) or {}
        hashed = [field for field, how in parse_masks(self.mask).items() if how == SHA256]
        return [Column(named.get(field, field), field, "string", mask=SHA256) for field in hashed]

    def _parse_keys_path(self) -> ObjectStoragePath | None:
        from intacct_provider.storage.files import check_place
        from intacct_provider.storage.places import parse_destination

        if self.keys_path is None:
            return None
        path = parse_destination(self.keys_path, "keys_path")
        if self.detect_deletes is not None:
            check_place(path)
        return path

    def _sink(self, load: TableLoad, export: Export) -> TableSink:
        from intacct_provider.export.sql.sink import TableSink

        return TableSink(load, export.source, export.whole, again=export.deletions is not None)

    def _report_load(self, context: Context, facts: LoadFacts) -> None:
        from intacct_provider.operators.lineage import ExportLineage

        self.log.info(
            "%s: %d rows into %s by %s: %d inserted, %d updated, %d deleted.",
            self.object_name, facts.rows, facts.table, facts.mode, facts.inserted, facts.updated, facts.deleted,
        )  # fmt: skip
        lineage = ExportLineage(facts.company_id, self.object_name, facts.columns, facts.rows)
        extra = {"table": facts.table, "rows": facts.rows, "watermark": facts.watermark}
        if facts.lists:
            extra["lists"] = {one.name: one.table for one in facts.lists}
        self.report(context, lineage, extra)

    def _check_mode(self) -> None:
        """Reject arguments that exclude each other, before anything is sent."""
        if self.mode == "replace" and self.incremental:
            raise IntacctArgumentError(
                "mode='replace' and incremental do not go together: records that did not change would be deleted from "
                "the table. Use mode='merge'."
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

    def _known_columns(self, load: TableLoad) -> list[str] | None:
        """Return the names of the columns, if they are known without a call."""
        from intacct_provider.export.entities import with_entity
        from intacct_provider.export.schema.column_names import name_columns
        from intacct_provider.export.schema.columns import query_columns
        from intacct_provider.export.schema.masks import DROP, expand_groups, parse_masks

        named = name_columns(self.fields, detail=self.detail)
        if named is None or self.lists == "tables":  # which of the fields are lists is not known yet
            return None
        if self.entities is not None:
            named = with_entity(named)
        masks = expand_groups(parse_masks(self.mask), named)
        columns = query_columns({f: name for f, name in named.items() if masks.get(f) != DROP}, {})
        return [column.name for column in load.name_columns(columns)]
