"""Sync: desired records in, a plan that a person can read, and Intacct made as the plan says, nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.operators._desired_source import DesiredFunction, called, content_of, desired_state
from intacct_provider.operators.base import IntacctOperator, owner_of, report_to_outlets, translated

# What syncs is loaded when a task syncs: a DAG file that names an operator must not wait for it.
if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.exceptions import IntacctDesiredStateError
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Mode, Plan


class IntacctPlanSyncOperator(IntacctOperator):
    """Plan how the records of an object become as they should be, for a person or a later task; write nothing.

    Reads what is live, compares only the fields that a desired record gives, and writes the exact difference to a
    file, with a page for people beside it. Everything is checked: the desired records among themselves, against the
    object's model and against the records that they refer to, then the limits. The same desired and live records
    give the same plan, byte by byte.

    :param object_name: path such as ``accounts-receivable/customer-group``. (templated)
    :param desired: path or URI of a ``.csv``, ``.json``, ``.jsonl``, ``.yaml`` or ``.parquet`` file on any object
        storage that Airflow knows; or the records themselves, such as an upstream task returns; or a function without
        arguments that returns them. (templated)
    :param desired_sql: in place of ``desired``: a query, or the path of a ``.sql`` file with one. (templated)
    :param sql_conn_id: connection that ``desired_sql`` is run through. (templated)
    :param plan_path: path or URI of the plan that is written, such as ``s3://aws_default@finance/groups.plan.json``.
        The page is written beside it, as ``groups.plan.html``. (templated)
    :param mode: ``create`` adds what is missing, ``update`` changes what exists, ``upsert`` does both,
        ``mirror`` also deletes what is not desired. (templated)
    :param match_on: field that pairs desired and live records. (templated)
    :param scope: for ``mirror``, which live records are ours: Intacct's JSON conditions or an expression of
        ``field(...)``; ``"all"`` for every record of the object. (templated)
    :param protect: conditions for live records that are never touched. (templated)
    :param on_delete: what becomes of records that are not desired: ``delete``, or ``deactivate`` to set their status to
        inactive. (templated)
    :param columns: fields by the names that the source has for them; None leaves a column out. (templated)
    :param constants: values of fields that are the same in every desired record. (templated)
    :param null_marker: text that stands for null, which clears a field; in tables an empty cell leaves it alone.
    :param max_creates: refuse a plan that creates more records.
    :param max_updates: refuse a plan that updates more records.
    :param max_deletes: refuse a plan that deletes or deactivates more records.
    :param max_change_percent: refuse a plan that touches more of the live records, in percent.
    :param max_transactions: refuse a plan that takes more billed transactions to apply.
    :param fail_on_change: fail with :class:`IntacctOutOfSyncError` when there is anything to change: success means that
        Intacct is as desired.
    :return: ``plan`` and ``page`` (paths), ``markdown`` (the plan for ``ApprovalOperator``), ``changed``, the counts
        ``to_create``, ``to_update``, ``to_deactivate``, ``to_delete``, ``unchanged``, ``left_alone`` and ``protected``,
        ``estimated_transactions`` of applying it, and ``transactions`` (billed so far).
    """

    template_fields: Sequence[str] = (
        *IntacctOperator.template_fields,
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
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"desired_sql": "sql", "scope": "json", "protect": "json"}  # noqa: RUF012

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
        self.desired = called(desired)
        self.desired_sql = desired_sql
        self.sql_conn_id = sql_conn_id
        self.plan_path = plan_path
        self.mode = mode
        self.match_on = match_on
        self.scope = scope
        self.protect = protect
        self.on_delete = on_delete
        self.columns = columns
        self.constants = constants
        self.null_marker = null_marker
        self.max_creates = max_creates
        self.max_updates = max_updates
        self.max_deletes = max_deletes
        self.max_change_percent = max_change_percent
        self.max_transactions = max_transactions
        self.fail_on_change = fail_on_change

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, and write the plan."""
        from intacct_provider.exceptions import IntacctOutOfSyncError
        from intacct_provider.operators._sync_report import in_words, planned, push

        with self.client(context) as client:
            plan = self._planned(client, context)
            result = planned(plan) | self._files(plan) | {"transactions": client.transactions}
            self._refuse(context, plan, result)
            if plan.steps and self.fail_on_change:
                push(context, result)
                raise IntacctOutOfSyncError(
                    f"{plan.object_name} is not as {plan.source} says: {in_words(plan)}. Nothing was written."
                    + (f" The plan is {result['plan']}." if "plan" in result else "")
                )
        report_to_outlets(context, self.outlets, {k: v for k, v in result.items() if k != "markdown"})
        return result

    def _planned(self, client: IntacctClient, context: Context) -> Plan:
        """Read everything, and return the plan with what it breaks."""
        from intacct_provider.exceptions import IntacctDesiredStateError
        from intacct_provider.sync.build import plan_for
        from intacct_provider.sync.planning.limits import Guards, breaches
        from intacct_provider.sync.rendering.markdown import plan_markdown

        guards = Guards(
            max_creates=self.max_creates,
            max_updates=self.max_updates,
            max_deletes=self.max_deletes,
            max_change_percent=self.max_change_percent,
            max_transactions=self.max_transactions,
        )
        desired = desired_state(
            self.desired,
            self.desired_sql,
            self.sql_conn_id,
            match_on=self.match_on,
            columns=self.columns,
            constants=self.constants,
            null_marker=self.null_marker,
        )
        try:
            plan = plan_for(
                client,
                self.object_name,
                desired,
                mode=self.mode,
                match_on=self.match_on,
                scope=self.scope,
                protect=self.protect,
                on_delete=self.on_delete,
                origin=owner_of(context, cleared=True),
            )
        except IntacctDesiredStateError as err:
            self._keep_rejected(desired, err)
            raise
        plan = replace(plan, breaches=breaches(plan, guards))
        self.log.info("%s", plan_markdown(plan))
        return plan

    def _keep_rejected(self, desired: Desired, error: IntacctDesiredStateError) -> None:
        """Write what is wrong with the desired records to a file, to be corrected and given again."""
        from intacct_provider.storage.files import write_whole
        from intacct_provider.sync.applying.journal import beside
        from intacct_provider.sync.desired.state import rejected_lines

        path = self._plan_file
        if path is not None:
            file = beside(path, ".rejects.jsonl")
            write_whole(file, rejected_lines(desired, error.problems))
            self.log.error("The desired records with problems are in %s.", file)

    @cached_property
    def _plan_file(self) -> ObjectStoragePath | None:
        return None if self.plan_path is None else ObjectStoragePath(self.plan_path)

    def _files(self, plan: Plan) -> dict[str, str]:
        """Write the plan and its page, the page first, so that whoever finds a plan finds its page."""
        from intacct_provider.storage.files import write_whole
        from intacct_provider.sync.applying.journal import beside
        from intacct_provider.sync.rendering.markdown import plan_markdown
        from intacct_provider.sync.rendering.page import plan_page

        path = self._plan_file
        if path is None:
            return {}
        page = beside(path, ".html")
        write_whole(page, [plan_page(plan)])
        write_whole(path, [plan.to_json()])
        self.log.info("The plan is %s, and its page %s.", path, page)
        return {"plan": str(path), "page": str(page), "markdown": plan_markdown(plan, page=str(page))}

    def _refuse(self, context: Context, plan: Plan, result: Mapping[str, Any]) -> None:
        """Fail for a plan that breaks a limit, after everybody can see what it would have done."""
        from intacct_provider.exceptions import IntacctSyncGuardError
        from intacct_provider.operators._sync_report import push

        if plan.breaches:
            push(context, result)
            raise IntacctSyncGuardError(f"{' '.join(plan.breaches)} Nothing was written.")


