"""How a complete read compares with what Intacct itself counts and adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.control_totals import (
    ALL_EQUAL,
    EQUAL,
    EXACT,
    ChangedRows,
    SumsComparison,
    compare_sums,
)
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.pages import Totals
from intacct_provider.exceptions import IntacctIncompleteReadError


@dataclass(frozen=True, slots=True)
class Proof:
    """How the rows of a read compare with what Intacct says about them.

    :param rows: that were read.
    :param counted: what Intacct has of them now.
    :param sums: what the rows add up to.
    :param deleted: rows of records that no longer match, so that the count is lower.
    :param added: rows of records that came to match during the read.
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

    def include(self, rows: int, sums: Mapping[str, Decimal]) -> Proof:
        """Return the proof for these rows and others that were asked for by key.

        :param rows: how many others.
        :param sums: what they add up to.
        """
        if not rows:
            return self
        mine, theirs = (
            {name: EXACT.add(amount, sums.get(name, Decimal(0))) for name, amount in of.items()}
            for of in (self.sums, self.counted.sums)
        )
        counted = Totals(self.counted.count + rows, theirs)
        return replace(self, rows=self.rows + rows, sums=mine, counted=counted)

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
    earlier: tuple[Bounds, int] | None = None,
    changed: ChangedRows | None = None,
) -> Proof:
    """Compare what was read with what Intacct counts and adds up.

    :param read: taken to its end.
    :param rows: how many there are, with those of an earlier attempt; those of the read by default. Fewer if records
        were deleted before they were fetched by key.
    :param sums: what they add up to, by field; costs a call unless there are none.
    :param earlier: the keys of which an earlier attempt has read rows, and how many; costs a call.
    :param changed: those of the rows that changed after the read began, where the rows say when they did.
    :return: a proof; with ``again``, everything must be read again, and if that was done before, ``error()`` be raised.
    """
    ours = dict(sums or {})
    before = earlier[1] if earlier else 0
    rows = before + read.rows_read if rows is None else rows
    unread = before + read.rows_read - rows
    deleted = max(0, read.vanished - unread)
    proof = Proof(read.query.object_name, rows, Totals(rows - deleted), ours, deleted, read.late)
    if earlier:
        counted = read.service.count(earlier[0].narrow(read.query)).count
        if counted != before:
            return replace(
                proof,
                problem=f"an earlier attempt has read {before} rows up to key {earlier[0].upto}, and Intacct counts "
                f"{counted} of them.",
            )
    if not ours:
        return proof
    bounds = replace(read.covered, above=earlier[0].above) if earlier else read.covered
    query = bounds.narrow(read.query)
    totals = read.service.count(query, tuple(ours))
    compared = compare_sums(
        read.service,
        query,
        totals,
        rows=rows,
        sums=ours,
        began=None if earlier else read.began,
        changed=changed,
    )
    # At least this many are gone, although no page showed it.
    deleted = max(deleted, rows - totals.count)
    totals = replace(totals, count=rows - deleted)
    return replace(proof, deleted=deleted, counted=totals, compared=compared, problem=compared.problem)
