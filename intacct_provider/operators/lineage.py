"""Where exported rows come from and go to, in the terms of Airflow's lineage collector and of OpenLineage.

Errors in lineage are logged and never fail the task.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset, SchemaDatasetFacetFields
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseHook

    from intacct_provider.export.files.manifest import Manifest
    from intacct_provider.export.schema.columns import Column

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportLineage:
    """What is reported of an export that is complete.

    :param columns: of the output, in order.
    :param rows: written.
    :param size: bytes written.
    :param files: number of parts.
    :param path: the destination, if rows went to files. It stands for all of them.
    :param table: namespace and name of the table, as :func:`table_name` gives them, if they went to one.
    """

    company_id: str
    object_name: str
    columns: Sequence[Column]
    rows: int
    size: int | None = None
    files: int | None = None
    path: str | None = None
    table: tuple[str, str] | None = None

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Self:
        """Return the lineage of an export to files."""
        return cls(
            company_id=manifest.company_id,
            object_name=manifest.object,
            columns=manifest.columns,
            rows=manifest.rows,
            size=manifest.bytes,
            files=len(manifest.parts),
            path=manifest.path,
        )


def report_to_hooks(hook: BaseHook, lineage: ExportLineage) -> None:
    """Report to Airflow's hook lineage what was read and which file was written.

    Database hooks report their own statements.

    :param hook: the one that read.
    """
    try:
        from intacct_provider._compat import get_hook_lineage_collector

        collector = get_hook_lineage_collector()
        source = {"company_id": lineage.company_id, "object_name": lineage.object_name}
        collector.add_input_asset(hook, scheme="intacct", asset_kwargs=source)
        if lineage.path is not None:
            collector.add_output_asset(hook, uri=lineage.path)
    except Exception as err:
        _warn("hook lineage", err)


def facets_on_complete(lineage: ExportLineage | None) -> OperatorLineage[Any, Any] | None:
    """Return what OpenLineage is to know of an export; None if there was none, or OpenLineage is not installed.

    The object is the input. The output has its schema, its statistics, and for each column the field it comes from.
    """
    if lineage is None:
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    try:
        source = _source(lineage)
        name = (
            lineage.table if lineage.table is not None or lineage.path is None else _file_name(lineage.path)
        )
        outputs = [_output(name, source, lineage)] if name else []
        return OperatorLineage(inputs=[source], outputs=outputs)
    except Exception as err:
        _warn("OpenLineage", err)
        return None


def table_name(hook: Any, table: str) -> tuple[str, str] | None:
    """Return the OpenLineage namespace and name of a table; None where neither is known.

    :param hook: a ``DbApiHook``.
    :param table: with its schema or without.
    """
    try:
        from airflow.providers.openlineage.sqlparser import SQLParser
    except ImportError:
        return None
    try:
        connection = hook.get_connection(hook.get_conn_id())
        info = hook.get_openlineage_database_info(connection)
        if info is None:
            # Such as SQLite, where one of the two is the file.
            return f"{connection.conn_type}://{connection.host or connection.schema or ''}", table
        schema = () if "." in table else (hook.get_openlineage_default_schema(),)
        parts = (info.database or connection.schema, *schema, table)
        return SQLParser.create_namespace(info), ".".join(part for part in parts if part)
    except Exception as err:
        _warn("OpenLineage", err)
        return None


def _source(export: ExportLineage) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import InputDataset, SchemaDatasetFacet
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    from intacct_provider.assets.intacct import convert_asset_to_openlineage, create_asset

    asset = create_asset(company_id=export.company_id, object_name=export.object_name)
    found = convert_asset_to_openlineage(asset, None)
    return InputDataset(
        namespace=found.namespace,
        name=found.name,
        facets={"schema": SchemaDatasetFacet(fields=_schema(export.columns, "field"))},
        inputFacets={"inputStatistics": statistics.InputStatisticsInputDatasetFacet(rowCount=export.rows)},
    )


def _output(name: tuple[str, str], source: Dataset, export: ExportLineage) -> Dataset:
    from airflow.providers.common.compat.openlineage.facet import (
        ColumnLineageDatasetFacet,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
    )

    statistics = OutputStatisticsOutputDatasetFacet(
        rowCount=export.rows, size=export.size, fileCount=export.files
    )
    return OutputDataset(
        namespace=name[0],
        name=name[1],
        facets={
            "schema": SchemaDatasetFacet(fields=_schema(export.columns, "name")),
            "columnLineage": ColumnLineageDatasetFacet(fields=_origins(source, export.columns)),
        },
        outputFacets={"outputStatistics": statistics},
    )


def _schema(columns: Sequence[Column], label: str) -> list[SchemaDatasetFacetFields]:
    """Return the fields of a schema, those of structs and lists below them."""
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacetFields

    return [
        SchemaDatasetFacetFields(
            name=getattr(column, label), type=_type(column), fields=_schema(column.members, label)
        )
        for column in columns
    ]


def _type(column: Column) -> str:
    return column.type if column.scale is None else f"{column.type}(38, {column.scale})"


def _origins(source: Dataset, columns: Sequence[Column]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    return {
        column.name: lineage.Fields(
            inputFields=[
                lineage.InputField(
                    namespace=source.namespace,
                    name=source.name,
                    field=column.field,
                    transformations=[lineage.Transformation(type="DIRECT", subtype="IDENTITY")],
                )
            ]
        )
        for column in columns
    }


def _file_name(path: str) -> tuple[str, str]:
    """Return the namespace and name of a file, the same that Airflow gives its asset."""
    from airflow.providers.common.compat.openlineage.utils.utils import translate_airflow_asset
    from airflow.sdk import Asset

    uri = urlsplit(path if "://" in path else f"file://{path}")
    # The connection's id is not part of a file's name: another connection leads to the same file.
    bare = uri._replace(netloc=uri.netloc.rpartition("@")[2])
    found = translate_airflow_asset(Asset(uri=bare.geturl()), None)
    if found is not None:
        return found.namespace, found.name
    return f"{bare.scheme}://{bare.netloc}", unquote(bare.path).lstrip("/")


def _warn(receiver: str, err: Exception) -> None:
    # The type alone: the message of another library's error may hold anything.
    log.warning("Lineage of the export was not given to %s (%s).", receiver, type(err).__name__)
