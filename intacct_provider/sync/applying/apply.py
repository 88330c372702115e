"""Carrying a plan to Intacct: what has changed since, what is written in which order, what became of each record."""

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
from intacct_provider.sync.applying.batches import TAKES_AWAY, Batch, batches_of
from intacct_provider.sync.applying.journal import Fate, Journal, Sending
from intacct_provider.sync.applying.outcomes import fates_of, refusal_error
from intacct_provider.sync.applying.rejects import Reject, reject_lines, tolerated
from intacct_provider.sync.applying.reread import read_touched
from intacct_provider.sync.applying.result import Outcome, counts_of, wanted_of
from intacct_provider.sync.applying.staleness import already_done, stale_steps
from intacct_provider.sync.applying.undo import has_lists, merged, undo_plan
from intacct_provider.sync.object_facts import types_of
from intacct_provider.sync.plan import Plan, Step
from intacct_provider.sync.records import flatten, match_text, value_at

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.batches import RecordResult

log = logging.getLogger(__name__)

_ON_STALE = ("fail", "skip")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """How the records of the steps to do are now, by position of the step.

    :param done: are as their steps want them.
    :param stale: are neither that nor what the plan saw.
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
    max_rejects: int = 0,
    max_reject_percent: float | None = None,
    fresh: bool = False,
) -> Outcome:
    """Write a plan: creations, then updates, then deactivations and deletions, 500 records a call.

    The records concerned are read again first. A record that Intacct refuses does not keep the others from being
    written. But nothing is deleted or deactivated once more were refused than the user tolerates: whatever is wrong
    then, what is live may still be needed.

    With a journal, the reverse plan is written before the first record is. Another try of the same owner goes on
    where the last one broke off: what is done is not sent again, and what was under way is sent again as it was, under
    the same idempotency keys, unless all of it can be seen. So nothing is written twice even when two tries run at
    once. When the last try came to its end, what was refused or held back then is tried anew.

    :param on_stale: ``skip`` applies the rest of a plan some of whose records are not what it saw.
    :param max_rejects: see :func:`~intacct_provider.sync.applying.rejects.tolerated`; the caller decides what to do
        about them.
    :param fresh: the plan was made a moment ago, so the first try need not read the records again.
    :raises IntacctSyncGuardError: for a plan that breaks a limit.
    :raises IntacctStalePlanError: if a record is not what the plan saw; nothing more is written.
    :raises IntacctPlanInUseError: if another owner applies the plan, or has.
    :raises IntacctError: if Intacct could not be reached half way; the journal knows how far it came.
    """
    if on_stale not in _ON_STALE:
        raise IntacctArgumentError(
            f"on_stale must be 'fail' or 'skip', not {on_stale!r}.{did_you_mean(str(on_stale), _ON_STALE)}"
        )
    if plan.breaches:
        raise IntacctSyncGuardError(
            f"The plan can not be applied. {' '.join(plan.breaches)} Nothing was written."
        )
    resumed = journal is not None and journal.begin(anew=fresh)
    run = _Run(client, plan, journal, max_rejects, max_reject_percent)
    run.look(on_stale, fresh=fresh and not resumed)
    with _keys_of(client, journal):
        return run.carry_out()


class _Run:
    """One try to apply a plan."""

    def __init__(
        self, client: IntacctClient, plan: Plan, journal: Journal | None, most: int, share: float | None
    ) -> None:
        self.client = client
        self.plan = plan
        self.journal = journal
        self.limits = (most, share)
        self.batches = batches_of(plan)
        recorded = {} if journal is None else {b.number: journal.done(b.number) for b in self.batches}
        self.fates = {number: fates for number, fates in recorded.items() if fates is not None}
        ended = journal is not None and journal.ended
        self.left = {b.number: left for b in self.batches if (left := self._left(b, ended))}
        self.seen = _Seen({})

    def look(self, on_stale: str, *, fresh: bool) -> None:
        """Read the records of the steps to do, and refuse the plan if some are not what it saw."""
        if self.journal is not None and self.journal.ended:
            self._check_end()
        left = [n for steps in self.left.values() for n in steps]
        if not left or (fresh and all(self._known(self.plan.steps[n]) for n in left)):
            return
        self.seen = self._see(left)
        if self.seen.stale and on_stale == "fail":
            raise self._stale(
                self.seen.stale, "Make a new plan, or set on_stale to 'skip' to apply the rest."
            )

    def carry_out(self) -> Outcome:
        """Send what is to be sent, batch by batch."""
        self._keep_undo()
        held = 0
        for batch in self.batches:
            if batch.number not in self.left:
                continue
            refused = self._rejects(before=batch.number)
            if batch.action in TAKES_AWAY and not tolerated(self.plan, refused, *self.limits):
                held += 0 if batch.number in self.fates else len(batch.steps)
                continue
            self.fates[batch.number] = self._fates(batch)
        outcome = self._outcome(held)
        if self.journal is not None:
            self.journal.keep_rejects(reject_lines(outcome.rejects, self.plan.match_on))
            self.journal.end(counts_of(outcome))
        return outcome

    def _left(self, batch: Batch, ended: bool) -> tuple[int, ...]:
        """Return the steps of a batch to do: what was refused as well, once a try has ended and the task is cleared."""
        fates = self.fates.get(batch.number)
        if fates is None:
            return batch.steps
        return tuple(fate.step for fate in fates if fate.refusal) if ended else ()

    def _sending(self, number: int) -> Sending | None:
        return None if self.journal is None else self.journal.sending(number)

    def _known(self, step: Step) -> bool:
        """Whether a step can be taken without another look at its record."""
        return step.action == "create" or (bool(step.key) and not self._merges(step))

    def _merges(self, step: Step) -> bool:
        """Whether the body of a step depends on what its record is now."""
        return self.plan.mode == "undo" and step.action == "update" and has_lists(step)

    def _see(self, left: Sequence[int]) -> _Seen:
        steps = self.plan.steps
        part = replace(self.plan, steps=tuple(steps[n] for n in left))
        rows = [*read_touched(self.client, part)]
        by_match = {match_text(value_at(flatten(row), self.plan.match_on)): row for row in rows}
        # The model is a billed call, which a plan does without as long as nothing has changed.
        types = self._types() if any(step.fingerprint is None for step in part.steps) else {}
        other = {step.match for step in stale_steps(part, rows, types)}
        types = types or (self._types() if other else {})
        doubtful = [n for n in left if steps[n].match in other]
        done = {n for n in doubtful if already_done(steps[n], by_match.get(steps[n].match), types)}
        return _Seen(by_match, frozenset(done), frozenset(doubtful) - done)

    def _types(self) -> dict[str, str]:
        return types_of(self.client.model(self.plan.object_name))

    def _stale(self, positions: Collection[int], advice: str) -> IntacctStalePlanError:
        steps = [self.plan.steps[n] for n in sorted(positions)]
        named = ", ".join(f"{step.match!r} {self._change(step)}" for step in steps[:_MOST_NAMED])
        more = f" and {len(steps) - _MOST_NAMED} more" if len(steps) > _MOST_NAMED else ""
        some = self.fates or any(self._sending(number) for number in self.left)
        before = "Nothing more was written" if some else "Nothing was written"
        return IntacctStalePlanError(
            f"{len(steps)} of {len(self.plan.steps)} records of {self.plan.object_name} are not what the plan saw: "
            f"{named}{more}. {before}. {advice}",
            steps,
        )

    def _change(self, step: Step) -> str:
        row = self.seen.rows.get(step.match)
        if row is None:
            return "is gone"
        if step.action == "create":
            return "is there by now"
        return "is another record now" if step.key and str(row.get("key")) != step.key else "was changed"

    def _check_end(self) -> None:
        """Refuse to say of a plan that it is applied when somebody has changed its records since."""
        written = [
            fate.step for fates in self.fates.values() for fate in fates if fate.fate in ("written", "found")
        ]
        if written:
            seen = self._see(written)
            if changed := set(written) - seen.done:
                self.seen = seen
                raise self._stale(changed, "This task has applied the plan before; make a new one.")

    def _keep_undo(self) -> None:
        """Write the reverse plan, unless an earlier try did."""
        left = {n for steps in self.left.values() for n in steps} - self.seen.done - self.seen.stale
        steps = [self._located(self.plan.steps[n]) for n in sorted(left)]
        if self.journal is None or not steps or self.journal.undo() is not None:
            return
        try:
            undo = undo_plan(self.client, self.plan, steps)
        except IntacctNotFoundError as err:
            raise IntacctStalePlanError(
                f"A record of {self.plan.object_name} that the plan deletes is gone. Nothing was written. Make a new "
                "plan."
            ) from err
        self.journal.keep_undo(undo)

    def _fates(self, batch: Batch) -> tuple[Fate, ...]:
        """Send a batch, and write down what became of each of its records."""
        # Read this late, because another try may still be alive, and have sent it meanwhile.
        before = self._sending(batch.number)
        known = {fate.step: fate for fate in self.fates.get(batch.number, ()) if not fate.refusal}
        if before and not known and self.seen.done.issuperset(before.steps):
            sending, results = before, []  # all of it was sent by an earlier try, and is there
        else:
            sending = self._to_send(batch, before)
            results = self._write(batch, sending)
        earlier = () if before is None else before.steps
        left = self.left[batch.number]
        fates = fates_of(self.plan, left, sending.steps, results, self.seen.done, self.seen.stale, earlier)
        known |= {fate.step: fate for fate in fates}
        fates = tuple(known[n] for n in batch.steps)
        if self.journal is not None:
            self.journal.record(batch.number, fates)
        counted = Counter(fate.fate for fate in fates)
        log.info(
            "Intacct: batch %d of %d of the plan for %s, to %s: %s.",
            batch.number,
            len(self.batches),
            self.plan.object_name,
            batch.action,
            ", ".join(f"{number} {fate}" for fate, number in counted.items()),
        )
        return fates

    def _to_send(self, batch: Batch, before: Sending | None) -> Sending:
        """Return what to send of a batch: the same as before, if Intacct may recognize it."""
        keyed = batch.action != "delete"  # a deletion carries no idempotency key
        again = batch.number in self.fates
        if before and keyed and not again and self._recognized(before):
            return before
        left = self.left[batch.number]
        steps = tuple(n for n in left if n not in self.seen.done and n not in self.seen.stale)
        sending = Sending(steps, dict(self._bodies(steps)))
        if self.journal is None or not steps or again or (before and not keyed):
            return sending
        written = self.journal.send(batch.number, sending, instead=before is not None)
        return written if keyed else sending

    def _recognized(self, before: Sending) -> bool:
        """Whether to send again what an earlier try may have sent: some of it may be done, and must not be repeated."""
        if self.seen.stale.intersection(before.steps):
            return False
        if not self.seen.done.intersection(before.steps):
            return True
        supported = self.client.model(self.plan.object_name).get("idempotenceSupported")
        return before.remembered and supported is not False

    def _bodies(self, steps: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for n in steps:
            step = self.plan.steps[n]
            if self._merges(step):
                yield n, merged(step, self.seen.rows[step.match])

    def _write(self, batch: Batch, sending: Sending) -> list[RecordResult]:
        if not sending.steps:
            return []
        name, steps = self.plan.object_name, [(n, self.plan.steps[n]) for n in sending.steps]
        if batch.action == "delete":
            return self.client.delete_many(name, [self._key(step) for _n, step in steps], missing_ok=True)
        bodies = [sending.bodies.get(n, step.body) for n, step in steps]
        if batch.action == "create":
            return self.client.create_many(name, bodies, with_key=False)
        keyed = [{**body, "key": self._key(step)} for body, (_n, step) in zip(bodies, steps, strict=True)]
        return self.client.update_many(name, keyed)

    def _located(self, step: Step) -> Step:
        """Return a step with the key of its record; an undo has to look it up."""
        return step if step.action == "create" else replace(step, key=self._key(step))

    def _key(self, step: Step) -> str:
        return step.key or str(self.seen.rows[step.match]["key"])

    def _rejects(self, before: int | None = None) -> list[Reject]:
        some = [fates for number, fates in sorted(self.fates.items()) if before is None or number < before]
        refused = [fate for fates in some for fate in fates if fate.refusal]
        steps = [self.plan.steps[fate.step] for fate in refused]
        return [
            Reject(step.action, step.match, refusal_error(fate.refusal), wanted_of(step))
            for fate, step in zip(refused, steps, strict=True)
            if fate.refusal
        ]

    def _outcome(self, held: int) -> Outcome:
        fates = [fate for _number, some in sorted(self.fates.items()) for fate in some]
        written = Counter(self.plan.steps[fate.step].action for fate in fates if fate.fate == "written")
        return Outcome(
            created=written["create"],
            updated=written["update"],
            deactivated=written["deactivate"],
            deleted=written["delete"],
            held=held,
            found=sum(fate.fate == "found" for fate in fates),
            stale=tuple(fate.match for fate in fates if fate.fate == "stale"),
            rejects=tuple(self._rejects()),
        )


@contextmanager
def _keys_of(client: IntacctClient, journal: Journal | None) -> Iterator[None]:
    """Let a client's idempotency keys belong to the plan and its owner, so that every try makes the same ones."""
    keys = client.idempotency
    before = keys.scopes, keys.attempt
    if journal is not None:
        keys.scopes, keys.attempt = dict.fromkeys(("POST", "PATCH"), journal.scope), uuid.uuid4().hex
    try:
        yield
    finally:
        keys.scopes, keys.attempt = before
