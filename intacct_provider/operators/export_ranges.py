"""Operators for one big object that many tasks read: they plan ranges of keys and commit the exported ranges."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from intacct_provider.links import ManifestLink, show_file
from intacct_provider.operators.base import airflow_errors, make_templatable
from intacct_provider.operators.export_base import ManyEntitiesOperator, ReportingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.client.query.filters import Filters
    from intacct_provider.export.files.manifest import Manifest
    from intacct_provider.export.ranges.commit import Ranges
    from intacct_provider.storage.claims import Claim


class IntacctKeyRangesOperator(ManyEntitiesOperator):
    """Plan ranges of keys with about equally many records, for mapped tasks that export one range each.

    >>> plan = IntacctKeyRangesOperator(task_id="plan", object_name="accounts-receivable/invoice", ranges=8)
    >>> IntacctToObjectStorageOperator.partial(task_id="export", ...).expand(key_range=plan.output)

    Give it the object, filters, ``entities`` and ``as_of`` of the export, so that it counts what the export reads. The
    first range is open downwards and the last one upwards, so records made after the plan are not lost.

    One range costs 2 billed calls and n ranges n + 2: the object's model, the number of records with the highest key, a
    check that Intacct compares keys as numbers, and one row for each boundary.

    :param object_name: path such as ``general-ledger/journal-entry-line``. (templated)
    :param ranges: how many at most; never more than the records fill pages, so that a small object has one.
    :param rows_per_range: in place of ``ranges``: how many records each has, about.
    :param filters: those of the export. (templated)
    :param filter_expression: that of the export. (templated)
    :param filter_parameters: those of the export. (templated)
    :param entities: those of the export. (templated)
    :param as_of: that of the export. (templated)
    :return: list of ranges, each a mapping of ``number``, ``of``, ``above`` and ``upto``: keys above the one and up to
        the other, None for no limit.
    """

    template_fields: Sequence[str] = (
        *ManyEntitiesOperator.template_fields,
        "object_name",
        "filters",
        "filter_expression",
        "filter_parameters",
        "entities",
        "as_of",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        ranges: int | None = None,
        rows_per_range: int | None = None,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        entities: str | Sequence[str] | None = None,
        as_of: str | dt.date | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.ranges = ranges
        self.rows_per_range = rows_per_range
        self.filters, self.filter_expression = make_templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters
        self.entities = entities
        self.as_of = as_of

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Plan the ranges."""
        from intacct_provider.export.ranges.plan import plan_ranges
        from intacct_provider.export.selection import Selection

        with self.client(context) as client:
            selection = Selection.parse(
                object_name=self.object_name,
                fields=["key"],
                filters=self.filters,
                filter_expression=self.filter_expression,
                filter_parameters=self.filter_parameters,
                entities=self.entities,
                as_of=self.as_of,
            )
            query = selection.load(client).query
            plan = plan_ranges(client, query, ranges=self.ranges, rows_per_range=self.rows_per_range)
        self.log.info("%s: %d ranges.", self.object_name, len(plan))
        return [structs.asdict(one) for one in plan]


class IntacctCommitExportOperator(ReportingOperator):
    """Make one export of the ranges that mapped tasks have exported: check that they are everything, then publish.

    >>> IntacctCommitExportOperator(task_id="commit", destination=destination, exports=export.output)

    The mapped tasks leave the parts of their ranges under hidden names beside ``destination``, so an older export stays
    complete until this task. It checks that the ranges are those of one plan, each one once, without a gap between
    them, of the same query, columns, company and format; counts what Intacct has now and compares; then gives the parts
    their names, removes those of the export before, and writes the one manifest last. If it is killed at any time,
    its next attempt continues.

    :param destination: that of the mapped tasks. (templated)
    :param exports: what the mapped tasks returned, such as ``export.output``. (templated)
    :param partition_key: partition of the assets among the outlets that the export is; for Airflow 3.3 and later.
        (templated)
    :return: ``path``, ``manifest``, ``parts`` (their number), ``rows``, ``bytes``, ``ranges`` and ``transactions``
        (billed by this task).
    """

    template_fields: Sequence[str] = (*ReportingOperator.template_fields, "destination", "exports")
    operator_extra_links = (ManifestLink(),)

    def __init__(self, *, destination: str, exports: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.exports = exports

    def execute(self, context: Context) -> dict[str, Any]:
        """Check, count and publish; if an earlier attempt has done so, only remove what is left."""
        from intacct_provider.export.files.destination import check_destination
        from intacct_provider.export.files.manifest import encode_manifest
        from intacct_provider.export.ranges.commit import Ranges
        from intacct_provider.storage.places import parse_destination

        with airflow_errors():
            self.check_partition_key()
            target = parse_destination(self.destination)
            ranges = Ranges(target, self.exports)
            check_destination(target)
            with self.claim(target, context) as claim:
                manifest, billed = ranges.find_published(claim), 0
                if manifest is None:
                    manifest, billed = self._publish(ranges, claim, context)
                ranges.forget(claim)
        self._report(context, manifest, str(ranges.manifest_path))
        sha256 = hashlib.sha256(encode_manifest(manifest)).hexdigest()
        show_file(self, context, "manifest", str(ranges.manifest_path), sha256)
        return {
            "path": manifest.path,
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "manifest": str(ranges.manifest_path),
            "parts": len(manifest.parts),
            "ranges": len(manifest.completeness.ranges or ()),
            "transactions": billed,
        }

    def _publish(self, ranges: Ranges, claim: Claim, context: Context) -> tuple[Manifest, int]:
        """Check and count the ranges and publish them; return the manifest and the billed transactions."""
        from intacct_provider.export.ranges.commit import count_again

        ranges.check()
        exported_from = ranges.exports[0].manifest.entity_id
        with self.client(context, default_entity_id=exported_from) as client:
            ranges.check_company(client)
            completeness = count_again(client, ranges.exports)
            return ranges.publish(claim, completeness, client.transactions), client.transactions

    def _report(self, context: Context, manifest: Manifest, path: str) -> None:
        """Report to the assets among the outlets, to Airflow's lineage, and later to OpenLineage."""
        from intacct_provider.operators.lineage import ExportLineage

        self.log.info(
            "%s: %d rows, of %d ranges, in %s.",
            manifest.object, manifest.rows, len(manifest.completeness.ranges or ()), manifest.path,
        )  # fmt: skip
        extra = {"path": manifest.path, "rows": manifest.rows, "manifest": path}
        self.report(context, ExportLineage.from_manifest(manifest), extra)
