"""The proof that a read is complete: its rows against Intacct's own count, its amounts against Intacct's own sums.

Where the counts differ, the pages that differ are found by counting halves, and their keys are read again: what came or
went while the read went on is told from what it lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from intacct_provider.client.paging.key_intervals import Interval, unpacked
from intacct_provider.client.paging.row_structs import Totals
from intacct_provider.exceptions import IntacctIncompleteReadError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.paging.prefetch import PagesAhead
    from intacct_provider.export.completeness.tally import Tally

#: Fields that tell when a record came to be, or to be as it is.
STAMPS = ("audit.createdDateTime", "audit.modifiedDateTime")
#: Calls to find out what differs, at the least; half of what reading again would cost, if that is more.
CALLS = 20
#: Times that what differs is looked for, while it goes on changing.
ROUNDS = 3
#: Keys that a message names.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """How the rows of a read compare with what Intacct says about them.

    :param rows: that were read.
    :param counted: what Intacct says now, or said when the read began if that is equal.
    :param sums: what the rows add up to.
    :param deleted: rows that are not there any more, so that the count is allowed to be lower.
    :param added: records that came to match during the read, so that the count is allowed to be higher.
    :param problem: why the read is not proven; empty if it is.
    """

    object_name: str
    rows: int
    counted: Totals
    sums: dict[str, Decimal] = field(default_factory=dict)
    deleted: int = 0
    added: int = 0
    problem: str = ""

    @property
    def again(self) -> bool:
        """Whether everything must be read again."""
        return bool(self.problem)

    def error(self) -> IntacctIncompleteReadError:
        """Return the exception for when reading again did not help."""
        return IntacctIncompleteReadError(
            f"The read of {self.object_name} cannot be proven complete: {self.problem}"
        )

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON has it; amounts are text, with every digit."""
        found = "changed meanwhile" if self.deleted or self.added else "equal"
        return {
            "result": "unproven" if self.problem else found,
            "rows": self.rows,
            "counted": self.counted.count,
            "deleted_meanwhile": self.deleted,
            "added_meanwhile": self.added,
            "control_totals": {name: format(amount, "f") for name, amount in self.counted.sums.items()},
        }


def prove(
    client: IntacctClient,
    pages: PagesAhead,
    tally: Tally,
    *,
    committed: Tally | None = None,
    above: str | None = None,
) -> Proof:
    """Compare what was read with what Intacct counts and adds up; one call at most if they agree.

    :param pages: those that were read, to their end.
    :param tally: all rows.
    :param committed: those of them that an earlier try has read, with keys up to where ``pages`` begin.
    :param above: where the keys of the earlier try begin.
    :return: a proof; with ``again``, everything must be read anew, and if that was done before, ``error()`` be raised.
    """
    return _Comparison(client, pages, tally, committed, above).proof()


@dataclass(slots=True)
class _Found:
    """Keys in which a read and the server differ."""

    gone: int = 0
    came: int = 0
    missing: list[int] = field(default_factory=list)


class _GaveUpError(Exception):
    """Not for callers: what differs cannot be found out; the reason is the message."""


