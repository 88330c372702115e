"""What became of each record of a batch, and refusals as they are kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.errors import build_error
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sync.applying.journal import Fate, Refusal

if TYPE_CHECKING:
    from intacct_provider.client.batches import RecordResult
    from intacct_provider.sync.plan import Plan


def fates_of(
    plan: Plan,
    steps: Sequence[int],
    sent: Sequence[int],
    results: Sequence[RecordResult],
    done: Collection[int],
    stale: Collection[int],
    earlier: Collection[int],
) -> tuple[Fate, ...]:
    """Return what became of each record that a batch had left to do.

    :param steps: positions of their steps.
    :param sent: positions of the steps that were sent, in the order of ``results``.
    :param results: nothing, if none had to be sent again.
    :param done: steps whose records were as wanted before this try sent anything.
    :param stale: steps that were left out.
    :param earlier: steps that an earlier try may have sent.
    """
    answers = dict(zip(sent, results, strict=True)) if results else {}
    return tuple(_fate(plan, n, answers.get(n), n in done, n in stale, n in earlier) for n in steps)


def _fate(
    plan: Plan, position: int, answer: RecordResult | None, done: bool, stale: bool, earlier: bool
) -> Fate:
    step = plan.steps[position]
    key = (answer.key if answer else None) or step.key
    if answer is not None and answer.ok:
        return Fate(position, step.match, "written", key)
    if done:
        # Also when it was refused now: an earlier try has written it, and Intacct does not remember.
        return Fate(position, step.match, "written" if earlier else "found", key)
    if answer is not None and answer.error is not None:
        return Fate(position, step.match, "refused", key, _refusal(answer.error))
    if not stale:
        raise AssertionError(f"{step.match!r} was neither sent nor left out")
    return Fate(position, step.match, "stale", key)


def _refusal(error: IntacctAPIError) -> Refusal:
    return Refusal(
        message=error.message,
        status=error.status,
        code=error.code,
        error_id=error.error_id,
        support_id=error.support_id,
        target=error.target,
        details=error.details,
        hint=error.hint,
    )


def refusal_error(refusal: Refusal) -> IntacctAPIError:
    """Return the exception that a kept refusal was."""
    error = build_error(
        refusal.status,
        {
            "message": refusal.message,
            "code": refusal.code,
            "errorId": refusal.error_id,
            "supportId": refusal.support_id,
            "target": refusal.target,
            "details": [
                {"message": text, "errorId": error_id, "target": target}
                for text, error_id, target in refusal.details
            ],
        },
    )
    error.hint = refusal.hint
    return error