class IntacctApplySyncOperator(IntacctOperator):
    """Apply exactly the plan that :class:`IntacctPlanSyncOperator` wrote.

    Reads the records again that the plan touches, and refuses it when one of them is not what the plan saw. Before the
    first write it writes the reverse plan; as it goes, a journal. An Airflow retry continues where the last attempt
    ended, and writes nothing twice. A plan is applied by one task; another one is told whose it is.

    The entity is the plan's.

    :param plan: path or URI of the plan, such as ``{{ ti.xcom_pull(task_ids="plan")["plan"] }}``; a reverse plan
        (``.undo.json``) is applied in the same way. (templated)
    :param on_stale: ``fail``, or ``skip`` to apply the rest of a plan when records changed after it was made.
        (templated)
    :param max_rejects: how many records Intacct may refuse before the task fails. Those that it accepts are written
        either way; nothing is deleted when more are refused.
    :param max_reject_percent: likewise, in percent of the records that the plan writes; the larger of both counts.
    :return: ``created``, ``updated``, ``deactivated``, ``deleted``, ``held``, ``found`` (as planned before), ``stale``,
        ``rejected``, ``transactions`` (billed), and the paths ``plan``, ``undo``, ``journal`` and, when records were
        refused, ``rejects``.
    """

    template_fields: Sequence[str] = (*IntacctOperator.template_fields, "plan", "on_stale")

    def __init__(
        self,
        *,
        plan: str,
        on_stale: Literal["fail", "skip"] = "fail",
        max_rejects: int = 0,
        max_reject_percent: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.on_stale = on_stale
        self.max_rejects = max_rejects
        self.max_reject_percent = max_reject_percent

    @property
    def _tolerated(self) -> dict[str, Any]:
        return {"max_rejects": self.max_rejects, "max_reject_percent": self.max_reject_percent}

    def execute(self, context: Context) -> dict[str, Any]:
        """Check that the plan still holds, and apply it."""
        from intacct_provider.operators._sync_report import check_place, report
        from intacct_provider.sync.applying.apply import apply_plan
        from intacct_provider.sync.applying.journal import Journal
        from intacct_provider.sync.applying.result import counts_of
        from intacct_provider.sync.plan import Plan

        with translated():
            plan = Plan.from_json(content_of("plan", self.plan))
        if self.entity_id is None:
            self.entity_id = plan.entity_id
        with self.client(context) as client:
            check_place(client, plan)
            journal = Journal(ObjectStoragePath(self.plan), plan, owner_of(context))
            outcome = apply_plan(client, plan, journal=journal, on_stale=self.on_stale, **self._tolerated)
            result = (
                counts_of(outcome) | journal.files | {"plan": self.plan, "transactions": client.transactions}
            )
            report(context, plan, outcome, result, **self._tolerated)
        report_to_outlets(context, self.outlets, result)
        return result


class IntacctSyncOperator(IntacctPlanSyncOperator):
    """Make the records of an object as they should be, in one task: plan, check, apply.

    Takes what :class:`IntacctPlanSyncOperator` takes. With a ``plan_path`` the plan, its page, the reverse plan and a
    journal are kept, and an Airflow retry continues the plan of the attempt before it; without one nothing is kept, and
    a retry plans again. Either way nothing is written twice. A second run with the same desired records changes
    nothing and costs only reads.

    :param plan_path: see above; None keeps no files. (templated)
    :param dry_run: plan and show, but write nothing. (templated)
    :param max_rejects: how many records Intacct may refuse before the task fails. Those that it accepts are written
        either way; nothing is deleted when more are refused.
    :param max_reject_percent: likewise, in percent of the records that the plan writes; the larger of both counts.
    :return: what both return, and ``dry_run``.
    """

    template_fields: Sequence[str] = (*IntacctPlanSyncOperator.template_fields, "plan_only")

    def __init__(
        self,
        *,
        plan_path: str | None = None,
        dry_run: bool = False,
        max_rejects: int = 0,
        max_reject_percent: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(plan_path=plan_path, **kwargs)
        # Not under the argument's name: BaseOperator.dry_run is a method of Airflow's.
        self.plan_only = dry_run
        self.max_rejects = max_rejects
        self.max_reject_percent = max_reject_percent

    @property
    def _tolerated(self) -> dict[str, Any]:
        return {"max_rejects": self.max_rejects, "max_reject_percent": self.max_reject_percent}

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan and, unless this is a dry run, apply."""
        from intacct_provider.operators._sync_report import flag, planned, report
        from intacct_provider.sync.applying.apply import apply_plan
        from intacct_provider.sync.applying.journal import Journal
        from intacct_provider.sync.applying.result import Outcome, counts_of

        with self.client(context) as client:
            dry_run = flag("dry_run", self.plan_only)
            path, owner = self._plan_file, owner_of(context)
            begun = None if path is None or dry_run else Journal.unfinished(path, owner)
            plan = begun or self._planned(client, context)
            result = planned(plan) | ({"plan": str(path)} if begun else self._files(plan))
            self._refuse(context, plan, result)
            outcome, files = Outcome(), {}
            if dry_run:
                self.log.info("Dry run: nothing was written to %s.", plan.object_name)
            else:
                journal = None if path is None else Journal(path, plan, owner)
                outcome = apply_plan(client, plan, journal=journal, fresh=not begun, **self._tolerated)
                files = journal.files if journal else {}
            result |= counts_of(outcome) | files | {"transactions": client.transactions, "dry_run": dry_run}
            report(context, plan, outcome, result, **self._tolerated)
        report_to_outlets(context, self.outlets, {k: v for k, v in result.items() if k != "markdown"})
        return result
