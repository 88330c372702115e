"""The base of the operators that export rows from Intacct: which rows, how they are proven complete, and since when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.base import make_templatable, read_flag
from intacct_provider.operators.export_base import ManyEntitiesOperator, ReportingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.incremental.state import ExportState
    from intacct_provider.export.run import Export
    from intacct_provider.export.schema.columns import Column
    from intacct_provider.export.schema.drift import Drift
    from intacct_provider.export.selection import Selection
    from intacct_provider.export.source import Source


class IntacctExportOperator(ManyEntitiesOperator, ReportingOperator):
    """Base of the exports.

    :param object_name: path such as ``general-ledger/account-group``. (templated)
    :param fields: field names and ``relation.field`` names, in the order of the columns; a mapping of such names to
        column names; or ``"*"`` for every field that can be queried, ``key`` first and the others sorted. With
        ``detail``, members of the whole record; None for all of them. (templated)
    :param exclude: fields that ``"*"`` does not stand for; a group or reference excludes all in it. (templated)
    :param filters: Intacct's JSON conditions or an expression of ``field(...)``. (templated)
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``. (templated)
    :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
        ``includePrivate``. (templated)
    :param detail: read whole records, with their groups, references and lists, 500 a call.
    :param lists: ``tables`` exports each list of whole records as a file or table of its own, whose rows have the
        ``parent_key`` of the record and the ``position`` in its list; ``nested``, the default, leaves them in it.
        (templated)
    :param entities: read the records of several entities at once: ``"all"``, or a list of entity ids, ``""`` for the
        top level. A column ``entity_id`` comes first, empty for records of the top level; no record is read twice.
        (templated)
    :param as_of: date that Intacct's date macros are relative to, such as ``2026-06-30``. (templated)
    :param control_totals: fields of numbers that Intacct is asked to add up, too; the sums must be those of the rows.
        (templated)
    :param incremental: field that says when a record changed, mostly ``audit.modifiedDateTime``: only what changed
        since the last export is read. (templated)
    :param lookback: how far before the end of the last export an incremental one begins, for changes that appear late;
        two hours by default.
    :param full_refresh: read everything, and let the next incremental export begin where this one ends. (templated)
    :param detect_deletes: find the records that were deleted since the last export: by Intacct's audit history
        (``audit``), by comparing all keys (``keys``), or by the audit history where the user may read it (``auto``).
        (templated)
    :param schema_drift: what to do when columns were added, removed or changed since the last export: ``warn``,
        ``fail``, or ``add``, which accepts new columns and fails for other changes. (templated)
    :param mask: fields with personal data, each with ``sha256``, which exports a hash of the value, or ``drop``. With
        ``detail`` also members of groups, references and lists, such as ``contacts.default.email1``. (templated)
    :param key_range: one of the ranges of ``IntacctKeyRangesOperator``, for mapped tasks. (templated)
    :param max_transactions: billed API transactions at most; the task fails before it would need more. (templated)
    :param partition_key: partition of the assets among the outlets that the export is, such as ``"{{ ds }}"``; for
        Airflow 3.3 and later. (templated)
    """

    template_fields: Sequence[str] = (
        *ReportingOperator.template_fields,
        "object_name",
        "fields",
        "exclude",
        "filters",
        "filter_expression",
        "filter_parameters",
        "lists",
        "entities",
        "as_of",
        "control_totals",
        "incremental",
        "full_refresh",
        "detect_deletes",
        "schema_drift",
        "mask",
        "key_range",
        "max_transactions",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json", "key_range": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        fields: Sequence[str] | Mapping[str, str] | None = None,
        exclude: Sequence[str] | None = None,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        detail: bool = False,
        lists: str = "nested",
        entities: str | Sequence[str] | None = None,
        as_of: str | dt.date | None = None,
        control_totals: Sequence[str] = (),
        incremental: str | None = None,
        lookback: dt.timedelta = dt.timedelta(hours=2),
        full_refresh: bool | str = False,
        detect_deletes: str | None = None,
        schema_drift: str = "warn",
        mask: Mapping[str, str] | None = None,
        key_range: Mapping[str, Any] | None = None,
        max_transactions: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.fields = fields
        self.exclude = exclude
        self.filters, self.filter_expression = make_templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters
        self.detail = detail
        self.lists = lists
        self.entities = entities
        self.as_of = as_of
        self.control_totals = control_totals
        self.incremental = incremental
        self.lookback = lookback
        self.full_refresh = full_refresh
        self.detect_deletes = detect_deletes
        self.schema_drift = schema_drift
        self.mask = mask
        self.key_range = key_range
        self.max_transactions = max_transactions

    def prepare(self, client: IntacctClient, context: Context, *, typed: bool = False) -> Export:
        """Return the export, checked and ready to be run, of all records; reads the object's model.

        :param typed: whether the records in lists need types.
        :raises IntacctArgumentError: for arguments that cannot be right.
        """
        from intacct_provider.export.completeness.budget import Budget
        from intacct_provider.export.entities import EntityCheck
        from intacct_provider.export.lists.proof import ListProof
        from intacct_provider.export.run import Export
        from intacct_provider.export.schema.masks import check_not_used

        self._check_arguments()
        budget = Budget(client, self.object_name, self.max_transactions)
        selection = self.select()
        used = [self.incremental] if self.incremental else ()
        check_not_used(selection.masks, "incremental", used, "its values are in the manifest")
        # Only where nothing of an earlier attempt, and no window, can change what is read.
        early = self.incremental is None and getattr(context.get("ti"), "try_number", 1) == 1
        begun = selection.begin(client) if early else None
        try:
            source = selection.load(client, typed=typed)
            state = self._open_state(client, context, source)
        except BaseException:
            if begun is not None:
                begun.close()
            raise
        return Export(
            client=client,
            source=source,
            whole=source.query,
            budget=budget,
            log=self.log,
            run_id=find_run_id(context),
            state=state,
            lists=ListProof(client, source) if source.lists else None,
            entities=EntityCheck(client, source, "entities" if self.entities else "filters"),
            begun=begun,
        )

    def select(self) -> Selection:
        """Return what is to be exported, checked as far as that takes no call."""
        from intacct_provider.export.selection import Selection

        return Selection.parse(
            object_name=self.object_name,
            fields=self.fields,
            exclude=self.exclude,
            filters=self.filters,
            filter_expression=self.filter_expression,
            filter_parameters=self.filter_parameters,
            detail=self.detail,
            entities=self.entities,
            as_of=self.as_of,
            control_totals=self.control_totals,
            key_range=self.key_range,
            mask=self.mask,
            lists=self.lists,
        )

    def narrow(self, export: Export, *, full_refresh: bool) -> Export:
        """Return the export of what changed since the last one, if it is incremental."""
        from intacct_provider.export.incremental.planning import plan_window

        if self.incremental is None or export.state is None:
            return export
        window = plan_window(
            export.client,
            export.whole,
            field=self.incremental,
            state=export.state,
            run_id=export.run_id,
            lookback=self.lookback,
            full_refresh=full_refresh,
        )
        export.state.remember(export.run_id, window)
        source = replace(export.source, query=window.narrow(export.whole))
        return replace(export, source=source, window=window)

    def reads_all_again(self, export: Export) -> bool:
        """Whether other fields are hashed than in the last export, so that unchanged records have to come again."""
        from intacct_provider.export.schema.masks import find_changes

        changed = find_changes(export.state.columns if export.state else None, export.source.columns)
        if changed:
            self.log.warning(
                "%s: mask differs from that of the last export for %s; everything is read again.",
                self.object_name, ", ".join(changed),
            )  # fmt: skip
        return bool(changed)

    def check_schema(self, export: Export, replaced: Sequence[Column] | None = None) -> Drift | None:
        """Compare the columns with those of the last export, and do what ``schema_drift`` says.

        :param replaced: columns of the export that is about to be replaced, for a task that remembers none.
        :return: how they differ; None if they do not.
        :raises IntacctSchemaChangedError: naming every difference.
        """
        from intacct_provider.export.schema.drift import compare

        remembered = export.state.columns if export.state else None
        drift = compare(remembered or replaced, export.source.all_columns)
        drift.check(self.schema_drift, self.object_name)
        return drift or None

    def find_deletions(
        self, export: Export, target: ObjectStoragePath, *, full_refresh: bool
    ) -> Deletions | None:
        """Return what finds the deleted records, if they are wanted.

        :param target: of the export; files with its keys are kept beside it.
        """
        from intacct_provider.export.deletes.detection import Deletions

        if self.detect_deletes is None or export.state is None:
            return None
        source = export.source
        fields = [column.field for column in source.columns] if self.detail else source.query.fields
        return Deletions(
            export.client,
            export.whole,
            detect=self.detect_deletes,
            state=export.state,
            run_id=export.run_id,
            target=target,
            window=export.window,
            full_refresh=full_refresh,
            fields=["" if name in source.masks else name for name in fields],
        )

    @property
    def wants_full_refresh(self) -> bool:
        """Whether everything is to be read, where that makes a difference; a template gives text.

        :raises IntacctArgumentError: for what is neither true nor false.
        """
        if self.incremental is None and self.detect_deletes is None:
            return False
        return read_flag("full_refresh", self.full_refresh, blank=False)

    def _open_state(self, client: IntacctClient, context: Context, source: Source) -> ExportState | None:
        """Return what is remembered of earlier exports, where that matters."""
        from intacct_provider.export.incremental.state import ExportState
        from intacct_provider.hooks.state_store import find_state_store, name_state

        if self.incremental is None and self.detect_deletes is None:
            return None
        if context.get("ti") is None:
            raise IntacctArgumentError(
                "incremental and detect_deletes compare with the last export of the same task, and there is no Airflow "
                "task here."
            )
        query = dict(source.asked, fields=None)
        # A date that differs from run to run does not make it another export.
        query["filterParameters"] = {
            name: value for name, value in query.get("filterParameters", {}).items() if name != "asOfDate"
        }
        exported = {
            "object": self.object_name,
            "query": query,
            "company": client.config.company_id,
            "entity": client.config.entity_id,
        }
        store = find_state_store(context, [*self.outlets, *self.inlets])
        return ExportState(store, name_state(context, exported))

    def _check_arguments(self) -> None:
        """Reject arguments that exclude each other, before anything is sent."""
        from intacct_provider.client.arguments import check_choice
        from intacct_provider.export.deletes.detection import DETECTIONS
        from intacct_provider.export.schema.drift import POLICIES

        if self.entities is not None and self.entity_id:
            raise IntacctArgumentError(
                "Give entities, which is read from the top level, or entity_id, not both."
            )
        self.check_partition_key()
        if self.detect_deletes is not None:
            check_choice("detect_deletes", self.detect_deletes, DETECTIONS)
        check_choice("schema_drift", self.schema_drift, POLICIES)
        if not isinstance(self.lookback, dt.timedelta) or self.lookback < dt.timedelta(0):
            raise IntacctArgumentError(
                f"lookback must be a timedelta that is not negative, not {self.lookback!r}."
            )
        for name in ("incremental", "detect_deletes"):
            if getattr(self, name) and self.key_range is not None:
                raise IntacctArgumentError(
                    f"{name} and key_range do not go together: the task of a range does not know the other ranges."
                )
        if self.detail and self.control_totals:
            raise IntacctArgumentError("control_totals needs detail=False.")


def find_run_id(context: Mapping[str, Any]) -> str:
    """Return the id of the DAG run; empty outside of one."""
    return str(context.get("run_id") or getattr(context.get("ti"), "run_id", ""))
