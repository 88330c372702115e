"""Every row of a query to a file on object storage, with a manifest that proves it whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider import __version__
from intacct_provider.client import wire
from intacct_provider.client.errors import IntacctArgumentError
from intacct_provider.client.query import Filters, templatable
from intacct_provider.export.files import write_whole
from intacct_provider.export.writers import writer_for
from intacct_provider.operators.base import IntacctOperator, report_to_outlets

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from intacct_provider.client import IntacctClient

MANIFEST_SUFFIX = ".manifest.json"


class IntacctToObjectStorageOperator(IntacctOperator):
    """Write every row of a query to one file: all rows that existed during the whole read, once, or none.

    Rows flow page by page from Intacct into the file, in order of key, so memory does not grow with their
    number. The file appears under its name when it is complete; then its manifest, named like the file with
    ``.manifest.json`` added: query, company, entity, rows, first and last key, bytes, SHA-256, times and billed
    transactions. A file without a manifest is not to be trusted. Running the task again replaces both.

    An ``Asset`` in ``outlets`` is updated with ``path``, ``manifest`` and ``rows``.

    :param object_name: path such as ``general-ledger/account-group``. (templated)
    :param fields: field names and ``relation.field`` names, in the order of the columns; ``"*"`` for every field that
        can be queried, ``key`` first and the others sorted, for one more billed call. (templated)
    :param destination: path or URI of the file, such as ``s3://aws_default@bucket/groups/2026-11-21.csv``.
        (templated)
    :param file_format: ``jsonl`` or ``csv``. (templated)
    :param filters: Intacct's JSON conditions or an expression of ``field(...)``. (templated)
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``. (templated)
    :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
        ``includePrivate``. (templated)
    :return: ``path``, ``manifest``, ``rows``, ``bytes``, ``sha256`` and ``transactions`` (billed).
    """

    template_fields: Sequence[str] = (
        *IntacctOperator.template_fields,
        "object_name",
        "fields",
        "destination",
        "file_format",
        "filters",
        "filter_expression",
        "filter_parameters",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        fields: Sequence[str],
        destination: str,
        file_format: str = "jsonl",
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.fields = fields
        self.destination = destination
        self.file_format = file_format
        self.filters, self.filter_expression = templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters

    def execute(self, context: Context) -> dict[str, Any]:
        """Export the rows."""
        with self.client(context) as client:
            result = self._export(client)
        self.log.info(
            "%s: %d rows, %d bytes, in %s.", self.object_name, result["rows"], result["bytes"], result["path"]
        )
        report_to_outlets(
            context, self.outlets, {name: result[name] for name in ("path", "manifest", "rows")}
        )
        return result

    def _export(self, client: IntacctClient) -> dict[str, Any]:
        writer = writer_for(self.file_format)
        target = _target(self.destination)
        manifest = target.with_name(target.name + MANIFEST_SUFFIX)
        conditions: dict[str, Any] = {
            "filters": self.filters,
            "filter_expression": self.filter_expression,
            "filter_parameters": self.filter_parameters,
        }
        query = client.checked_query(self.object_name, self.fields, **conditions)
        started = pendulum.now("UTC")
        keys = _KeyRange()
        rows = keys.watch(client.iter_rows(self.object_name, _with_key(query.fields), **conditions))
        written = write_whole(target, writer(rows, query.fields), replaces=manifest)
        facts = {
            "path": str(target),
            "rows": keys.rows,
            "bytes": written.size,
            "sha256": written.sha256,
            "transactions": client.transactions,
        }
        content = {
            "manifest_version": 1,
            "object": self.object_name,
            "query": {
                name: part
                for name, part in query.payload().items()
                if name not in ("start", "size", "object")
            },
            "company_id": client.config.company_id,
            "entity_id": client.config.entity_id,
            "file_format": self.file_format,
            **facts,
            "first_key": keys.first,
            "last_key": keys.last,
            "started_at": started.to_iso8601_string(),
            "finished_at": pendulum.now("UTC").to_iso8601_string(),
            "provider_version": __version__,
        }
        write_whole(manifest, [wire.encode(content) + b"\n"])
        return facts | {"manifest": str(manifest)}


class _KeyRange:
    """Counts rows and remembers the first and last key as rows flow by."""

    def __init__(self) -> None:
        self.rows = 0
        self.first: str | None = None
        self.last: str | None = None

    def watch(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            self.rows += 1
            self.last = str(row["key"])
            self.first = self.first or self.last
            yield row


def _with_key(fields: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(["key", *fields]))


def _target(destination: str) -> ObjectStoragePath:
    if not isinstance(destination, str) or not destination.strip() or destination.endswith("/"):
        raise IntacctArgumentError(f"destination must be the path or URI of a file, not {destination!r}.")
    try:
        return ObjectStoragePath(destination)
    except ValueError as err:
        raise IntacctArgumentError(
            f"destination {destination!r} is on a storage that Airflow does not know: {err}"
        ) from err
