"""The sync operator: desired records in, the difference to Intacct written, nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.client.errors import IntacctArgumentError, did_you_mean
from intacct_provider.operators.base import IntacctOperator, report_to_outlets
from intacct_provider.sync.apply import (
    IntacctRejectedRecordsError,
    Outcome,
    apply_plan,
    read_live,
    rejects_table,
)
from intacct_provider.sync.desired import check_desired, coerce, parse_desired
from intacct_provider.sync.diff import types_of
from intacct_provider.sync.plan import MODES, Mode, Plan, check_guards, make_plan
from intacct_provider.sync.table import plan_table

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from intacct_provider.client import IntacctClient


class IntacctSyncOperator(IntacctOperator):
    """Make the records of an object as a file or a task says they should be.

    Reads what is live, plans the exact difference, shows it as a table in the log, and writes only that. Only
    the fields that a desired record gives are compared and changed. Everything is checked before anything is
    written: the desired records among themselves and against the object's model, then the guards.

    A second run with the same desired records changes nothing and costs only reads. An Airflow retry plans
    again, so what an earlier attempt has written is not written twice.

    :param object_name: path such as ``accounts-receivable/customer-group``. (templated)
    :param desired: path or URI of a ``.csv``, ``.json`` or ``.jsonl`` file on any object storage that
        Airflow knows, or the records themselves, such as an upstream task returns. In a CSV file, columns are
        dotted paths (``term.id``), ``groupMembers[].id`` takes ids joined by ``|``, and an empty cell leaves
        the field alone. (templated)
    :param mode: ``create`` adds what is missing, ``update`` changes what exists, ``upsert`` does both,
        ``mirror`` also deletes what is not desired. (templated)
    :param match_on: field that pairs desired and live records. (templated)
    :param dry_run: plan and show, but write nothing. (templated)
    :param max_deletes: refuse a plan that deletes more records.
    :param max_change_percent: refuse a plan that touches more of the live records, in percent.
    :param max_rejects: how many records Intacct may refuse before the task fails. Those that it accepts are
        written either way; nothing is deleted when more are refused.
    :return: counts: ``to_create``, ``to_update``, ``to_delete``, ``unchanged``, ``skipped``, ``created``,
        ``updated``, ``deleted``, ``rejected``, ``transactions`` (billed) and ``dry_run``.
    """

    template_fields: Sequence[str] = (
        *IntacctOperator.template_fields,
        "object_name",
        "desired",
        "mode",
        "match_on",
        "plan_only",
    )

    def __init__(
        self,
        *,
        object_name: str,
        desired: str | Sequence[Mapping[str, Any]],
        mode: Mode = "upsert",
        match_on: str = "id",
        dry_run: bool = False,
        max_deletes: int | None = None,
        max_change_percent: float | None = None,
        max_rejects: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.desired = desired
        self.mode = mode
        self.match_on = match_on
        # Not under the argument's name: BaseOperator.dry_run is a method of Airflow's.
        self.plan_only = dry_run
        self.max_deletes = max_deletes
        self.max_change_percent = max_change_percent
        self.max_rejects = max_rejects

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan and, unless this is a dry run, apply."""
        with self.client(context) as client:
            dry_run = _flag("dry_run", self.plan_only)
            plan = self._plan(client)
            self.log.info("%s", plan_table(plan))
            check_guards(plan, max_deletes=self.max_deletes, max_change_percent=self.max_change_percent)
            outcome = Outcome() if dry_run else apply_plan(client, plan, max_rejects=self.max_rejects)
            counts = _counts(plan, outcome) | {"transactions": client.transactions, "dry_run": dry_run}
            self.log.info("%s", _summary(plan, counts))
            self._check_rejects(outcome)
        report_to_outlets(context, self.outlets, counts)
        return counts

    def _plan(self, client: IntacctClient) -> Plan:
        if self.mode not in MODES:
            raise IntacctArgumentError(
                f"mode must be one of {', '.join(MODES)}, not {self.mode!r}.{did_you_mean(str(self.mode), MODES)}"
            )
        records, source = self._read_desired()
        model = client.model(self.object_name)
        from_text = source.lower().endswith(".csv")
        desired = coerce(records, model, source=source, from_text=from_text, match_on=self.match_on)
        types = types_of(model)
        live = read_live(client, self.object_name, desired, types, match_on=self.match_on)
        return make_plan(
            self.object_name,
            desired,
            live,
            mode=self.mode,
            match_on=self.match_on,
            entity_id=client.config.entity_id or None,
            types=types,
        )

    def _read_desired(self) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return the desired records and what errors call them."""
        if isinstance(self.desired, str):
            return parse_desired(self.desired, _content(self.desired), match_on=self.match_on), self.desired
        check_desired(self.desired, match_on=self.match_on, source="desired")
        return self.desired, "desired"

    def _check_rejects(self, outcome: Outcome) -> None:
        if not outcome.rejects:
            return
        self.log.error("Intacct refused:\n%s", rejects_table(outcome.rejects))
        if len(outcome.rejects) > self.max_rejects:
            first = outcome.rejects[0]
            held = f", and {outcome.held} deletions were held back" if outcome.held else ""
            raise IntacctRejectedRecordsError(
                f"Intacct refused {len(outcome.rejects)} records of {self.object_name} (max_rejects is "
                f"{self.max_rejects}); the others are written{held}. First: {first.action} {first.match}: {first.error}"
            )


def _content(path: str) -> bytes:
    """Read the desired file. What is wrong with the path is told as such; a storage's hiccups may be retried."""
    try:
        with ObjectStoragePath(path).open("rb") as file:
            content: bytes = file.read()
    except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as err:
        raise IntacctArgumentError(f"desired file {path!r} cannot be read ({type(err).__name__}).") from err
    return content


def _flag(argument: str, value: Any) -> bool:
    """Read a flag that a template may have made into text."""
    text = str(value).strip().lower()
    if text not in ("true", "false"):
        raise IntacctArgumentError(f"{argument} must be True or False, not {value!r}.")
    return text == "true"


def _counts(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "to_create": len(plan.creates),
        "to_update": len(plan.updates),
        "to_delete": len(plan.deletes),
        "unchanged": plan.unchanged,
        "skipped": plan.skipped,
        "created": outcome.created,
        "updated": outcome.updated,
        "deleted": outcome.deleted,
        "rejected": len(outcome.rejects),
    }


def _summary(plan: Plan, counts: Mapping[str, Any]) -> str:
    if counts["dry_run"]:
        return f"Dry run: nothing was written to {plan.object_name}."
    done = ", ".join(
        f"{counts[name]} {name}" for name in ("created", "updated", "deleted", "unchanged", "rejected")
    )
    return f"{plan.object_name}: {done}."
