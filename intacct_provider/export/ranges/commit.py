"""Commits the exported ranges of many tasks as one export."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pendulum
from msgspec import UNSET, UnsetType, structs

from intacct_provider.client.keys import as_number
from intacct_provider.client.paging.control_totals import EQUAL_UNCHANGED, NOT_COMPARABLE
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctIncompleteReadError
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.facts import Completeness, RangeCompleteness, describe_task
from intacct_provider.export.files.destination import read_replaced
from intacct_provider.export.files.manifest import (
    Manifest,
    RangeManifest,
    describe_parts,
    manifest_path,
    parse_manifest,
)
from intacct_provider.export.files.named_files import check_foreign
from intacct_provider.export.files.publication import publish, remove_replaced
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.ranges.lists import join_lists
from intacct_provider.export.ranges.sink import forget_range, list_range_manifests
from intacct_provider.export.schema.columns import Column
from intacct_provider.storage.claims import Claim, Holder
from intacct_provider.storage.conditions import read_version
from intacct_provider.storage.files import ObjectStoragePath, read_small

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: Members that differ from range to range; all others must be the same.
_OWN = frozenset(
    {
        *(
            "parts",
            "rows",
            "bytes",
            "sha256",
            "first_key",
            "last_key",
            "completeness",
            "run",
            "range",
            "staged",
        ),
        *("lists", "staged_lists"),
    }
)


#: Age at which a range that was not committed is deleted by the next commit to its destination.
_LEFT = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RangeExport:
    """What one task has exported."""

    manifest: RangeManifest

    @property
    def key_range(self) -> KeyRange:
        """The range of the task."""
        return self.manifest.range

    @property
    def rows(self) -> int:
        """How many records it has."""
        return self.manifest.rows

    @property
    def lists(self) -> tuple[tuple[str, tuple[Column, ...]], ...]:
        """The lists that have files of their own, with their columns."""
        return tuple((one.name, one.columns) for one in self.manifest.lists or ())

    @property
    def tally(self) -> Tally:
        """Facts about its rows."""
        return Tally.combine(part.tally for part in self.manifest.staged)


class Ranges:
    """The ranges of one plan, exported and not yet published.

    :param exports: what the tasks returned.
    :raises IntacctArgumentError: unless they are the ranges of one plan, each of them once, and of the same query,
        columns, company and format.
    """

    def __init__(self, target: ObjectStoragePath, exports: Sequence[Mapping[str, Any]]) -> None:
        self.manifest_path = manifest_path(target)
        self.exports: list[RangeExport] = []
        self._target = target
        self._before: str | None = None
        self._digests = _parse_exports(exports)

    def find_published(self, claim: Claim) -> Manifest | None:
        """Return the manifest, if an earlier attempt has written it for just these ranges."""
        self._before = read_version(self.manifest_path)
        check_foreign(self._target, ())
        found = read_replaced(self._target, claim.holder)
        return found if found and found.run.ranges == self._digests else None

    def check(self) -> None:
        """Read what the tasks left, and make sure that it is everything, once.

        :raises IntacctArgumentError: naming what is missing, duplicate or different.
        """
        self.exports = sorted(
            (self._read(path, digest) for path, digest in self._digests.items()),
            key=lambda one: one.key_range.number,
        )
        _check_cover([one.key_range for one in self.exports])
        first = self.exports[0]
        for other in self.exports[1:]:
            _check_same(first, other)
        for one in self.exports:
            _check_keys(one)

    def check_company(self, client: IntacctClient) -> None:
        """Fail if the connection is for another company or entity than the ranges."""
        manifest, config = self.exports[0].manifest, client.config
        for name in ("company_id", "entity_id"):
            theirs, ours = getattr(manifest, name), getattr(config, name)
            if theirs != ours:
                raise IntacctArgumentError(
                    f"The ranges were exported with {name} {theirs!r}, and the commit has {ours!r}."
                )

    def publish(self, claim: Claim, completeness: Completeness, transactions: int) -> Manifest:
        """Give all parts their names and write the manifest.

        :param claim: of the destination.
        :param transactions: billed for the count.
        """
        parts = [part for one in self.exports for part in one.manifest.staged]
        everything = [part for one in self.exports for part in one.manifest.all_staged]
        runs = [one.manifest.run for one in self.exports]
        run = structs.replace(
            runs[0],
            started_at=min(one.started_at for one in runs),
            finished_at=pendulum.now("UTC").to_iso8601_string(),
            transactions=transactions + sum(one.transactions for one in runs),
            ranges=self._digests,
            task=describe_task(claim.holder),
        )
        first = self.exports[0].manifest
        common = {name: getattr(first, name) for name in Manifest.__struct_fields__}
        lists = join_lists([one.manifest for one in self.exports])
        own = {**describe_parts(parts), "lists": lists or UNSET, "completeness": completeness, "run": run}
        manifest = Manifest(**{**common, **own})
        publish(claim, everything, manifest, self._before)
        return manifest

    def forget(self, claim: Claim) -> None:
        """Delete what the tasks left for this one, and what is left of older plans."""
        remove_replaced(claim)
        for path in list_range_manifests(self._target):
            if str(path) in self._digests or _is_left(path, claim.holder):
                forget_range(self._target, path)

    def _read(self, path: str, digest: str) -> RangeExport:
        file = self._target.with_name(path.rpartition("/")[2])
        if str(file) != path or not file.name.startswith(f".{self._target.name}.r"):
            raise IntacctArgumentError(
                f"exports has {path}, which is not a range of destination {str(self._target)!r}."
            )
        content = read_small(file)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise IntacctArgumentError(
                f"{path} is gone, or is from another attempt. Clear the tasks of all ranges, and run them again."
            )
        return RangeExport(parse_manifest(content, file, RangeManifest))


def _is_left(path: ObjectStoragePath, holder: Holder) -> bool:
    """Whether nobody will commit a range: it is of the same run, or of none, or so old that its run has failed."""
    try:
        run = parse_manifest(read_small(path) or b"", path, RangeManifest).run
    except IntacctArgumentError:
        return False
    if not run.task or (run.task.dag_id, run.task.run_id) == (holder.dag_id, holder.run_id):
        return True
    return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(run.finished_at) > _LEFT


def count_again(client: IntacctClient, exports: Sequence[RangeExport]) -> Completeness:
    """Compare the ranges with what Intacct counts now over all of them.

    Each was proven complete when it was read, and together they leave no key out. So a difference is only of records
    that came or went since then.
    """
    counted = client.totals(_parse_query(exports[0].manifest)).count
    whole = Tally.combine(one.tally for one in exports)
    changed = counted != whole.rows or any(
        one.manifest.completeness.result == "changed meanwhile" for one in exports
    )
    return Completeness(
        result="changed meanwhile" if changed else "equal",
        rows=whole.rows,
        counted=counted,
        control_totals={name: str(amount) for name, amount in whole.sums.items()},
        control_totals_result=_join_results(exports),
        ranges=tuple(map(_describe_range, exports)),
    )


def _join_results(exports: Sequence[RangeExport]) -> str | UnsetType:
    """Return how the control totals of all ranges compare: as those that compare worst."""
    found = {one.manifest.completeness.control_totals_result for one in exports}
    return next((result for result in (NOT_COMPARABLE, EQUAL_UNCHANGED) if result in found), UNSET)


def _describe_range(one: RangeExport) -> RangeCompleteness:
    found = structs.asdict(one.manifest.completeness)
    del found["ranges"]
    return RangeCompleteness(**structs.asdict(one.key_range), **found)


def _parse_query(manifest: Manifest) -> Query:
    """Return the query of an export, which has checked its filters."""
    asked = manifest.query
    query = Query.build(
        manifest.object,
        ["key"],
        filters=asked.get("filters"),
        filter_expression=asked.get("filterExpression"),
        filter_parameters=asked.get("filterParameters"),
    )
    return query.trust_values()


def _parse_exports(exports: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in exports if isinstance(exports, Sequence) and not isinstance(exports, str) else [exports]:
        if not isinstance(one, Mapping) or not {"manifest", "manifest_sha256"} <= set(one):
            raise IntacctArgumentError(
                "exports must be what the tasks with a key_range returned, such as export.output of the mapped task, "
                f"not {one!r}."
            )
        if found.setdefault(one["manifest"], one["manifest_sha256"]) != one["manifest_sha256"]:
            raise IntacctArgumentError(
                f"exports has {one['manifest']} twice: two tasks have exported the same range."
            )
    if not found:
        raise IntacctArgumentError("exports is empty: no range was exported.")
    return found


def _check_cover(ranges: Sequence[KeyRange]) -> None:
    """Make sure that every key is in exactly one range."""
    of = ranges[0].of
    missing = sorted(set(range(1, of + 1)) - {one.number for one in ranges})
    if missing or len(ranges) != of:
        raise IntacctArgumentError(f"exports has {len(ranges)} of {of} ranges; missing: {missing}.")
    for one, following in pairwise(ranges):
        if one.upto != following.above or one.of != following.of:
            raise IntacctArgumentError(
                f"exports has ranges of different plans: range {one.number} goes up to key {one.upto}, and range "
                f"{following.number} begins above {following.above}. Clear the plan and all of its ranges."
            )


def _check_same(first: RangeExport, other: RangeExport) -> None:
    for name in sorted(set(RangeManifest.__struct_fields__) - _OWN):
        if getattr(first.manifest, name) != getattr(other.manifest, name):
            raise _report_difference(first, other, name)
    if first.lists != other.lists:
        raise _report_difference(first, other, "set of lists")


def _report_difference(first: RangeExport, other: RangeExport, name: str) -> IntacctArgumentError:
    return IntacctArgumentError(
        f"Range {other.key_range.number} was exported with another {name} than range {first.key_range.number}. "
        "Clear the tasks of all ranges, and run them again."
    )


def _check_keys(one: RangeExport) -> None:
    """Make sure that a range has no record of another one."""
    tally, (above, upto) = one.tally, (one.key_range.above, one.key_range.upto)
    below = None not in (above, tally.first_key) and not _is_above(tally.first_key, above)
    beyond = None not in (upto, tally.last_key) and not _is_above(upto, tally.last_key, or_same=True)
    if below or beyond:
        raise IntacctIncompleteReadError(
            f"Range {one.key_range.number} has keys from {tally.first_key} to {tally.last_key}, and should have those "
            f"above {above} and up to {upto}: Intacct ignored the filter on key. Export it in one task."
        )


def _is_above(key: str | None, other: str | None, *, or_same: bool = False) -> bool:
    """Whether one key is above another one; not if one of them is not a number."""
    left, right = as_number(key), as_number(other)
    return left is not None and right is not None and (left > right or (or_same and left == right))
