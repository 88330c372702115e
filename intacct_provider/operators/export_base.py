"""What the operators of exports share: reading several entities at once, and reporting what was exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.base import (
    IntacctOperator,
    describe_rendered_nothing,
    is_rendered_nothing,
    report_to_outlets,
)

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath

    from intacct_provider.operators.lineage import ExportLineage
    from intacct_provider.storage.claims import Claim, Holder

#: Of the column in Airflow's database.
_LONGEST_PARTITION_KEY = 250


class ManyEntitiesOperator(IntacctOperator):
    """Base of the operators that can read several entities at once."""

    entities: str | Sequence[str] | None = None

    @cached_property
    def hook(self) -> IntacctHook:
        """The hook; several entities are read from the top level, whatever entity the connection names."""
        return IntacctHook(self.intacct_conn_id, entity_id=self.entity_id if self.entities is None else "")


def find_holder(context: Context) -> Holder:
    """Return the task as the owner of what it exports."""
    from intacct_provider.storage.claims import Holder

    task = context.get("ti")
    if task is None:
        return Holder()
    index = -1 if task.map_index is None else task.map_index
    return Holder(task.dag_id, task.run_id, task.task_id, index)


class ReportingOperator(IntacctOperator):
    """Base of the operators that report a finished export to assets and lineage.

    :param partition_key: partition of the assets among the outlets that the export is, such as ``"{{ ds }}"``; for
        Airflow 3.3 and later. (templated)
    """

    template_fields: Sequence[str] = (*IntacctOperator.template_fields, "partition_key")

    #: For OpenLineage, which asks for it after ``execute``.
    _lineage: ExportLineage | None = None

    def __init__(self, *, partition_key: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partition_key = partition_key

    def check_partition_key(self) -> None:
        """Reject a partition that Airflow would reject after the export.

        :raises IntacctArgumentError: if it is blank, or too long for Airflow's database.
        """
        key = self.partition_key
        if key is None:
            return
        if not isinstance(key, str) or is_rendered_nothing(key):
            raise IntacctArgumentError(f"partition_key {describe_rendered_nothing(key)}")
        if len(key) > _LONGEST_PARTITION_KEY:
            raise IntacctArgumentError(
                f"partition_key has {len(key)} characters, and Airflow takes {_LONGEST_PARTITION_KEY} at most."
            )

    def claim(self, path: ObjectStoragePath, context: Context) -> Claim:
        """Return a claim of this task on a file that it publishes, to be used in a ``with`` statement."""
        from intacct_provider.storage.claims import Claim

        return Claim(path, find_holder(context))

    def report(self, context: Context, lineage: ExportLineage, extra: Mapping[str, Any]) -> None:
        """Report a finished export to the assets among the outlets, to Airflow's lineage, and later to OpenLineage."""
        from intacct_provider.operators.lineage import report_to_hooks

        self._lineage = lineage
        schema = to_builtins(lineage.columns)
        report_to_outlets(context, self.outlets, {**extra, "schema": schema}, self.partition_key)
        # Nobody collects lineage outside of a task, and the collector takes long to load.
        if context.get("ti") is not None:
            report_to_hooks(self.hook, lineage)

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Report to OpenLineage what was exported, with its schema and number of rows."""
        from intacct_provider.operators.lineage import facets_on_complete

        return facets_on_complete(self._lineage)
