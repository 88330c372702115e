"""The sync operator that plans how to make Intacct match a desired state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.links import PlanLink, show_file
from intacct_provider.operators._desired_source import (
    DesiredFunction,
    SqlSourceOperator,
    defer_call,
    read_desired_state,
)
from intacct_provider.operators.base import (
    airflow_errors,
    describe_rendered_nothing,
    is_rendered_nothing,
    make_templatable,
    name_task,
    read_flag,
    report_to_outlets,
    restore_expression,
)

# The rest is imported when a task runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.sync.plan import Mode, Plan
    from intacct_provider.sync.planning.limits import Guards


class IntacctPlanSyncOperator(SqlSourceOperator):
    """Plan the changes that make the records of an object match the desired ones; write nothing.

    Reads the live records, compares only the fields that a desired record gives, and writes the exact difference to a
    file, with an HTML page beside it. Everything is checked: the desired records among themselves, against the
    object's model and against the records that they refer to, then the limits. The same desired and live records
    give the same plan, byte by byte.

    :param object_name: path such as ``accounts-receivable/customer-group``. (templated)
    :param desired: path or URI of a ``.csv``, ``.json``, ``.jsonl``, ``.yaml`` or ``.parquet`` file on any object
        storage that Airflow knows; or the records themselves, such as an upstream task returns; or a function without
        arguments that returns them. (templated)
    :param desired_sql: instead of ``desired``: a query, or the path of a ``.sql`` file with one. (templated)
    :param sql_conn_id: connection to run ``desired_sql`` with. (templated)
    :param plan_path: path or URI to write the plan to, such as
        ``s3://aws_default@finance/{{ ts_nodash }}/groups.plan.json``. The page is written beside it, as
        ``groups.plan.html``. If the plan of another run is there, a person may still be reading it: it stays, and the
        new plan gets the first digits of its digest into its name. (templated)
    :param mode: ``create`` adds what is missing, ``update`` changes what exists, ``upsert`` does both,
        ``mirror`` also deletes what is not desired. (templated)
    :param match_on: field that pairs desired and live records. (templated)
    :param scope: for ``mirror``, which live records are in scope: Intacct's JSON conditions or an expression of
        ``field(...)``; ``"all"`` for every record of the object. (templated)
    :param protect: conditions for live records that are never touched. (templated)
    :param on_delete: what a mirror does with records that are not desired: ``delete``, or ``deactivate`` to set their
        status to inactive. (templated)
    :param columns: field path of each column that has another name; None leaves a column out. (templated)
    :param constants: fields with the same value in every desired record. (templated)
    :param null_marker: text of a table's cell that clears its field; an empty cell leaves it alone. (templated)
    :param null_markers: further such texts, such as ``["NULL", "N/A"]``. (templated)
    :param allow_damaged_text: take text such as ``#N/A``, ``nan`` and ``4.7E+17``, which spreadsheets leave in place of
        a value, as it is; by default it is reported. (templated)
    :param where: which rows count: by column, the value that it must have, or a list of them. (templated)
    :param value_maps: by column, what the texts in its cells stand for, such as ``{"status": {"Y": "active"}}``.
        (templated)
    :param trim: remove spaces around the texts in cells.
    :param sheet: sheet of a workbook; None for the only one with values. (templated)
    :param on_invalid: how to treat desired records with problems: ``fail`` refuses all, ``reject`` plans the others
        and counts these as rejects. (templated)
    :param max_rejects: number of desired records with problems that are tolerated with ``on_invalid="reject"``.
    :param max_reject_percent: likewise, in percent of the desired records; the larger of both counts.
    :param max_creates: reject a plan that creates more records. (templated, like all limits)
    :param max_updates: reject a plan that updates more records.
    :param max_deletes: reject a plan that deletes or deactivates more records.
    :param max_change_percent: reject a plan that changes a larger share of the live records, in percent.
    :param max_transactions: reject a plan that takes more billed transactions to apply.
    :param fail_on_change: fail with :class:`IntacctOutOfSyncError` if there is anything to change, and name who changed
        the records last and when, if Intacct knows; success then means that Intacct matches.
    :return: ``plan`` and ``page`` (paths), ``sha256`` (digest of the plan), ``made`` (when, and by which try),
        ``markdown`` (the plan for ``ApprovalOperator``, with a link to its page in Airflow), ``changed``, the counts
        ``to_create``, ``to_update``, ``to_deactivate``, ``to_delete``, ``unchanged``, ``left_alone`` and ``protected``,
        ``invalid`` (left out because of problems, with their file ``rejects``), ``estimated_transactions`` of applying
        it, and ``transactions`` (billed so far).
    """

    template_fields: Sequence[str] = (
        *SqlSourceOperator.template_fields,
        "object_name",
        "desired",
        "desired_sql",
        "sql_conn_id",
        "plan_path",
        "mode",
        "match_on",
        "scope",
        "protect",
        "on_delete",
        "columns",
        "constants",
        "null_marker",
        "null_markers",
        "allow_damaged_text",
        "where",
        "value_maps",
        "sheet",
        "on_invalid",
        "null_marker",
        "max_rejects",
        "max_reject_percent",
        "max_creates",
        "max_updates",
        "max_deletes",
        "max_change_percent",
        "max_transactions",
    )
    template_fields_renderers = {"desired_sql": "sql", "scope": "json", "protect": "json"}  # noqa: RUF012
    operator_extra_links = (PlanLink(),)

    def __init__(
        self,
        *,
        object_name: str,
        plan_path: str | None,
        desired: str | Sequence[Mapping[str, Any]] | DesiredFunction | None = None,
        desired_sql: str | None = None,
        sql_conn_id: str | None = None,
        mode: Mode = "upsert",
        match_on: str = "id",
        scope: Filters | Literal["all"] = None,
        protect: Filters = None,
        on_delete: Literal["delete", "deactivate"] = "delete",
        columns: Mapping[str, str | None] | None = None,
        constants: Mapping[str, Any] | None = None,
        null_marker: str | None = None,
        null_markers: str | Sequence[str] = (),
        allow_damaged_text: bool = False,
        where: Mapping[str, Any] | None = None,
        value_maps: Mapping[str, Mapping[str, Any]] | None = None,
        trim: bool = False,
        sheet: str | None = None,
        on_invalid: Literal["fail", "reject"] = "fail",
        max_rejects: int = 0,
        max_reject_percent: float | None = None,
        max_creates: int | None = None,
        max_updates: int | None = None,
        max_deletes: int | None = None,
        max_change_percent: float | None = None,
        max_transactions: int | None = None,
        fail_on_change: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.desired = defer_call(desired)
        self.desired_sql = desired_sql
        self.sql_conn_id = sql_conn_id
        self.plan_path = plan_path
        self.mode = mode
        self.match_on = match_on
        # Airflow renders conditions, and asks each templated field for a truth value, which expressions do not have.
        self._given: dict[str, Any] = {"scope": scope, "protect": protect}
        self.scope, _ = make_templatable(self._given["scope"], None)
        self.protect, _ = make_templatable(self._given["protect"], None)
        self.on_delete = on_delete
        self.columns = columns
        self.constants = constants
        self.null_marker = null_marker
        self.null_markers = null_markers
        self.allow_damaged_text = allow_damaged_text
        self.where = where
        self.value_maps = value_maps
        self.trim = trim
        self.sheet = sheet
        self.on_invalid = on_invalid
        self.max_rejects = max_rejects
        self.max_reject_percent = max_reject_percent
        self.max_creates = max_creates
        self.max_updates = max_updates
        self.max_deletes = max_deletes
        self.max_change_percent = max_change_percent
        self.max_transactions = max_transactions
        self.fail_on_change = fail_on_change

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, and write the plan to a file."""
        from intacct_provider.exceptions import IntacctOutOfSyncError
        from intacct_provider.operators._drift import describe_drift
        from intacct_provider.operators._sync_report import push_result, summarize_plan
        from intacct_provider.sync.rendering.wording import describe_counts

        with self.client(context) as client:
            fail_on_change = read_flag("fail_on_change", self.fail_on_change)
            plan, rejected = self._plan(client, context, self._read_guards())
            result = summarize_plan(plan) | self._write_plan(context, plan, rejected)
            result["transactions"] = client.transactions
            self._check_limits(context, plan, result)
            if plan.steps and fail_on_change:
                changes = describe_drift(client, plan)
                result["transactions"] = client.transactions
                push_result(context, result)
                raise IntacctOutOfSyncError(
                    f"{plan.object_name} does not match {plan.source}: {describe_counts(plan)}. Nothing was written."
                    + (f" The plan is {result['plan']}." if "plan" in result else "")
                    + changes
                )
        report_to_outlets(context, self.outlets, {k: v for k, v in result.items() if k != "markdown"})
        return result

    def _read_guards(self) -> Guards:
        """Return the limits, checked before anything is read or written."""
        from intacct_provider.sync.planning.limits import Guards

        with airflow_errors():
            return Guards(
                max_creates=self.max_creates,
                max_updates=self.max_updates,
                max_deletes=self.max_deletes,
                max_change_percent=self.max_change_percent,
                max_transactions=self.max_transactions,
                max_rejects=self.max_rejects,
                max_reject_percent=self.max_reject_percent,
            )

    def _plan(self, client: IntacctClient, context: Context, guards: Guards) -> tuple[Plan, bytes]:
        """Return the plan, with the limits that it exceeds, and the records that it leaves out as lines to correct."""
        from intacct_provider.exceptions import IntacctDesiredStateError
        from intacct_provider.operators._sync_report import keep_rejected
        from intacct_provider.sync.applying.output_files import check_output_files
        from intacct_provider.sync.build import plan_records
        from intacct_provider.sync.desired.cell_rules import CellRules
        from intacct_provider.sync.desired.sources import Layout
        from intacct_provider.sync.desired.state import encode_rejected
        from intacct_provider.sync.plan_files import choose_failed_path
        from intacct_provider.sync.planning.limits import find_breaches
        from intacct_provider.sync.problems import describe_problems
        from intacct_provider.sync.rendering.markdown import render_markdown
        from intacct_provider.sync.request import SyncRequest

        request = SyncRequest(
            object_name=self.object_name,
            mode=self.mode,
            match_on=self.match_on,
            scope=restore_expression(self._given["scope"], self.scope),
            protect=restore_expression(self._given["protect"], self.protect),
            on_delete=self.on_delete,
            on_invalid=self.on_invalid,
        )
        layout = Layout(
            self.match_on,
            self.columns,
            self.constants,
            self.null_marker,
            CellRules(self.where, self.value_maps, read_flag("trim", self.trim)),
            self.sheet,
            [self.null_markers] if isinstance(self.null_markers, str) else self.null_markers,
            read_flag("allow_damaged_text", self.allow_damaged_text),
        )
        plan_file = self._plan_file
        desired = read_desired_state(self.desired, self.desired_sql, self.sql_conn_id, layout)
        if plan_file is not None:
            check_output_files(plan_file, desired.source)
        if desired.left_out:
            self.log.info("%s: %d rows do not count (where, DONOTIMPORT).", desired.source, desired.left_out)
        origin = name_task(context, cleared=True)
        try:
            plan, problems = plan_records(client, desired, request, origin=origin)
        except IntacctDesiredStateError as err:
            if plan_file is not None:
                rejected = b"".join(encode_rejected(desired, err.problems))
                keep_rejected(choose_failed_path(plan_file, origin, rejected), desired.source, rejected)
            raise
        if problems:
            self.log.error("%s", describe_problems(desired.source, problems))
        plan = replace(plan, breaches=find_breaches(plan, guards))
        self.log.info("%s", render_markdown(plan))
        return plan, b"".join(encode_rejected(desired, problems))

    @cached_property
    def _plan_file(self) -> ObjectStoragePath | None:
        """Where the plan goes, checked without reaching the storage."""
        if self.plan_path is None:
            return None
        if is_rendered_nothing(self.plan_path):
            raise IntacctArgumentError(f"plan_path {describe_rendered_nothing(str(self.plan_path))}")
        from intacct_provider.storage.places import parse_destination

        return parse_destination(self.plan_path, "plan_path")

    def _write_plan(self, context: Context, plan: Plan, rejected: bytes) -> dict[str, str]:
        """Write the plan, its page and the records that it leaves out, and return their paths and the digest."""
        from intacct_provider.operators._sync_report import describe_making, keep_rejected
        from intacct_provider.storage.files import write_whole
        from intacct_provider.sync.plan import companion_path
        from intacct_provider.sync.plan_files import save_plan
        from intacct_provider.sync.rendering.markdown import render_markdown
        from intacct_provider.sync.rendering.page import render_page

        if self._plan_file is None:
            return {}
        path = save_plan(self._plan_file, plan)
        if path != self._plan_file:
            self.log.warning("%s is the plan of another run, which was not overwritten.", self._plan_file)
        page = companion_path(path, ".html")
        made = describe_making(context)
        write_whole(page, [render_page(plan, made=made)], argument="plan_path")
        rejects = keep_rejected(path, plan.source, rejected)
        self.log.info("The plan is %s, its SHA-256 %s, and its page %s.", path, plan.digest, page)
        link = show_file(self, context, "plan", str(path), plan.digest, made=made)
        markdown = render_markdown(plan, page=str(page), link=link)
        return {
            "plan": str(path),
            "sha256": plan.digest,
            "made": made,
            "page": str(page),
            **rejects,
            "markdown": markdown,
        }

    def _check_limits(self, context: Context, plan: Plan, result: Mapping[str, Any]) -> None:
        """Fail if a plan exceeds a limit, after it was written for people to see."""
        from intacct_provider.exceptions import IntacctSyncGuardError
        from intacct_provider.operators._sync_report import push_result

        if plan.breaches:
            push_result(context, result)
            raise IntacctSyncGuardError(f"{' '.join(plan.breaches)} Nothing was written.")
