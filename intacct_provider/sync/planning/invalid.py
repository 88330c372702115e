"""Desired records with problems: which of them are left out, and what a mirror must not delete because of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from intacct_provider.sync.lookalikes import fold_text
from intacct_provider.sync.problems import Problem, raise_problems
from intacct_provider.sync.records import flatten, match_text

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.planning.live import Live
    from intacct_provider.sync.request import SyncRequest

log = logging.getLogger(__name__)

_Typed = Sequence[Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Desired records, sorted into good and rejected ones.

    :param desired: the records that are planned; all of them if records with problems refuse the others.
    :param typed: these records in the types of the object; None for those with problems.
    :param problems: all that are known.
    :param rejected: by place, the ids of the records that are left out.
    :param uncertain: why the ids of some records are not known; ``""`` if all are.
    """

    desired: Desired
    typed: _Typed
    problems: Sequence[Problem]
    rejected: Mapping[str, str]
    uncertain: str = ""

    @property
    def good(self) -> list[Mapping[str, Any]]:
        """The records without problems."""
        return [record for record in self.typed if record is not None]


def sort_records(
    desired: Desired, typed: _Typed, problems: Sequence[Problem], request: SyncRequest
) -> Sorted:
    """Leave out the records with problems, and those with the same id as one of them, if the request says so.

    :raises IntacctDesiredStateError: for a problem that is not one of a single record.
    """
    if request.on_invalid == "fail":
        return Sorted(desired, typed, problems, {})
    matches = {
        place: match_text(flatten(record).get(request.match_on))
        for place, record in zip(desired.places, desired.records, strict=True)
    }
    wrong = {problem.place for problem in problems}
    if not wrong <= matches.keys():
        raise_problems(desired.source, problems)
    bad = [place for place in reversed(desired.places) if place in wrong]
    first = {form: place for place in bad for form in fold_text(matches[place])}
    # Nobody knows which of two records with one id is meant.
    others = [
        Problem(
            place,
            match,
            "",
            "",
            f"has the id of {twin}, which has problems; correct both",
        )
        for place, match in matches.items()
        if place not in wrong and match and (twin := _find_twin(match, first))
    ]
    problems = [*problems, *others]
    rejected = {place: matches[place] for place in dict.fromkeys(problem.place for problem in problems)}
    kept = [place not in rejected for place in desired.places]
    return Sorted(
        desired.select(kept),
        [record for record, keep in zip(typed, kept, strict=True) if keep],
        problems,
        rejected,
        _find_uncertain(desired, rejected, problems, request),
    )


def guard_deletions(kept: Sorted, live: Live, request: SyncRequest) -> tuple[Live, SyncRequest]:
    """Return live records and request of a plan that deletes no record that may be desired.

    Those with the id of a record that was left out, or of a row marked as not to be imported, are protected. If it is
    not known which records are desired, nothing is deleted.
    """
    if request.mode != "mirror":
        return live, request
    reason = kept.uncertain
    if kept.desired.partial:
        reason = "the desired records are those that were rejected before, not all that are desired"
    if reason:
        log.warning("Nothing is deleted: %s. The plan is made in mode upsert.", reason)
        return live, replace(request, mode="upsert")
    spared = {form for match in (*kept.rejected.values(), *kept.desired.spared) for form in fold_text(match)}
    keys = {
        str(row["key"])
        for row in live.rows
        if not spared.isdisjoint(fold_text(match_text(row.get(request.match_on))))
    }
    return replace(live, protected=live.protected | keys), request


def _find_twin(match: str, places: Mapping[str, str]) -> str:
    """Return the place of the record that an id is taken for; ``""`` if there is none."""
    return next((places[form] for form in fold_text(match) if form in places), "")


def _find_uncertain(
    desired: Desired, rejected: Mapping[str, str], problems: Sequence[Problem], request: SyncRequest
) -> str:
    column = desired.column(request.match_on)
    wrong = {problem.place for problem in problems if problem.column == column}
    place = next((place for place, match in rejected.items() if not match.strip() or place in wrong), None)
    return f"it is not certain which record {place} is" if place else ""
