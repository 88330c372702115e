"""The lists of the records of all ranges, described as those of one export."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, structs

from intacct_provider.export.facts import ListCompleteness
from intacct_provider.export.files.manifest import ManifestList, RangeManifest, describe_parts

#: From best to worst.
_RESULTS = ("equal", "changed meanwhile", "unproven")


def join_lists(ranges: Sequence[RangeManifest]) -> tuple[ManifestList, ...]:
    """Return what the manifest of all ranges says about their lists, which are the same in each."""
    joined = []
    for number, first in enumerate(ranges[0].lists or ()):
        parts = [part for one in ranges for part in one.staged_lists[number]]
        found = [one.lists[number].completeness for one in ranges if one.lists]
        joined.append(structs.replace(first, **describe_parts(parts), completeness=_join(found)))
    return tuple(joined)


def _join(found: Sequence[ListCompleteness]) -> ListCompleteness:
    """Return how complete a list is over all ranges: as in the one where it is least so."""
    worst = max(found, key=lambda one: _RESULTS.index(one.result))
    if worst.result == "unproven":
        return worst
    counted = sum(one.counted for one in found if one.counted is not UNSET)
    return ListCompleteness(result=worst.result, counted=counted)
