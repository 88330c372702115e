"""Sync operators: plan how to make Intacct match a desired state, apply exactly that plan, or both in one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from intacct_provider.links import show_file
from intacct_provider.operators.base import name_task, read_flag, report_to_outlets
from intacct_provider.operators.sync_apply import IntacctApplySyncOperator
from intacct_provider.operators.sync_plan import IntacctPlanSyncOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["IntacctApplySyncOperator", "IntacctPlanSyncOperator", "IntacctSyncOperator"]


class IntacctSyncOperator(IntacctPlanSyncOperator):
    """Make the records of an object match the desired ones in one task: plan, check, apply.

    Takes the arguments of :class:`IntacctPlanSyncOperator`. With a ``plan_path`` the plan, its page, the reverse plan
    and a journal are kept, and an Airflow retry continues the plan of the last attempt; without one nothing is kept,
    and a retry plans again. Either way nothing is written twice. A second run with the same desired records changes
    nothing and costs only reads.

    :param plan_path: see above; None keeps no files. (templated)
    :param dry_run: plan and show, but write nothing. (templated)
    :param max_rejects: number of records that may be rejected, by Intacct or because of their problems, before the
        task fails. The others are written either way, but nothing is deleted if Intacct rejects more.
    :param max_reject_percent: likewise, in percent of the records that the plan writes; the larger of both counts.
    :param verify: read the records that were written once more, up to three times within a minute, and count those that
        Intacct accepted and did not change as rejected; False saves the calls.
    :return: what both operators return, and ``dry_run``.
    """

    template_fields: Sequence[str] = (*IntacctPlanSyncOperator.template_fields, "plan_only")

    def __init__(
        self,
        *,
        plan_path: str | None = None,
        dry_run: bool = False,
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(plan_path=plan_path, **kwargs)
        # Not under the name of the argument: dry_run is a method of BaseOperator.
        self.plan_only = dry_run
        self.verify = verify

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan and, unless this is a dry run, apply."""
        from intacct_provider.operators._sync_report import (
            check_rejects,
            describe_files,
            log_outcome,
            name_plan,
            summarize_plan,
        )
        from intacct_provider.sync.applying.apply import apply_plan
        from intacct_provider.sync.applying.journal import Journal, find_begun
        from intacct_provider.sync.applying.outcomes import Outcome
        from intacct_provider.sync.applying.rejects import Tolerance

        guards = self._read_guards()
        with self.client(context) as client:
            dry_run = read_flag("dry_run", self.plan_only)
            verify = read_flag("verify", self.verify)
            path, owner = self._plan_file, name_task(context)
            path, begun = (path, None) if path is None or dry_run else find_begun(path, owner)
            if begun is None:
                plan, rejected = self._plan(client, context, guards)
                written = self._write_plan(context, plan, rejected)
            else:
                plan, written = begun, {"plan": str(path), "sha256": begun.digest}
                show_file(self, context, "plan", str(path), begun.digest)
            path = ObjectStoragePath(written["plan"]) if written else None
            result = summarize_plan(plan) | written
            self._check_limits(context, plan, result)
            tolerance = Tolerance(guards.max_rejects, guards.max_reject_percent, plan.invalid)
            outcome, files = Outcome(), {}
            if dry_run:
                self.log.info("Dry run: nothing was written to %s.", plan.object_name)
            else:
                journal = None if path is None else Journal(path, plan, owner)
                with name_plan(path):
                    outcome = apply_plan(
                        client,
                        plan,
                        journal=journal,
                        tolerance=tolerance,
                        fresh=not begun,
                        verify=verify,
                    )
                files = describe_files(journal) if journal else {}
            result |= outcome.counts | files | {"transactions": client.transactions, "dry_run": dry_run}
            log_outcome(plan, outcome, files)
            check_rejects(context, plan, outcome, result, tolerance)
        report_to_outlets(context, self.outlets, {k: v for k, v in result.items() if k != "markdown"})
        return result
