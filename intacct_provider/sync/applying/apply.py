"""Applying a plan: what changed since, what is written in which order, and the outcome of each record."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctNotFoundError,
    IntacctStalePlanError,
    IntacctSyncGuardError,
)
from intacct_provider.sync.applying.batches import REMOVALS, Batch, split_batches
from intacct_provider.sync.applying.current import (
    Current,
    build_stale_error,
    describe_changes,
    read_current,
    recheck_selection,
)
from intacct_provider.sync.applying.journal import Journal, Moments, RecordOutcome, Sending
from intacct_provider.sync.applying.outcomes import WORDS, Outcome, collect_outcomes
from intacct_provider.sync.applying.rejects import Reject, Tolerance, encode_rejects
from intacct_provider.sync.applying.summary import list_rejects, sum_up
from intacct_provider.sync.applying.undo import build_merge, changes_list
from intacct_provider.sync.applying.undo_file import UndoFile
from intacct_provider.sync.applying.verify import verify_steps
from intacct_provider.sync.plan import Plan, Step

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.results import RecordResult

log = logging.getLogger(__name__)

_ON_STALE = ("fail", "skip")


def apply_plan(
    client: IntacctClient,
    plan: Plan,
    *,
    journal: Journal | None = None,
    on_stale: Literal["fail", "skip"] = "fail",
    tolerance: Tolerance = Tolerance(),  # noqa: B008 - frozen
    fresh: bool = False,
    verify: bool = True,
) -> Outcome:
    """Write a plan: creations, then updates, then deactivations and deletions, 500 records a call.

    The records are read again first, and the plan's scope and protection asked again. A record that Intacct rejects
    does not keep the others from being written. But nothing is deleted or deactivated once more were rejected than is
    tolerated: the cause is unknown then, and what is live may still be needed.

    With a journal, the reverse plan is written before the first record is. Another attempt of the same owner continues
    where the last one ended: what is done is not sent again, and what was in flight is sent again as it was, under the
    same idempotency keys, unless its records show that all of it was written. So nothing is written twice, even by two
    attempts at once. If the last attempt completed, what was rejected, not processed or held back then is retried.

    Afterwards the records that were written are read once more. What Intacct accepted and did not do counts as
    rejected; what somebody else changed since does not.

    :param on_stale: ``skip`` applies the rest of a plan if some of its records changed since the plan was made.
    :param tolerance: how many rejected records are tolerated; the caller decides whether to fail for them.
    :param fresh: the plan was just made, so the first attempt need not read the records again. It asks for scope and
        protection only, and leaves alone what must not be touched any more.
    :param verify: whether to read the records that were written once more.
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
        run.write()
    return run.finish(verify=verify)


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
        self.moments: dict[int, Moments] = {}
        self.completed = journal is not None and journal.ended
        self.confirmed: frozenset[int] = frozenset()
        self.left = {batch.number: left for batch in self.batches if (left := self._list_left(batch))}
        sent = {number: self._get_sending(number) for number in self.left.keys() - self.outcomes.keys()}
        self.in_flight = {number: {*sending.steps} for number, sending in sent.items() if sending}
        self.current = Current()
        self.held = 0

    def check_records(self, on_stale: str, *, fresh: bool) -> None:
        """Read the records of the remaining steps, and fail if some changed since the plan was made."""
        if self.completed:
            self._check_completed()
        left = [n for steps in self.left.values() for n in steps]
        if not left:
            return
        if fresh and not any(self._needs_row(self.plan.steps[n]) for n in left):
            # Nobody has approved the plan, so these are left alone, as by a plan that is made now.
            self.current = recheck_selection(self.client, self.plan, left)
            return
        self.current = read_current(self.client, self.plan, left)
        if self.current.stale and on_stale == "fail":
            more = bool(self.outcomes or self.in_flight)
            advice = "Make a new plan, or set on_stale to 'skip' to apply the rest."
            raise build_stale_error(self.plan, self.current.stale, more=more, advice=advice)

    def write(self) -> None:
        """Send what is left, batch by batch."""
        undo = self._prepare_undo()
        self._publish_undo(undo)
        for batch in self.batches:
            if batch.number not in self.left:
                continue
            rejected = self._list_rejects(before=batch.number)
            unprocessed = any(one.unprocessed for one in self._list_outcomes(batch.number))
            if batch.action in REMOVALS and (
                unprocessed or not self.tolerance.allows(len(self.plan.steps), rejected)
            ):
                self.held += 0 if batch.number in self.outcomes else len(batch.steps)
                continue
            self.outcomes[batch.number] = self._write_batch(batch, undo)
            self.in_flight.pop(batch.number, None)
        self._publish_undo(undo)

    def finish(self, *, verify: bool) -> Outcome:
        """Look whether the records are as planned, and return the outcome of all of them."""
        written = self._list_written() if verify else {}
        deviations = verify_steps(self.client, self.plan, written, self._list_moments()) if written else []
        outcome = sum_up(self.plan, self._list_outcomes(), deviations, self.held)
        if self.journal is not None:
            self.journal.keep_rejects(encode_rejects(outcome.rejects, self.plan.match_on))
            self.journal.end(outcome.counts, [one.step for one in deviations])
        return outcome

    def _list_written(self) -> dict[int, Step]:
        """Return the steps that were written, but for those that are known to be as planned, with their keys."""
        written = [one for one in self._list_outcomes() if one.outcome == "written"]
        steps = {one.step: replace(self.plan.steps[one.step], key=one.key) for one in written}
        return {n: step for n, step in steps.items() if n not in self.confirmed}

    def _list_moments(self) -> dict[int, Moments]:
        """Return when each step was written, in this attempt or an earlier one."""
        moments: dict[int, Moments] = {}
        for batch in self.batches:
            known = self.moments.get(batch.number)
            if known is None and self.journal is not None:
                known = self.journal.moments(batch.number)
            moments |= dict.fromkeys(batch.steps, known or Moments())
        return moments

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

    def _check_completed(self) -> None:
        """Fail, rather than report a plan as applied, if its records were changed since."""
        deviating = () if self.journal is None else self.journal.deviating
        outcomes = [one for one in self._list_outcomes() if one.step not in deviating]
        written = [one.step for one in outcomes if one.outcome in ("written", "found")]
        if written:
            current = read_current(self.client, self.plan, written)
            self.confirmed = current.done
            if changed := set(written) - current.done:
                reasons = describe_changes(current, self.plan, changed)
                advice = "This task has applied the plan before; make a new one."
                raise build_stale_error(self.plan, reasons, more=True, advice=advice)

    def _prepare_undo(self) -> UndoFile | None:
        """Write the reverse plan, unless an earlier attempt did."""
        if self.journal is None:
            return None
        left = (
            {n for steps in self.left.values() for n in steps} - self.current.done - self.current.stale.keys()
        )
        undo = UndoFile(self.journal, self.plan)
        try:
            undo.prepare(self.client, [self._add_key(self.plan.steps[n]) for n in sorted(left)])
        except IntacctNotFoundError as error:
            raise IntacctStalePlanError(
                f"A record of {self.plan.object_name} that the plan deletes no longer exists. Nothing was written. "
                "Make a new plan."
            ) from error
        return undo

    def _publish_undo(self, undo: UndoFile | None) -> None:
        """Write the reverse of what was written, and of what is in flight."""
        if undo is not None:
            in_flight = {self.plan.steps[n].match for steps in self.in_flight.values() for n in steps}
            written = {one.match for one in self._list_outcomes() if one.outcome == "written"}
            undo.publish(written | in_flight)

    def _write_batch(self, batch: Batch, undo: UndoFile | None) -> tuple[RecordOutcome, ...]:
        """Send a batch, and write the outcome of each of its records to the journal."""
        # Read this late, because another attempt may still be running, and have sent it meanwhile.
        before = self._get_sending(batch.number)
        known = {one.step: one for one in self.outcomes.get(batch.number, ()) if not _can_be_retried(one)}
        if before and not known and self.current.done.issuperset(before.steps):
            sending, results = before, []  # an earlier attempt has written all of it
        else:
            sending = self._choose_sending(batch, before)
            self.in_flight[batch.number] = {*sending.steps, *(before.steps if before else ())}
            self._publish_undo(undo)
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
        outcomes = tuple(self._fill_key(known[n]) for n in batch.steps)
        if self.journal is not None:
            self.journal.record(batch.number, outcomes, self.moments.get(batch.number, Moments()))
        self._log_batch(batch, outcomes)
        return outcomes

    def _fill_key(self, outcome: RecordOutcome) -> RecordOutcome:
        """Return an outcome with the key of its record, which an undo does not know."""
        step = self.plan.steps[outcome.step]
        if outcome.key or step.action == "create":
            return outcome
        return msgspec.structs.replace(outcome, key=self.current.get_key(step))

    def _log_batch(self, batch: Batch, outcomes: Sequence[RecordOutcome]) -> None:
        counts = Counter(one.outcome for one in outcomes)
        log.info(
            "Intacct: batch %d of %d of the plan for %s, to %s: %s.",
            batch.number,
            len(self.batches),
            self.plan.object_name,
            batch.action,
            ", ".join(f"{number} {WORDS.get(outcome, outcome)}" for outcome, number in counts.items()),
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
        if not self.current.stale.keys().isdisjoint(before.steps):
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
        began = time.monotonic()
        results = self._call(batch, sending)
        took = time.monotonic() - began
        server_time = self.client.server_time
        self.moments[batch.number] = Moments(server_time(took) or "", server_time() or "")
        return results

    def _call(self, batch: Batch, sending: Sending) -> list[RecordResult]:
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

    def _list_rejects(self, before: int) -> list[Reject]:
        return list_rejects(self.plan, self._list_outcomes(before))


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
