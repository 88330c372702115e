"""One export of the ranges that many tasks have exported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pendulum

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctIncompleteReadError
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.files.manifest import encoded, manifest_of, read_manifest
from intacct_provider.export.files.staging import Part, forget_replaced, publish
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.ranges.plan import digest_of, forget_range, range_manifest_of
from intacct_provider.storage.files import read_small, write_whole

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from intacct_provider.client import IntacctClient

#: Fields that tell when a record came to be as it is; the first that the object has.
STAMPS = ("audit.modifiedDateTime", "audit.createdDateTime")
#: What differs from range to range; everything else must be the same.
_OWN = frozenset(
    {"parts", "rows", "bytes", "sha256", "first_key", "last_key", "completeness", "run", "range", "staged"}
)


@dataclass(frozen=True, slots=True)
class RangeExport:
    """What one task has exported.

    :param content: its manifest.
    """

    key_range: KeyRange
    parts: tuple[Part, ...]
    content: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many records it has."""
        return sum(part.rows for part in self.parts)

    @property
    def tally(self) -> Tally:
        """Facts about its rows."""
        return Tally.joined(part.tally for part in self.parts)


class Ranges:
    """The ranges of one plan, exported and not yet published.

    :param exports: what the tasks returned.
    :raises IntacctArgumentError: unless they are the ranges of one plan, each of them once, and of the same query,
        columns, company and format.
    """

    def __init__(self, target: ObjectStoragePath, exports: Sequence[Mapping[str, Any]]) -> None:
        self.manifest = manifest_of(target)
        self.exports: list[RangeExport] = []
        self._target = target
        self._digests = _digests(exports)

    @property
    def committed(self) -> dict[str, Any] | None:
        """The manifest, if an earlier try has written it already for just these ranges."""
        found = read_manifest(self.manifest)
        return found if found and found.get("run", {}).get("ranges") == self._digests else None

    def check(self) -> None:
        """Read what the tasks left, and make sure that it is everything, once.

        :raises IntacctArgumentError: telling what is missing, twice there or different.
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

    def check_place(self, client: IntacctClient) -> None:
        """Refuse to count anywhere but where the ranges come from."""
        content, config = self.exports[0].content, client.config
        for name, ours in (("company_id", config.company_id), ("entity_id", config.entity_id)):
            if content[name] != ours:
                raise IntacctArgumentError(
                    f"The ranges were exported with {name} {content[name]!r}, and the commit has {ours!r}."
                )

    def publish(self, completeness: Mapping[str, Any], transactions: int) -> dict[str, Any]:
        """Give all parts their names and write the manifest; return its content.

        :param transactions: billed for the count.
        """
        parts = [part for one in self.exports for part in one.parts]
        publish(self._target, parts, self.manifest)
        runs = [one.content["run"] for one in self.exports]
        run = {
            **runs[0],
            "started_at": min(one["started_at"] for one in runs),
            "finished_at": pendulum.now("UTC").to_iso8601_string(),
            "transactions": transactions + sum(one["transactions"] for one in runs),
            "ranges": self._digests,
        }
        content = self._content(parts, completeness) | {"run": run}
        write_whole(self.manifest, [encoded(content)], alone=True)
        return content

    def forget(self) -> None:
        """Delete what the tasks left for this one, and what is left of a plan with more ranges."""
        forget_replaced(self._target)
        forget_replaced(self._target)
        number = 1
        while number <= len(self._digests) or read_small(range_manifest_of(self._target, number)) is not None:
            forget_range(self._target, number)
            number += 1

    def _content(self, parts: Sequence[Part], completeness: Mapping[str, Any]) -> dict[str, Any]:
        whole = RangeExport(KeyRange(1, 1, None, None), tuple(parts), {})
        own = {
            "parts": [part.facts() for part in parts],
            "rows": whole.rows,
            "bytes": sum(part.bytes for part in parts),
            "sha256": parts[0].sha256 if len(parts) == 1 else None,
            "first_key": whole.tally.first_key,
            "last_key": whole.tally.last_key,
            "completeness": dict(completeness),
        }
        # In the order that manifests have.
        content = self.exports[0].content
        return {
            name: own.get(name, value) for name, value in content.items() if name not in ("range", "staged")
        }

    def _read(self, path: str, digest: str) -> RangeExport:
        file = self._target.with_name(path.rpartition("/")[2])
        if str(file) != path or not file.name.startswith(f".{self._target.name}.r"):
            raise IntacctArgumentError(
                f"exports has {path}, which is no range of destination {str(self._target)!r}."
            )
        if digest_of(file) != digest:
            raise IntacctArgumentError(
                f"{path} is gone, or of another try. Clear the tasks of all ranges, and run them again."
            )
        content = read_manifest(file) or {}
        parts = tuple(map(Part.of_record, content["staged"]))
        return RangeExport(KeyRange.checked(content["range"]), parts, content)


def count_again(client: IntacctClient, exports: Sequence[RangeExport]) -> dict[str, Any]:
    """Compare the ranges, each proven complete when it was read, with what Intacct counts now over all of them.

    Records that came or went since then may make a difference, and no others.

    :return: the comparison for the manifest.
    :raises IntacctIncompleteReadError: naming the range that has to be read again.
    """
    query = query_of(exports[0].content)
    counted = client.totals(query).count
    if counted != sum(one.rows for one in exports):
        counted = sum(_count(client, query, one) for one in exports)
    whole = Tally.joined(one.tally for one in exports)
    return {
        "result": "equal" if counted == whole.rows else "changed meanwhile",
        "rows": whole.rows,
        "counted": counted,
        "control_totals": whole.facts()["sums"],
        "ranges": [{**one.key_range.facts(), **one.content["completeness"]} for one in exports],
    }


def query_of(content: Mapping[str, Any]) -> Query:
    """Return the query that a manifest tells of."""
    asked = content["query"]
    return Query.build(
        content["object"],
        ["key"],
        filters=asked.get("filters"),
        filter_expression=asked.get("filterExpression"),
        filter_parameters=asked.get("filterParameters"),
    )


def _count(client: IntacctClient, query: Query, one: RangeExport) -> int:
    """Count a range again, and make sure that what was there before is not more than was exported."""
    above, upto = one.key_range.above, one.key_range.upto
    there = counted = client.totals(query, above=above, upto=upto).count
    stamp = next((name for name in STAMPS if name in client.fields(query.object_name)), None)
    if counted > one.rows and stamp:
        # The worker's clock may be wrong by some minutes.
        began = dt.datetime.fromisoformat(one.content["run"]["started_at"]) - dt.timedelta(hours=1)
        counted = client.totals(query.narrow(field(stamp) < began), above=above, upto=upto).count
    elif counted > one.rows and upto is None:
        counted = client.totals(query, above=above, upto=one.tally.last_key or above or "0").count
    if counted > one.rows:
        raise IntacctIncompleteReadError(
            f"Range {one.key_range.number} of {query.object_name} was exported with {one.rows} records, and Intacct "
            f"counts {counted} that were there before: some were missed. Clear the tasks of all ranges."
        )
    return there


def _digests(exports: Any) -> dict[str, str]:
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
    names = (set(first.content) | set(other.content)) - _OWN
    for name in sorted(names):
        if first.content.get(name) != other.content.get(name):
            raise IntacctArgumentError(
                f"Range {other.key_range.number} was exported with another {name} than range {first.key_range.number}. "
                "Clear the tasks of all ranges, and run them again."
            )


def _check_keys(one: RangeExport) -> None:
    """Make sure that a range has no record of another one."""
    tally, (above, upto) = one.tally, (one.key_range.above, one.key_range.upto)
    below = above is not None and tally.first_key is not None and int(tally.first_key) <= int(above)
    beyond = upto is not None and tally.last_key is not None and int(tally.last_key) > int(upto)
    if below or beyond:
        raise IntacctIncompleteReadError(
            f"Range {one.key_range.number} has keys from {tally.first_key} to {tally.last_key}, and is of those above "
            f"{above} and up to {upto}: Intacct did not heed the filter on key. Export it in one task."
        )
