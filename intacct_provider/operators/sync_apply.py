"""The sync operator that applies exactly the plan that was approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import ObjectStoragePath

from intacct_provider.links import PlanLink, show_file
from intacct_provider.operators.base import (
    IntacctOperator,
    airflow_errors,
    name_task,
    read_flag,
    report_to_outlets,
)

if TYPE_CHECKING:
    from airflow.sdk import Context


class IntacctApplySyncOperator(IntacctOperator):
    """Apply exactly the plan that :class:`IntacctPlanSyncOperator` wrote.

    An approval belongs to the content of a plan, so give what the plan task returned, with its path and its digest; any
    other content is refused. Reads the records of the plan again, and fails if one of them changed,
    left the scope or became protected since the plan was made. Before the first write it writes the reverse plan, and
    after each call the journal. An Airflow retry continues where the last attempt ended, and writes nothing twice. Only
    one task can apply a plan.

    The entity is the plan's.

    :param plan: what the plan task returned, ``plan_task.output``; or path or URI of a plan. A reverse plan
        (``.undo.json``) is applied in the same way. (templated)
    :param plan_sha256: digest of the plan, if ``plan`` is a path. Without it only the plan's own digest is checked,
        which finds damage but not another plan: enough for scripts, not for approvals. (templated)
    :param on_stale: ``fail``, or ``skip`` to apply the rest of a plan if records changed after it was made.
        (templated)
    :param max_rejects: number of records that Intacct may reject before the task fails. The others are written either
        way, but nothing is deleted if more are rejected. (templated)
    :param max_reject_percent: likewise, in percent of the records that the plan writes; the larger of both counts.
        (templated)
    :param verify: read the records that were written once more, up to three times within a minute, and count those that
        Intacct accepted and did not change as rejected; False saves the calls.
    :return: ``created``, ``updated``, ``deactivated``, ``deleted``, ``held``, ``found`` (already as planned),
        ``stale``, ``unprocessed``, ``changed_meanwhile``, ``rejected``, ``transactions`` (billed), the paths ``plan``,
        ``undo``, ``journal`` and, if records were rejected, ``rejects``, and the digests ``sha256`` and
        ``undo_sha256``.
    """

    template_fields: Sequence[str] = (
        *IntacctOperator.template_fields,
        "plan",
        "plan_sha256",
        "on_stale",
        "max_rejects",
        "max_reject_percent",
    )
    operator_extra_links = (PlanLink(),)

    def __init__(
        self,
        *,
        plan: str | Mapping[str, Any],
        plan_sha256: str | None = None,
        on_stale: Literal["fail", "skip"] = "fail",
        max_rejects: int = 0,
        max_reject_percent: float | None = None,
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.plan_sha256 = plan_sha256
        self.on_stale = on_stale
        self.max_rejects = max_rejects
        self.max_reject_percent = max_reject_percent
        self.verify = verify

    def execute(self, context: Context) -> dict[str, Any]:
        """Check that the plan still fits, and apply it."""
        from intacct_provider.operators._sync_report import (
            check_company,
            check_rejects,
            describe_files,
            log_outcome,
            name_plan,
        )
        from intacct_provider.sync.applying.apply import apply_plan
        from intacct_provider.sync.applying.journal import Journal
        from intacct_provider.sync.applying.rejects import Tolerance
        from intacct_provider.sync.plan_files import parse_reference, read_plan

        with airflow_errors():
            tolerance = Tolerance(self.max_rejects, self.max_reject_percent)
            verify = read_flag("verify", self.verify)
            path, sha256 = parse_reference(self.plan, self.plan_sha256)
            plan = read_plan(path, sha256)
        self.log.info("Applying the plan %s, SHA-256 %s.", path, plan.digest)
        made = self.plan.get("made") if isinstance(self.plan, Mapping) else None
        show_file(self, context, "plan", path, plan.digest, made=str(made or ""))
        with self.client(context, default_entity_id=plan.entity_id) as client:
            check_company(client, plan, path)
            journal = Journal(ObjectStoragePath(path), plan, name_task(context))
            with name_plan(path):
                outcome = apply_plan(
                    client,
                    plan,
                    journal=journal,
                    on_stale=self.on_stale,
                    tolerance=tolerance,
                    verify=verify,
                )
            written = {"plan": path, "sha256": plan.digest, "transactions": client.transactions}
            result = outcome.counts | describe_files(journal) | written
            log_outcome(plan, outcome, result)
            check_rejects(context, plan, outcome, result, tolerance)
        report_to_outlets(context, self.outlets, result)
        return result
