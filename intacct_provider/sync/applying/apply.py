"""Applying a plan: what changed since, what is written in which order, and the outcome of each record."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctNotFoundError,
    IntacctStalePlanError,
    IntacctSyncGuardError,
)
from intacct_provider.sync.applying.batches import REMOVALS, Batch, split_batches
from intacct_provider.sync.applying.journal import Journal, RecordOutcome, Sending
from intacct_provider.sync.applying.outcomes import Outcome, collect_outcomes, rebuild_error
from intacct_provider.sync.applying.rejects import Reject, Tolerance, build_desired, encode_rejects
from intacct_provider.sync.applying.reread import reread_records
from intacct_provider.sync.applying.staleness import find_stale_steps, is_done
from intacct_provider.sync.applying.undo import build_merge, changes_list, reverse_plan
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.plan import Plan, Step
from intacct_provider.sync.records import flatten, match_text, value_at

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.results import RecordResult

log = logging.getLogger(__name__)

_ON_STALE = ("fail", "skip")
_MAX_NAMED = 5
_WORDS = {"found": "already as planned", "refused": "rejected"}


@dataclass(frozen=True, slots=True)
class _Current:
    """How the records of the remaining steps are now, by position of the step.

    :param rows: the records by match value.
    :param done: steps whose records are as planned.
    :param stale: steps whose records are neither as planned nor as they were when the plan was made.
    """

    rows: Mapping[str, Mapping[str, Any]]
    done: frozenset[int] = frozenset()
    stale: frozenset[int] = frozenset()


def apply_plan(
    client: IntacctClient,
    plan: Plan,
    *,
    journal: Journal | None = None,
    on_stale: Literal["fail", "skip"] = "fail",
    tolerance: Tolerance = Tolerance(),  # noqa: B008 - frozen
    fresh: bool = False,
) -> Outcome:
    """Write a plan: creations, then updates, then deactivations and deletions, 500 records a call.

    The records are read again first. A record that Intacct rejects does not keep the others from being written. But
    nothing is deleted or deactivated once more were rejected than is tolerated: the cause is unknown then, and what is
    live may still be needed.

    With a journal, the reverse plan is written before the first record is. Another attempt of the same owner continues
    where the last one ended: what is done is not sent again, and what was in flight is sent again as it was, under the
    same idempotency keys, unless its records show that all of it was written. So nothing is written twice, even by two
    attempts at once. If the last attempt completed, what was rejected, not processed or held back then is retried.

    :param on_stale: ``skip`` applies the rest of a plan if some of its records changed since the plan was made.
    :param tolerance: how many rejected records are tolerated; the caller decides whether to fail for them.
    :param fresh: the plan was just made, so the first attempt need not read the records again.
    :raises IntacctSyncGuardError: for a plan that exceeds a limit.
    :raises IntacctStalePlanError: if a record changed since the plan was made; nothing more is written.
    :raises IntacctPlanInUseError: if another owner applies the plan, or has applied it.
    :raises IntacctError: if Intacct could not be reached; the journal knows what is written.
    """
    if on_stale not in _ON_STALE:
        raise IntacctArgumentError(
            f"on_stale must be 'fail' or 'skip', not {on_stale!r}.{did_you_mean(str(on_stale), _ON_STALE)}"
        )
    if plan.breaches:
        raise IntacctSyncGuardError(
            f"The plan cannot be applied. {' '.join(plan.breaches)} Nothing was written."
        )
    resumed = journal is not None and journal.begin(fresh=fresh)
    run = _Run(client, plan, journal, tolerance)
    run.check_records(on_stale, fresh=fresh and not resumed)
    with _use_plan_keys(client, journal):
        return run.write()


class _Run:
    """One attempt to apply a plan."""

    def __init__(
        self, client: IntacctClient, plan: Plan, journal: Journal | None, tolerance: Tolerance
    ) -> None:
        self.client = client
        self.plan = plan
        self.journal = journal
        self.tolerance = tolerance
        self.batches = split_batches(plan)
        recorded = {} if journal is None else {b.number: journal.done(b.number) for b in self.batches}
        self.outcomes = {number: outcomes for number, outcomes in recorded.items() if outcomes is not None}
        self.completed = journal is not None and journal.ended
        self.left = {batch.number: left for batch in self.batches if (left := self._list_left(batch))}
        self.current = _Current({})

    def check_records(self, on_stale: str, *, fresh: bool) -> None:
        """Read the records of the remaining steps, and fail if some changed since the plan was made."""
        if self.completed:
            self._check_completed()
        left = [n for steps in self.left.values() for n in steps]
        if not left or (fresh and not any(self._needs_row(self.plan.steps[n]) for n in left)):
            return
        self.current = self._read_current(left)
        if self.current.stale and on_stale == "fail":
            advice = "Make a new plan, or set on_stale to 'skip' to apply the rest."
            raise self._stale_error(self.current.stale, advice)

    def write(self) -> Outcome:
        """Send what is left, batch by batch."""
        self._keep_undo()
        held = 0
        for batch in self.batches:
            if batch.number not in self.left:
                continue
            rejected = self._list_rejects(before=batch.number)
            unprocessed = any(self._list_unprocessed(before=batch.number))
            if batch.action in REMOVALS and (unprocessed or not self.tolerance.allows(self.plan, rejected)):
                held += 0 if batch.number in self.outcomes else len(batch.steps)
                continue
            self.outcomes[batch.number] = self._write_batch(batch)
        outcome = self._sum_up(held)
        if self.journal is not None:
            self.journal.keep_rejects(encode_rejects(outcome.rejects, self.plan.match_on))
            self.journal.end(outcome.counts)
        return outcome

    def _list_left(self, batch: Batch) -> tuple[int, ...]:
        """Return the remaining steps of a batch; those that were not written, too, if the last attempt completed."""
        outcomes = self.outcomes.get(batch.number)
        if outcomes is None:
            return batch.steps
        return tuple(one.step for one in outcomes if _can_be_retried(one)) if self.completed else ()

    def _get_sending(self, number: int) -> Sending | None:
        return None if self.journal is None else self.journal.sending(number)

    def _needs_row(self, step: Step) -> bool:
        """Return whether a step can be applied only when its record has been read."""
        return step.action != "create" and (not step.key or self._is_merge(step))

    def _is_merge(self, step: Step) -> bool:
        """Return whether the body of a step depends on what its record is now."""
        return self.plan.mode == "undo" and step.action == "update" and changes_list(step)

    def _read_current(self, positions: Sequence[int]) -> _Current:
        steps = self.plan.steps
        part = replace(self.plan, steps=tuple(steps[n] for n in positions))
        rows = reread_records(self.client, part)
        by_match = {match_text(value_at(flatten(row), self.plan.match_on)): row for row in rows}
        # The model is a billed call, which a plan does without as long as nothing has changed.
        types = self._read_types() if any(step.fingerprint is None for step in part.steps) else {}
        changed = {step.match for step in find_stale_steps(part, rows, types)}
        types = types or (self._read_types() if changed else {})
        differing = [n for n in positions if steps[n].match in changed]
        done = {n for n in differing if is_done(steps[n], by_match.get(steps[n].match), types)}
        return _Current(by_match, frozenset(done), frozenset(differing) - done)

    def _read_types(self) -> dict[str, str]:
        return collect_types(self.client.model(self.plan.object_name))

    def _stale_error(self, positions: Collection[int], advice: str) -> IntacctStalePlanError:
        steps = [self.plan.steps[n] for n in sorted(positions)]
        named = ", ".join(f"{step.match!r} {self._describe_change(step)}" for step in steps[:_MAX_NAMED])
        more = f" and {len(steps) - _MAX_NAMED} more" if len(steps) > _MAX_NAMED else ""
        some = self.outcomes or any(self._get_sending(number) for number in self.left)
        written = "Nothing more was written" if some else "Nothing was written"
        return IntacctStalePlanError(
            f"{len(steps)} of {len(self.plan.steps)} records of {self.plan.object_name} changed since the plan was "
            f"made: {named}{more}. {written}. {advice}",
            steps,
        )

    def _describe_change(self, step: Step) -> str:
        row = self.current.rows.get(step.match)
        if row is None:
            return "no longer exists"
        if step.action == "create":
            return "exists now"
        return "is another record now" if step.key and str(row.get("key")) != step.key else "was changed"

    def _check_completed(self) -> None:
        """Fail, rather than report a plan as applied, if its records were changed since."""
        outcomes = [one for outcomes in self.outcomes.values() for one in outcomes]
        written = [one.step for one in outcomes if one.outcome in ("written", "found")]
        if written:
            current = self._read_current(written)
            if changed := set(written) - current.done:
                self.current = current
                raise self._stale_error(changed, "This task has applied the plan before; make a new one.")

    def _keep_undo(self) -> None:
        """Write the reverse plan, unless an earlier attempt did."""
        left = {n for steps in self.left.values() for n in steps} - self.current.done - self.current.stale
        steps = [self._add_key(self.plan.steps[n]) for n in sorted(left)]
        if self.journal is None or not steps or self.journal.undo() is not None:
            return
        try:
            undo = reverse_plan(self.client, self.plan, steps)
        except IntacctNotFoundError as error:
            raise IntacctStalePlanError(
                f"A record of {self.plan.object_name} that the plan deletes no longer exists. Nothing was written. "
                "Make a new plan."
            ) from error
        self.journal.keep_undo(undo)

    def _write_batch(self, batch: Batch) -> tuple[RecordOutcome, ...]:
        """Send a batch, and write the outcome of each of its records to the journal."""
        # Read this late, because another attempt may still be running, and have sent it meanwhile.
        before = self._get_sending(batch.number)
        known = {one.step: one for one in self.outcomes.get(batch.number, ()) if not _can_be_retried(one)}
        if before and not known and self.current.done.issuperset(before.steps):
            sending, results = before, []  # an earlier attempt has written all of it
        else:
            sending = self._choose_sending(batch, before)
            results = self._send(batch, sending)
        found = collect_outcomes(
            {n: self.plan.steps[n] for n in self.left[batch.number]},
            sending.steps,
            results,
            done=self.current.done,
            stale=self.current.stale,
            sent_before=() if before is None else before.steps,
        )
        known |= {one.step: one for one in found}
        outcomes = tuple(known[n] for n in batch.steps)
        if self.journal is not None:
            self.journal.record(batch.number, outcomes)
        self._log_batch(batch, outcomes)
        return outcomes

    def _log_batch(self, batch: Batch, outcomes: Sequence[RecordOutcome]) -> None:
        counts = Counter(one.outcome for one in outcomes)
        log.info(
            "Intacct: batch %d of %d of the plan for %s, to %s: %s.",
            batch.number,
            len(self.batches),
            self.plan.object_name,
            batch.action,
            ", ".join(f"{number} {_WORDS.get(outcome, outcome)}" for outcome, number in counts.items()),
        )

    def _choose_sending(self, batch: Batch, before: Sending | None) -> Sending:
        """Return what to send of a batch: the same as before, if Intacct may recognize it."""
        keyed = batch.action != "delete"  # a deletion carries no idempotency key
        again = batch.number in self.outcomes
        if before and keyed and not again and self._may_be_recognized(before):
            return before
        left = self.left[batch.number]
        steps = tuple(n for n in left if n not in self.current.done and n not in self.current.stale)
        sending = Sending(steps, dict(self._build_merges(steps)))
        if self.journal is None or not steps or again or (before and not keyed):
            return sending
        written = self.journal.send(batch.number, sending, instead=before is not None)
        return written if keyed else sending

    def _may_be_recognized(self, before: Sending) -> bool:
        """Return whether to send again what an earlier attempt may have sent; what is done must not be repeated."""
        if self.current.stale.intersection(before.steps):
            return False
        if not self.current.done.intersection(before.steps):
            return True
        supported = self.client.model(self.plan.object_name).get("idempotenceSupported")
        return before.remembered and supported is not False

    def _build_merges(self, positions: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for n in positions:
            step = self.plan.steps[n]
            if self._is_merge(step):
                yield n, build_merge(step, self.current.rows[step.match])

    def _send(self, batch: Batch, sending: Sending) -> list[RecordResult]:
        if not sending.steps:
            return []
        name, steps = self.plan.object_name, [(n, self.plan.steps[n]) for n in sending.steps]
        if batch.action == "delete":
            return self.client.delete_many(name, [self._get_key(step) for _n, step in steps], missing_ok=True)
        bodies = [sending.bodies.get(n, step.body) for n, step in steps]
        if batch.action == "create":
            return self.client.create_many(name, bodies, with_key=False)
        keyed = [{**body, "key": self._get_key(step)} for body, (_n, step) in zip(bodies, steps, strict=True)]
        return self.client.update_many(name, keyed)

    def _add_key(self, step: Step) -> Step:
        """Return a step with the key of its record, which an undo has to look up."""
        return step if step.action == "create" else replace(step, key=self._get_key(step))

    def _get_key(self, step: Step) -> str:
        return step.key or str(self.current.rows[step.match]["key"])

    def _list_outcomes(self, before: int | None = None) -> list[RecordOutcome]:
        """Return the outcomes of records so far, or those of the batches before one."""
        some = [found for number, found in sorted(self.outcomes.items()) if before is None or number < before]
        return [one for found in some for one in found]

    def _list_unprocessed(self, before: int | None = None) -> list[str]:
        return [one.match for one in self._list_outcomes(before) if one.unprocessed]

    def _list_rejects(self, before: int | None = None) -> list[Reject]:
        rejected = [
            (one.refusal, self.plan.steps[one.step]) for one in self._list_outcomes(before) if one.refusal
        ]
        return [
            Reject(step.action, step.match, rebuild_error(refusal), build_desired(step))
            for refusal, step in rejected
        ]

    def _sum_up(self, held: int) -> Outcome:
        outcomes = self._list_outcomes()
        written = Counter(self.plan.steps[one.step].action for one in outcomes if one.outcome == "written")
        return Outcome(
            created=written["create"],
            updated=written["update"],
            deactivated=written["deactivate"],
            deleted=written["delete"],
            held=held,
            found=sum(one.outcome == "found" for one in outcomes),
            stale=tuple(one.match for one in outcomes if one.outcome == "stale"),
            unprocessed=tuple(self._list_unprocessed()),
            rejects=tuple(self._list_rejects()),
            removed=self._name_removed(),
        )

    def _name_removed(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for one in self._list_outcomes():
            action = self.plan.steps[one.step].action
            if action in REMOVALS and one.outcome == "written":
                found[f"{action}d"] = (*found.get(f"{action}d", ()), one.match)
        return found


def _can_be_retried(outcome: RecordOutcome) -> bool:
    """Whether a record was not written, and nobody else changed it."""
    return outcome.refusal is not None or outcome.unprocessed


@contextmanager
def _use_plan_keys(client: IntacctClient, journal: Journal | None) -> Iterator[None]:
    """Derive a client's idempotency keys from the plan and its owner, so that every attempt makes the same ones."""
    keys = client.idempotency
    before = keys.scopes, keys.attempt
    if journal is not None:
        keys.scopes, keys.attempt = dict.fromkeys(("POST", "PATCH"), journal.scope), uuid.uuid4().hex
    try:
        yield
    finally:
        keys.scopes, keys.attempt = before
