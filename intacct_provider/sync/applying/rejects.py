"""Records that Intacct rejected: how many are tolerated, a table for the log, and a file to correct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intacct_provider.client.http.codec import encode
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sync.numbers import read_limits
from intacct_provider.sync.problems import REJECT
from intacct_provider.sync.records import flatten, unflatten

if TYPE_CHECKING:
    from intacct_provider.sync.plan import FieldChange, Step


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many rejected records are tolerated; the larger of both numbers counts.

    :param max_rejects: this many, whatever their share is.
    :param max_reject_percent: this many percent of the records that are written, whatever their number.
    :param invalid: records that were left out when the plan was made and count too.
    """

    max_rejects: int = 0
    max_reject_percent: float | None = None
    invalid: int = 0

    def __post_init__(self) -> None:
        read_limits(self, ("max_rejects",), ("max_reject_percent",))
        if self.max_rejects is None:
            object.__setattr__(self, "max_rejects", 0)

    def allows(self, records: int, rejects: Sequence[Reject]) -> bool:
        """Return whether this many rejected records are tolerated.

        :param records: how many were to be written.
        """
        share = (self.max_reject_percent or 0) / 100 * (records + self.invalid)
        return len(rejects) + self.invalid <= max(self.max_rejects, share)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that Intacct rejected.

    :param action: ``create``, ``update``, ``deactivate`` or ``delete``.
    :param match: value of the field that identifies the record.
    :param error: Intacct's refusal.
    :param record: what was sent, nested; empty for a deletion.
    :param differing: fields that Intacct accepted and did not write: ``old`` was found, ``new`` is wanted.
    """

    action: str
    match: str
    error: IntacctAPIError
    record: Mapping[str, Any] = field(default_factory=dict)
    differing: tuple[FieldChange, ...] = ()


def build_desired(step: Step) -> dict[str, Any]:
    """Return what a step writes as a desired record."""
    changed = {change.path: change.new for change in step.changes if step.body}
    return unflatten({**flatten(step.body), **changed})


def format_rejects(rejects: Sequence[Reject], *, limit: int = 50) -> str:
    """Return rejected records as a markdown table: which, why, and what to tell Sage support."""
    lines = ["| action | id | status | reason |", "| --- | --- | --- | --- |"]
    for reject in rejects[:limit]:
        cells = (reject.action, reject.match, str(reject.error.status), str(reject.error))
        escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
        lines.append(f"| {' | '.join(escaped)} |")
    if len(rejects) > limit:
        lines.append(f"{len(rejects) - limit} more are not shown.")
    return "\n".join(lines)


def encode_rejects(rejects: Sequence[Reject], match_on: str) -> Iterator[bytes]:
    """Yield one line of JSON per rejected record: what it should have become, and why Intacct rejected.

    Once corrected, the lines are desired records; :data:`REJECT` is ignored then.
    """
    for reject in rejects:
        error = reject.error
        why: dict[str, Any] = {
            "action": reject.action,
            "status": error.status,
            "code": error.error_id or error.code,
            "message": _describe_error(error),
            "field": error.target.strip("/").replace("/", "."),
            "support_id": error.support_id,
        }
        if reject.differing:
            why["differing"] = [{"field": c.path, "wanted": c.new, "found": c.old} for c in reject.differing]
        named = {match_on: reject.match} if reject.match else {}
        record = unflatten({**named, **flatten(reject.record)})
        yield encode({**record, REJECT: why}) + b"\n"


def _describe_error(error: IntacctAPIError) -> str:
    causes = "; ".join(detail.text for detail in error.details if detail.text)
    text = f"{error.message}: {causes}" if causes else error.message
    return f"{text} {error.hint}" if error.hint else text
