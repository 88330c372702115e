"""The proof that a read is complete: its rows against Intacct's own count, its amounts against Intacct's own sums.

Where the counts differ, the pages that differ are found by counting halves, and their keys are read again. A record
that was added or deleted during the read is not lost; one that existed all the time and was not read is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.control_totals import (
    ALL_EQUAL,
    EQUAL,
    ChangedRows,
    SumsComparison,
    compare_sums,
)
from intacct_provider.client.paging.key_intervals import Bounds, Interval
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.exceptions import IntacctIncompleteReadError

#: Fields that say when a record was created, or last changed.
STAMPS = ("audit.createdDateTime", "audit.modifiedDateTime")
#: Calls to find out what differs, at the least; half of what reading again would cost, if that is more.
MIN_CALLS = 20
#: Times that what differs is looked for, while it keeps changing.
MAX_ROUNDS = 3
#: Pages whose keys are read again together, when all are.
INTERVALS_PER_READ = 50
#: Keys that a message names.
MAX_KEYS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """How the rows of a read compare with what Intacct says about them.

    :param rows: that were read.
    :param counted: what Intacct says now, or said when the read began if that is equal.
    :param sums: what the rows add up to.
    :param deleted: rows that do not exist any more, so that the count is allowed to be lower.
    :param added: records that came to match during the read, so that the count is allowed to be higher.
    :param problem: why the read is not proven; empty if it is.
    :param compared: how the sums compare with Intacct's.
    """

    object_name: str
    rows: int
    counted: Totals
    sums: dict[str, Decimal] = field(default_factory=dict)
    deleted: int = 0
    added: int = 0
    problem: str = ""
    compared: SumsComparison = ALL_EQUAL

    @property
    def again(self) -> bool:
        """Whether everything must be read again."""
        return bool(self.problem)

    def error(self) -> IntacctIncompleteReadError:
        """Return the exception for a read that is not proven and cannot be read again."""
        return IntacctIncompleteReadError(
            f"The read of {self.object_name} cannot be proven complete: {self.problem}"
        )

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON has it; amounts are text, with every digit."""
        found = "changed meanwhile" if self.deleted or self.added else "equal"
        all_equal = self.compared.result == EQUAL
        totals = self.counted.sums if all_equal else self.sums
        return {
            "result": "unproven" if self.problem else found,
            "rows": self.rows,
            "counted": self.counted.count,
            "deleted_meanwhile": self.deleted,
            "added_meanwhile": self.added,
            "control_totals": {name: format(amount, "f") for name, amount in totals.items()},
            **({} if all_equal else {"control_totals_result": self.compared.result}),
        }


def prove(
    read: CompleteRead,
    *,
    rows: int | None = None,
    sums: Mapping[str, Decimal] | None = None,
    earlier: Interval | None = None,
    above: int | None = None,
    thorough: bool = False,
    changed: ChangedRows | None = None,
) -> Proof:
    """Compare what was read with what Intacct counts and adds up; one call at most if they agree.

    :param read: taken to its end.
    :param rows: how many there are, with those of an earlier attempt; those of the read by default.
    :param sums: what they add up to, by field.
    :param earlier: what an earlier attempt has read of them, with keys up to where the read begins.
    :param above: where the keys of the earlier attempt begin.
    :param thorough: read all keys again rather than give up, for rows that cannot be read again themselves.
    :param changed: those of the rows that changed after the read began, where the rows say when they did.
    :return: a proof; with ``again``, everything must be read again, and if that was done before, ``error()`` be raised.
    """
    return _Comparison(read, rows, sums or {}, earlier, above, thorough, changed).prove()


def iter_proven(read: CompleteRead) -> Iterator[Page]:
    """Yield the pages of a read, and raise after the last of them unless they are everything.

    :raises IntacctIncompleteReadError: naming what is missing.
    """
    yield from read
    if read.by_position:
        return  # proven by the last pass, during which nothing moved
    proof = prove(read, thorough=True)
    if proof.problem:
        raise proof.error()