class _Comparison:
    def __init__(
        self,
        client: IntacctClient,
        pages: PagesAhead,
        tally: Tally,
        committed: Tally | None,
        above: str | None,
    ) -> None:
        self._client = client
        self._pages = pages
        self._tally = tally
        self._intervals = list(pages.intervals)
        bounds = pages.bounds
        self._above: int | None = bounds.above
        self._first_count = pages.counted
        if committed is not None and committed.rows:
            first, last = int(committed.first_key or 0), int(committed.last_key or 0)
            self._intervals.insert(0, Interval(first, last, committed.rows))
            self._above = None if above is None else int(above)
            self._first_count = None
        self._calls_left = max(CALLS, len(self._intervals) // 2)

    def proof(self) -> Proof:
        """Return how things stand."""
        totals = self._first_count
        if totals is None or not self._agrees(totals):
            totals = self._count(self._above, self._pages.bounds.upto, self._pages.sums)
        name, sums = self._pages.query.object_name, {name: self._ours(name) for name in self._pages.sums}
        proof = Proof(name, self._tally.rows, totals, sums)
        if self._agrees(totals):
            return proof
        if totals.count == self._tally.rows:
            return replace(proof, problem=self._amounts(totals))
        proof = self._explained(proof)
        if not proof.problem and self._pages.sums:
            what = f"{proof.deleted} records went and {proof.added} came during the read"
            return replace(
                proof, problem=f"{what}, so control totals cannot be compared. {self._amounts(totals)}"
            )
        return proof

    def _agrees(self, totals: Totals) -> bool:
        amounts = all(self._ours(name) == amount for name, amount in totals.sums.items())
        return totals.count == self._tally.rows and amounts

    def _ours(self, name: str) -> Decimal:
        return self._tally.sums.get(name, Decimal(0))

    def _amounts(self, totals: Totals) -> str:
        """Return which control totals differ, and by how much."""
        wrong = [
            f"{name} adds up to {self._ours(name)} in the rows and to {amount} in Intacct, which is "
            f"{amount - self._ours(name)} more"
            for name, amount in totals.sums.items()
            if amount != self._ours(name)
        ]
        return f"{'; '.join(wrong)}." if wrong else ""

    def _explained(self, proof: Proof) -> Proof:
        """Find out why the counts differ."""
        read, there = self._tally.rows, proof.counted.count
        differ = f"{read} rows were read and Intacct counts {there}"
        if self._pages.by_position:
            return replace(proof, problem=f"{differ}.")
        covered = sum(one.rows for one in self._intervals)
        try:
            for _ in range(ROUNDS):
                found = _Found()
                for place in self._differing(there):
                    self._compare(place, found)
                if found.missing:
                    return replace(proof, problem=_missing(found.missing))
                # Keys whose records were gone when they were asked for are no rows.
                gone = found.gone - (covered - read)
                if gone >= 0 and read - gone + found.came == there:
                    counted = replace(proof.counted, count=there)
                    return replace(proof, counted=counted, deleted=gone, added=found.came)
                there = self._count(self._above, self._pages.bounds.upto).count
        except _GaveUpError as reason:
            return replace(proof, problem=f"{differ}; {reason}.")
        return replace(proof, problem=f"{differ}, and that goes on changing.")

    def _differing(self, there: int) -> Iterator[int]:
        """Yield the positions of intervals in which the server has another number of records, by counting halves."""
        waiting = [(0, max(1, len(self._intervals)), there)]
        while waiting:
            start, stop, count = waiting.pop()
            if count == sum(one.rows for one in self._intervals[start:stop]):
                continue
            if stop - start == 1:
                yield start
                continue
            middle = (start + stop) // 2
            lower = self._count(*self._between(start, middle)).count
            waiting += [(middle, stop, count - lower), (start, middle, lower)]

    def _between(self, start: int, stop: int) -> tuple[int | None, int | None]:
        """Return the keys above which, and up to which, some intervals go; they leave nothing out."""
        above = self._intervals[start - 1].last if start else self._above
        upto = self._intervals[stop - 1].last if stop < len(self._intervals) else self._pages.bounds.upto
        return above, upto

    def _count(self, above: int | None, upto: int | None, sums: Sequence[str] = ()) -> Totals:
        if self._calls_left <= 0:
            raise _GaveUpError("too much changed during the read to find out what")
        self._calls_left -= 1
        return self._client.totals(self._pages.query, sums, above=_text(above), upto=_text(upto))

    def _compare(self, place: int, found: _Found) -> None:
        """Compare the keys of one interval with those that are there now."""
        kept = self._intervals[place] if self._intervals else Interval(0, 0, 0)
        if kept.rows and not kept.keys:
            raise _GaveUpError("what an earlier try has read has changed since")
        ours = set(unpacked(kept.keys)) if kept.rows else set()
        above, upto = self._between(place, place + 1)
        query = self._pages.query.narrow(
            [
                {operator: {"key": str(key)}}
                for operator, key in (("$gt", above), ("$lte", upto))
                if key is not None
            ]
        )
        stamps = [name for name in STAMPS if name in self._client.fields(query.object_name)]
        rows = self._client.iter_rows(replace(query, fields=("key", *stamps), order_by=()))
        now = {int(row["key"]): [row[name] for name in stamps] for row in rows}
        self._calls_left -= 1
        found.gone += len(ours.difference(now))
        for key in now.keys() - ours:
            if self._is_new(key, now[key]):
                found.came += 1
            else:
                found.missing.append(key)

    def _is_new(self, key: int, stamps: Sequence[Any]) -> bool:
        """Whether a record came to match during the read: by the server's own clock, or else by its key."""
        began = self._pages.began
        if stamps and began:
            return any(str(stamp or "")[: len(began) - 1] >= began[:-1] for stamp in stamps)
        return not self._intervals or key > self._intervals[-1].last


def _missing(keys: Sequence[int]) -> str:
    some = ", ".join(map(str, sorted(keys)[:NAMED])) + (" and so on" if len(keys) > NAMED else "")
    return f"records that were there all the time are missing ({len(keys)}, with keys {some})."


def _text(key: int | None) -> str | None:
    return None if key is None else str(key)
