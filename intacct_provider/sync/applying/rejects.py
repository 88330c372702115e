"""Records that Intacct refused: for the log, for the decision to go on, and as a file to correct and give again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intacct_provider.client.http.codec import encode
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sync.problems import REJECT
from intacct_provider.sync.records import flatten, unflatten

if TYPE_CHECKING:
    from intacct_provider.sync.plan import Plan


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that Intacct refused.

    :param action: ``create``, ``update``, ``deactivate`` or ``delete``.
    :param match: value of the field that identifies the record.
    :param error: Intacct's refusal.
    :param record: what was sent, nested; empty for a deletion.
    """

    action: str
    match: str
    error: IntacctAPIError
    record: Mapping[str, Any] = field(default_factory=dict)


def tolerated(
    plan: Plan, rejects: Sequence[Reject], max_rejects: int = 0, max_reject_percent: float | None = None
) -> bool:
    """Tell whether the user accepts that so many records were refused.

    :param max_rejects: so many are accepted whatever their share is.
    :param max_reject_percent: so many percent of the records that the plan writes are accepted, whatever their number.
    """
    share = (max_reject_percent or 0) / 100 * len(plan.steps)
    return len(rejects) <= max(max_rejects, share)


def rejects_table(rejects: Sequence[Reject], *, limit: int = 50) -> str:
    """Return refused records as a markdown table: which, why, and what to tell Sage support."""
    lines = ["| action | id | status | reason |", "| --- | --- | --- | --- |"]
    for reject in rejects[:limit]:
        cells = (reject.action, reject.match, str(reject.error.status), str(reject.error))
        lines.append(
            f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
        )
    if len(rejects) > limit:
        lines.append(f"{len(rejects) - limit} more are not shown.")
    return "\n".join(lines)


def reject_lines(rejects: Sequence[Reject], match_on: str) -> Iterator[bytes]:
    """Yield one line of JSON per refused record: what was wanted of it, and why it was refused.

    Corrected, the lines are desired records again: :data:`REJECT` need not be taken out.
    """
    for reject in rejects:
        error = reject.error
        why = {
            "action": reject.action,
            "status": error.status,
            "code": error.error_id or error.code,
            "message": _said(error),
            "field": error.target.strip("/").replace("/", "."),
            "support_id": error.support_id,
        }
        wanted = unflatten({match_on: reject.match, **flatten(reject.record)})
        yield encode({**wanted, REJECT: why}) + b"\n"


def _said(error: IntacctAPIError) -> str:
    causes = "; ".join(text for text, _error_id, _target in error.details if text)
    said = f"{error.message}: {causes}" if causes else error.message
    return f"{said} {error.hint}" if error.hint else said
