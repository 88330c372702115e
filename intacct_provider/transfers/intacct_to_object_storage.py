"""Exports every row of a query to files on object storage, with a manifest that proves them complete."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from intacct_provider.links import ManifestLink, show_file
from intacct_provider.operators.base import name_task
from intacct_provider.operators.export import IntacctExportOperator
from intacct_provider.operators.export_base import find_holder

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from intacct_provider.client import IntacctClient
    from intacct_provider.export.files.options import FileOptions
    from intacct_provider.export.files.sink import FilesSink, PublishedFiles
    from intacct_provider.export.run import Export
    from intacct_provider.export.schema.columns import Column
    from intacct_provider.export.schema.lists import ListTable
    from intacct_provider.storage.claims import Claim


class IntacctToObjectStorageOperator(IntacctExportOperator):
    """Write every row of a query to files: all rows that existed during the whole read, once, or none.

    Pages are read ahead, as many at a time as the connection's ``max_concurrency`` allows, and written in order of key,
    so memory does not grow with the number of rows. Files are written under hidden names, and get their own when all of
    them are proven complete; then comes the manifest, named like ``destination`` with ``.manifest.json`` added: query,
    columns, parts with SHA-256, and why they are everything. Files without a manifest are not to be trusted.

    When the task fails and Airflow retries it, it continues after the last part that was written whole, and the files
    are those of an undisturbed run. Running a task again that succeeded replaces files and manifest; until then the
    older ones stay.

    An ``Asset`` in ``outlets`` is updated with ``path``, ``manifest``, ``rows``, ``watermark`` and ``schema``.

    Further arguments are those of :class:`~intacct_provider.operators.export.IntacctExportOperator`.

    :param destination: path or URI of the file, such as ``s3://aws_default@bucket/groups/2026-11-21.csv``. With several
        parts their numbers go before the suffix: ``2026-11-21-00001.csv``. (templated)
    :param file_format: ``jsonl``, ``csv`` or ``parquet``, which needs the extra ``parquet``. By default what the name
        of ``destination`` says, and ``jsonl`` if it says nothing; an argument that contradicts the name is refused,
        here and below. (templated)
    :param compression: ``gzip`` or ``zstd``; by default what the name says (``.gz``, ``.zst``), and zstd inside of
        Parquet files. (templated)
    :param rows_per_part: rows of a part at most; by default there is one part.
    :param bytes_per_part: a part ends with the row that brings it to this many bytes, before compression.
    :param csv_safe: put an apostrophe before CSV cells that a spreadsheet would run as a formula.
    :param delimiter: between the cells of CSV files: ``;``, a tab, ``|``, ``^`` or ``~``; by default a comma, and a tab
        in ``.tsv``.
    :param bom: begin CSV files with a byte order mark, so that Excel reads them as UTF-8.
    :return: ``path``, ``manifest``, ``parts`` (how many), ``rows``, ``bytes``, ``sha256`` (that of the
        manifest), ``watermark`` (None unless incremental), ``deleted`` (None unless detected) and ``transactions``
        (billed); with
        ``lists="tables"`` also ``lists``: ``path`` and ``rows`` of each.
    """

    template_fields: Sequence[str] = (
        *IntacctExportOperator.template_fields,
        "destination",
        "file_format",
        "compression",
    )
    operator_extra_links = (ManifestLink(),)

    def __init__(
        self,
        *,
        destination: str,
        file_format: str | None = None,
        compression: str | None = None,
        rows_per_part: int | None = None,
        bytes_per_part: int | None = None,
        csv_safe: bool = False,
        delimiter: str | None = None,
        bom: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.file_format = file_format
        self.compression = compression
        self.rows_per_part = rows_per_part
        self.bytes_per_part = bytes_per_part
        self.csv_safe = csv_safe
        self.delimiter = delimiter
        self.bom = bom

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the rows."""
        with self.client(context) as client:
            target, options = self._check_files()
            with self.claim(self._find_published(target, context), context) as claim:
                export = self._plan_export(client, context, target, options, claim)
                with export, self._open_sink(target, export, options, context, claim) as sink:
                    files = export.run(sink)
        result = self._result(files)
        if self.key_range is None:
            self._report_files(context, files)
            show_file(self, context, "manifest", files.path, files.sha256)
        self.log.info(
            "%s: %d rows, %d bytes, in %s.", self.object_name, result["rows"], result["bytes"], result["path"]
        )
        return result

    def _check_files(self) -> tuple[ObjectStoragePath, FileOptions]:
        """Return where the files go and how they are written, checked before anything is paid for."""
        from intacct_provider.export.files.destination import check_destination
        from intacct_provider.export.files.options import FileOptions
        from intacct_provider.storage.places import parse_destination

        target = parse_destination(self.destination)
        options = FileOptions.for_file(
            target.name,
            file_format=self.file_format,
            compression=self.compression,
            delimiter=self.delimiter,
            csv_safe=self.csv_safe,
            rows_per_part=self.rows_per_part,
            bytes_per_part=self.bytes_per_part,
            bom=self.bom,
        )
        check_destination(target, keys=self.detect_deletes is not None, lists=self.lists == "tables")
        return target, options

    def _find_published(self, target: ObjectStoragePath, context: Context) -> ObjectStoragePath:
        """Return what the task publishes: the destination, or what it leaves to the task that commits all ranges."""
        from intacct_provider.export.key_range import KeyRange
        from intacct_provider.export.ranges.sink import range_manifest_path

        if self.key_range is None:
            return target
        return range_manifest_path(target, KeyRange.parse(self.key_range).number, find_holder(context))

    def _exports_here(self, context: Context, index: int, path: str) -> bool:
        """Whether the mapped task of an index has exported to a path and was not cleared since, as its XCom says."""
        pull = getattr(context["ti"], "xcom_pull", None)
        if pull is None or not self.do_xcom_push:
            return True
        exported = pull(task_ids=self.task_id, map_indexes=index)
        return isinstance(exported, Mapping) and exported.get("path") == path

    def _plan_export(
        self,
        client: IntacctClient,
        context: Context,
        target: ObjectStoragePath,
        options: FileOptions,
        claim: Claim,
    ) -> Export:
        """Return the export: what changed since the last one, with the columns checked and deletions to be found."""
        from intacct_provider.export.files.destination import read_replaced

        full_refresh = self.wants_full_refresh
        holder = claim.holder if self.key_range is None else None
        replaced = read_replaced(target, holder, partial(self._exports_here, context))
        self._check_names(target, options)
        export = self.prepare(client, context, typed=options.file_format == "parquet")
        if export.source.lists:
            self._check_names(target, options, export.source.lists)
        self._warn_of_alike(export.source.columns)
        full_refresh = full_refresh or self.reads_all_again(export)
        export = self.narrow(export, full_refresh=full_refresh)
        drift = self.check_schema(export, replaced.all_columns if replaced else None)
        deletions = self.find_deletions(export, target, full_refresh=full_refresh)
        return replace(export, drift=drift, deletions=deletions)

    def _check_names(
        self, target: ObjectStoragePath, options: FileOptions, lists: Sequence[ListTable] = ()
    ) -> None:
        """Make sure that the files can have their names, as far as these are known."""
        from intacct_provider.export.files.destination import check_files
        from intacct_provider.export.files.list_parts import list_target
        from intacct_provider.export.files.tombstones import tombstone_target
        from intacct_provider.export.key_range import KeyRange

        files = [target, *(list_target(target, one.name) for one in lists)]
        single = [] if self.detect_deletes is None else [tombstone_target(target)]
        label = "" if self.key_range is None else KeyRange.parse(self.key_range).label
        if options.in_parts or label:
            check_files(target, single, files, label)
        else:
            check_files(target, [*files, *single])

    def _warn_of_alike(self, columns: Sequence[Column]) -> None:
        from intacct_provider.export.schema.columns import find_alike

        for pair in find_alike(columns):
            self.log.warning(
                "%s: columns %r and %r differ by case only, which Spark, DuckDB and others take for the same. Give one "
                "of them another name by fields={'field': 'column'}.",
                self.object_name, *pair,
            )  # fmt: skip

    def _open_sink(
        self,
        target: ObjectStoragePath,
        export: Export,
        options: FileOptions,
        context: Context,
        claim: Claim,
    ) -> FilesSink:
        from intacct_provider.export.files.sink import FilesSink
        from intacct_provider.export.files.staging import Attempt
        from intacct_provider.export.key_range import KeyRange
        from intacct_provider.export.ranges.sink import RangeSink

        task = context.get("ti")
        attempt = Attempt(
            # Not for a task after a person has cleared it; and outside of one, each export is on its own.
            owner=name_task(context, cleared=True) or uuid.uuid4().hex,
            number=getattr(task, "try_number", 1),
            last=task is None or task.try_number > task.max_tries,
        )
        if self.key_range is None:
            return FilesSink(target, export.source, options, attempt, claim=claim, proof=export.lists)
        key_range = KeyRange.parse(self.key_range)
        return RangeSink(target, export.source, options, attempt, key_range, claim=claim, proof=export.lists)

    def _result(self, files: PublishedFiles) -> dict[str, Any]:
        manifest = files.manifest
        result = {
            "path": manifest.path,
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "sha256": manifest.sha256,
            "parts": len(manifest.parts),
            "watermark": manifest.window.upper if manifest.window else None,
            "deleted": manifest.deletions.rows if manifest.deletions else None,
            "transactions": manifest.run.transactions,
            "manifest": files.path,
        }
        if manifest.lists:
            result["lists"] = {one.name: {"path": one.path, "rows": one.rows} for one in manifest.lists}
        return result if self.key_range is None else {**result, "manifest_sha256": files.sha256}

    def _report_files(self, context: Context, files: PublishedFiles) -> None:
        from intacct_provider.operators.lineage import ExportLineage

        manifest = files.manifest
        extra = {
            "path": manifest.path,
            "rows": manifest.rows,
            "watermark": manifest.window.upper if manifest.window else None,
            "manifest": files.path,
        }
        if manifest.lists:
            extra["lists"] = {one.name: one.path for one in manifest.lists}
        self.report(context, ExportLineage.from_manifest(manifest), extra)