@dataclass(slots=True)
class _Found:
    """Keys in which a read and the server differ."""

    deleted: int = 0
    added: int = 0
    missing: list[int] = field(default_factory=list)


class _GaveUpError(Exception):
    """Internal: what differs cannot be found out; the message is the reason."""


class _Comparison:
    def __init__(
        self,
        read: CompleteRead,
        rows: int | None,
        sums: Mapping[str, Decimal],
        earlier: Interval | None,
        above: int | None,
        thorough: bool,
        changed: ChangedRows | None,
    ) -> None:
        self._read = read
        self._changed = changed
        self._began = read.began if earlier is None else None
        self._sums = sums
        self._thorough = thorough
        self._intervals = list(read.intervals)
        self._bounds = read.bounds
        self._first_count = read.counted
        if earlier is not None:
            self._intervals.insert(0, earlier)
            self._bounds = replace(read.bounds, above=above)
            self._first_count = None
        self._covered = sum(one.rows for one in self._intervals)
        self._rows = read.rows_read if rows is None else rows
        self._calls_left = max(MIN_CALLS, len(self._intervals) // 2)

    def prove(self) -> Proof:
        """Return the proof."""
        totals = self._first_count
        if totals is None or not self._agrees(totals):
            totals = self._count(self._bounds, self._read.sums)
        name, sums = self._read.query.object_name, {name: self._ours(name) for name in self._read.sums}
        proof = Proof(name, self._rows, totals, sums)
        if self._agrees(totals):
            return proof
        if totals.count != self._rows:
            proof = self._explain(proof)
        return proof if proof.problem or not sums else self._compare_sums(proof, totals)

    def _agrees(self, totals: Totals) -> bool:
        amounts = all(self._ours(name) == amount for name, amount in totals.sums.items())
        return totals.count == self._rows and amounts

    def _ours(self, name: str) -> Decimal:
        return self._sums.get(name, Decimal(0))

    def _compare_sums(self, proof: Proof, totals: Totals) -> Proof:
        """Compare control totals, as far as what changed during the read allows it."""
        compared = compare_sums(
            self._read.service,
            self._bounds.narrow(self._read.query),
            totals,
            rows=self._rows,
            sums=proof.sums,
            began=self._began,
            changed=self._changed,
        )
        return replace(proof, compared=compared, problem=compared.problem)

    def _explain(self, proof: Proof) -> Proof:
        """Find out why the counts differ."""
        differ = f"{self._rows} rows were read and Intacct counts {proof.counted.count}"
        if self._read.by_position:
            return replace(proof, problem=f"{differ}.")
        try:
            found = self._find(proof.counted.count)
        except _GaveUpError as reason:
            return replace(proof, problem=f"{differ}; {reason}.")
        if found.missing:
            return replace(proof, problem=self._name_missing(found.missing))
        deleted = self._count_deleted(found)
        counted = replace(proof.counted, count=self._rows - deleted + found.added)
        return replace(proof, counted=counted, deleted=deleted, added=found.added)

    def _find(self, count: int) -> _Found:
        try:
            return self._search(count)
        except _GaveUpError:
            if not self._thorough:
                raise
        found = _Found()
        for start in range(0, max(1, len(self._intervals)), INTERVALS_PER_READ):
            self._compare(start, min(start + INTERVALS_PER_READ, len(self._intervals)), found)
        return found

    def _search(self, count: int) -> _Found:
        """Find what explains a count in the intervals that differ.

        :raises _GaveUpError: if that takes too many calls, or more changes meanwhile.
        """
        for _ in range(MAX_ROUNDS):
            found = _Found()
            for place in self._find_differing(count):
                self._calls_left -= 1
                self._compare(place, place + 1, found)
            deleted = self._count_deleted(found)
            if found.missing or (deleted >= 0 and self._rows - deleted + found.added == count):
                return found
            count = self._count(self._bounds).count
        raise _GaveUpError("the count keeps changing")

    def _count_deleted(self, found: _Found) -> int:
        """Return how many rows do not exist any more; keys whose records were deleted when asked for are not rows."""
        return found.deleted - (self._covered - self._rows)

    def _find_differing(self, count: int) -> Iterator[int]:
        """Yield the positions of intervals in which the server has another number of records, by counting halves."""
        waiting = [(0, max(1, len(self._intervals)), count)]
        while waiting:
            start, stop, count = waiting.pop()
            if count == sum(one.rows for one in self._intervals[start:stop]):
                continue
            if stop - start == 1:
                yield start
                continue
            middle = (start + stop) // 2
            lower = self._count(self._between(start, middle)).count
            waiting += [(middle, stop, count - lower), (start, middle, lower)]

    def _between(self, start: int, stop: int) -> Bounds:
        """Return the keys that some intervals are about; together they leave nothing out."""
        above = self._intervals[start - 1].last if start else self._bounds.above
        upto = self._intervals[stop - 1].last if stop < len(self._intervals) else self._bounds.upto
        return Bounds(above, upto)

    def _count(self, bounds: Bounds, sums: Sequence[str] = ()) -> Totals:
        if self._calls_left <= 0:
            raise _GaveUpError("too much changed during the read to find out what")
        self._calls_left -= 1
        return self._read.service.count(bounds.narrow(self._read.query), sums)

    def _compare(self, start: int, stop: int, found: _Found) -> None:
        """Compare the keys of some intervals with those that exist now."""
        some = self._intervals[start:stop]
        if any(one.rows and not one.packed for one in some):
            raise _GaveUpError("what an earlier attempt has read has changed since")
        ours = {key for one in some for key in one.unpack()}
        try:
            for key, stamps in self._read_keys(self._between(start, stop)):
                if key in ours:
                    ours.remove(key)
                elif self._is_new(key, stamps):
                    found.added += 1
                else:
                    found.missing.append(key)
        except IntacctIncompleteReadError as reason:
            raise _GaveUpError(f"their keys cannot be read again ({str(reason).rstrip('.')})") from reason
        found.deleted += len(ours)

    def _read_keys(self, bounds: Bounds) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the keys that exist now, and when their records changed."""
        stamps = self._find_stamps()
        again = CompleteRead(
            self._read.service,
            replace(bounds.narrow(self._read.query), fields=("key", *stamps)),
            MappingRows(stamps),
            page_size=self._read.page_size,
        )
        for page in again:
            yield from zip(map(int, page.keys), page.rows, strict=True)

    def _find_stamps(self) -> list[str]:
        known = self._read.service.fields(self._read.query.object_name)
        return [name for name in STAMPS if name in known]

    def _is_new(self, key: int, stamps: Mapping[str, Any]) -> bool:
        """Whether a record came to match during the read: by the server's own clock, or else by its key."""
        began = self._read.began
        if stamps and began:
            return any(str(stamp or "")[: len(began) - 1] >= began[:-1] for stamp in stamps.values())
        return not self._intervals or key > self._intervals[-1].last

    def _name_missing(self, keys: Sequence[int]) -> str:
        named = ", ".join(map(str, sorted(keys)[:MAX_KEYS_SHOWN]))
        more = f" and {len(keys) - MAX_KEYS_SHOWN} more" if len(keys) > MAX_KEYS_SHOWN else ""
        if not self._find_stamps():
            return (
                f"records exist that were not read, and the object has no {STAMPS[0]} to show that they are new "
                f"(keys {named}{more})."
            )
        if len(keys) == 1:
            return f"1 record that existed during the whole read is missing: key {named}."
        return f"{len(keys)} records that existed during the whole read are missing: keys {named}{more}."
