"""The outcome of applying a plan, and of each of its records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from intacct_provider.client.errors import build_error
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sync.applying.journal import RecordOutcome, Refusal

if TYPE_CHECKING:
    from intacct_provider.client.results import RecordResult
    from intacct_provider.sync.applying.rejects import Reject
    from intacct_provider.sync.plan import Step

#: Words for outcomes whose names say too little.
WORDS = {"found": "already as planned", "refused": "rejected"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying a plan did, in numbers of records.

    :param held: deletions and deactivations that were not attempted, because too many other records were rejected.
    :param found: records that were as planned before the plan was applied; nothing was written.
    :param stale: ``match_on`` values of records that were left alone, because somebody else changed them.
    :param unprocessed: those of records that Intacct left alone, because others of the same call were rejected.
    :param removed: those of records that were ``deleted`` or ``deactivated``.
    :param changed_meanwhile: those of records that somebody else changed after they were written.
    :param rejects: what Intacct rejected, or accepted and did not do.
    :param reasons: why each of ``stale`` was left alone.
    """

    created: int = 0
    updated: int = 0
    deactivated: int = 0
    deleted: int = 0
    held: int = 0
    found: int = 0
    stale: tuple[str, ...] = ()
    unprocessed: tuple[str, ...] = ()
    changed_meanwhile: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    removed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by name."""
        return {
            "created": self.created,
            "updated": self.updated,
            "deactivated": self.deactivated,
            "deleted": self.deleted,
            "held": self.held,
            "found": self.found,
            "stale": len(self.stale),
            "unprocessed": len(self.unprocessed),
            "changed_meanwhile": len(self.changed_meanwhile),
            "rejected": len(self.rejects),
        }


def collect_outcomes(
    steps: Mapping[int, Step],
    sent: Iterable[int],
    results: Sequence[RecordResult],
    *,
    done: Collection[int],
    stale: Mapping[int, str],
    sent_before: Collection[int],
) -> tuple[RecordOutcome, ...]:
    """Return the outcome of each record that a batch had left to do.

    :param steps: their steps by position.
    :param sent: positions of the steps that were sent, in the order of ``results``.
    :param results: empty if nothing had to be sent again.
    :param done: steps whose records were as planned before this attempt sent anything.
    :param stale: steps that were left out, and why.
    :param sent_before: steps that an earlier attempt may have sent.
    """
    responses = dict(zip(sent, results, strict=True)) if results else {}
    found = []
    for position, step in steps.items():
        response = responses.get(position)
        refusal = None
        if response is not None and response.ok:
            outcome = "written"
        elif position in done:
            # Also if it was rejected now: an earlier attempt wrote it, and Intacct has forgotten the idempotency key.
            outcome = "written" if position in sent_before else "found"
        elif response is not None and response.unprocessed:
            outcome = "unprocessed"
        elif response is not None and response.error is not None:
            outcome, refusal = "refused", _to_refusal(response.error)
        elif position in stale:
            outcome = "stale"
        else:
            raise AssertionError(f"{step.match!r} was neither sent nor left out")
        key = (response.key if response else None) or step.key
        reason = stale[position] if outcome == "stale" else ""
        found.append(RecordOutcome(position, step.match, outcome, key, refusal, reason))
    return tuple(found)


def rebuild_error(refusal: Refusal) -> IntacctAPIError:
    """Return the exception that a stored refusal was."""
    details = [{**detail._asdict(), "errorId": detail.error_id} for detail in refusal.details]
    body = {
        "message": refusal.message,
        "code": refusal.code,
        "errorId": refusal.error_id,
        "supportId": refusal.support_id,
        "target": refusal.target,
        "details": details,
    }
    error = build_error(refusal.status, body)
    error.hint = refusal.hint
    return error


def _to_refusal(error: IntacctAPIError) -> Refusal:
    return Refusal(**{name: getattr(error, name) for name in Refusal.__struct_fields__})
