"""Every row of a query to files on object storage, with a manifest that proves them whole."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.operators.base import name_task, report_to_outlets
from intacct_provider.operators.export import IntacctExportOperator, is_final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from intacct_provider.client import IntacctClient
    from intacct_provider.export.files.sink import Delivery
    from intacct_provider.export.run import Export


class IntacctToObjectStorageOperator(IntacctExportOperator):
    """Write every row of a query to files: all rows that existed during the whole read, once, or none.

    Pages are read ahead, as many at a time as the connection's ``max_concurrency`` allows, and written in order of key,
    so memory does not grow with the number of rows. Files are written under hidden names, and get their own when all of
    them are proven complete; then comes the manifest, named like ``destination`` with ``.manifest.json`` added: query,
    columns, parts with SHA-256, and why they are everything. Files without a manifest are not to be trusted.

    When the task fails and Airflow tries again, it continues after the last part that was written whole, and the files
    are those of an undisturbed run. Running a task again that succeeded replaces files and manifest; until then the
    older ones stay.

    An ``Asset`` in ``outlets`` is updated with ``path``, ``manifest``, ``rows``, ``watermark`` and ``schema``.

    Further arguments are those of :class:`~intacct_provider.operators.export.IntacctExportOperator`.

    :param destination: path or URI of the file, such as ``s3://aws_default@bucket/groups/2026-11-21.csv``. With several
        parts their numbers go before the suffix: ``2026-11-21-00001.csv``. (templated)
    :param file_format: ``jsonl``, ``csv`` or ``parquet``, which needs the extra ``parquet``. (templated)
    :param compression: ``gzip`` or ``zstd``; None for none, except in Parquet files, which then have zstd. (templated)
    :param rows_per_part: rows of a part at most; by default there is one part.
    :param bytes_per_part: a part ends with the row that brings it to so many bytes, before compression.
    :param csv_safe: put an apostrophe before CSV cells that a spreadsheet would run as a formula.
    :return: ``path``, ``manifest``, ``parts`` (how many), ``rows``, ``bytes``, ``sha256`` (None for several parts),
        ``watermark`` (None unless incremental), ``deleted`` (None unless detected) and ``transactions`` (billed).
    """

    template_fields: Sequence[str] = (
        *IntacctExportOperator.template_fields,
        "destination",
        "file_format",
        "compression",
    )

    def __init__(
        self,
        *,
        destination: str,
        file_format: str = "jsonl",
        compression: str | None = None,
        rows_per_part: int | None = None,
        bytes_per_part: int | None = None,
        csv_safe: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.file_format = file_format
        self.compression = compression
        self.rows_per_part = rows_per_part
        self.bytes_per_part = bytes_per_part
        self.csv_safe = csv_safe
        self._done: dict[str, Any] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the rows."""
        with self.client(context) as client:
            result = self._export(client, context)
        self.log.info(
            "%s: %d rows, %d bytes, in %s.", self.object_name, result["rows"], result["bytes"], result["path"]
        )
        return result

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Tell OpenLineage what was exported, with its schema and number of rows."""
        from intacct_provider.operators.lineage import facets_of_manifest

        return facets_of_manifest(self._done)

    def _export(self, client: IntacctClient, context: Context) -> dict[str, Any]:
        from intacct_provider.export.files.manifest import manifest_of, read_manifest

        target = self._checked_target()
        export = self.begin(client, context, typed=self.file_format == "parquet")
        drift = self.check_schema(export, read_manifest(manifest_of(target)))
        with self._delivery(target, export, context) as delivery:
            try:
                proof = export.read_into(delivery)
                if delivery.deletions is not None:
                    delivery.deletions.settle(delivery.tally.rows)
                content, result = delivery.publish(proof, {"schema_drift": drift.facts()} if drift else {})
            except Exception as err:
                if is_final(err, context):
                    delivery.discard()
                raise
            if self.key_range is None:
                export.commit(delivery.deletions)
                self._tell(context, content, result)
            delivery.done()
        return {**_summary(content), **result}

    def _checked_target(self) -> ObjectStoragePath:
        """Return where the files go, having made sure that they can, before anything is paid for."""
        from intacct_provider.export.files.encoders import encoder_for
        from intacct_provider.storage.files import check_place, parse_destination

        target = parse_destination(self.destination)
        encoder_for(self.file_format, (), compression=self.compression, csv_safe=self.csv_safe)
        check_place(target)
        return target

    def _delivery(self, target: ObjectStoragePath, export: Export, context: Context) -> Delivery:
        from intacct_provider.export.files.sink import Delivery
        from intacct_provider.export.key_range import KeyRange

        return Delivery(
            target,
            export,
            # Not for a task after a person has cleared it; and outside of one, each export is on its own.
            owner=name_task(context, cleared=True) or uuid.uuid4().hex,
            attempt=getattr(context.get("ti"), "try_number", 1),
            form={"file_format": self.file_format, "compression": self.compression},
            cut={
                "rows_per_part": self.rows_per_part,
                "bytes_per_part": self.bytes_per_part,
                "csv_safe": self.csv_safe,
            },
            key_range=None if self.key_range is None else KeyRange.checked(self.key_range),
            deletions=self.deletions(export, target),
        )

    def _tell(self, context: Context, content: dict[str, Any], result: dict[str, Any]) -> None:
        """Tell the assets among the outlets, Airflow's lineage, and later OpenLineage."""
        from intacct_provider.operators.lineage import report_to_hooks

        self._done = content
        names = ("path", "rows", "watermark")
        told = {name: _summary(content).get(name) for name in names} | result
        report_to_outlets(context, self.outlets, told | {"schema": content["columns"]})
        # Nobody collects lineage outside of a task, and the collector takes long to load.
        if context.get("ti") is not None:
            report_to_hooks(
                self.hook,
                company_id=content["company_id"],
                object_name=self.object_name,
                path=content["path"],
            )


def _summary(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a task returns of a manifest."""
    return {name: content[name] for name in ("path", "rows", "bytes", "sha256")} | {
        "parts": len(content["parts"]),
        "watermark": content.get("window", {}).get("upper"),
        "deleted": content["deletions"]["rows"] if "deletions" in content else None,
        "transactions": content["run"]["transactions"],
    }
