"""What the operators of exports share: reading several entities at once, and reporting what was exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.base import IntacctOperator, report_to_outlets

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from intacct_provider.operators.lineage import ExportLineage
    from intacct_provider.storage.claims import Claim


class ManyEntitiesOperator(IntacctOperator):
    """Base of the operators that can read several entities at once."""

    entities: str | Sequence[str] | None = None

    @cached_property
    def hook(self) -> IntacctHook:
        """The hook; several entities are read from the top level, whatever entity the connection names."""
        return IntacctHook(self.intacct_conn_id, entity_id=self.entity_id if self.entities is None else "")


class ReportingOperator(IntacctOperator):
    """Base of the operators that report a finished export to assets and lineage."""

    #: For OpenLineage, which asks for it after ``execute``.
    _lineage: ExportLineage | None = None

    def claim(self, path: ObjectStoragePath, context: Context) -> Claim:
        """Return a claim of this task on a file that it publishes, to be used in a ``with`` statement."""
        from intacct_provider.storage.claims import Claim, Holder

        task = context.get("ti")
        if task is None:
            return Claim(path, Holder())
        index = -1 if task.map_index is None else task.map_index
        return Claim(path, Holder(task.dag_id, task.run_id, task.task_id, index))

    def report(self, context: Context, lineage: ExportLineage, extra: Mapping[str, Any]) -> None:
        """Report a finished export to the assets among the outlets, to Airflow's lineage, and later to OpenLineage."""
        from intacct_provider.operators.lineage import report_to_hooks

        self._lineage = lineage
        report_to_outlets(context, self.outlets, {**extra, "schema": to_builtins(lineage.columns)})
        # Nobody collects lineage outside of a task, and the collector takes long to load.
        if context.get("ti") is not None:
            report_to_hooks(self.hook, lineage)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Report to OpenLineage what was exported, with its schema and number of rows."""
        from intacct_provider.operators.lineage import facets_on_complete

        return facets_on_complete(self._lineage)
