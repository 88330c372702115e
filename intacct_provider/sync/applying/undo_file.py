"""The reverse plan beside a plan: at any time the reverse of what was written, and of what may have been."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider.sync.applying.undo import reverse_plan, select_steps

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.applying.journal import Journal
    from intacct_provider.sync.plan import Plan, Step


class UndoFile:
    """The reverse plan of one attempt, known in full before the first write and published as far as it was written."""

    def __init__(self, journal: Journal, plan: Plan) -> None:
        self._journal = journal
        self._plan = plan
        self._full = journal.undo()
        self._published: Collection[str] | None = None

    def prepare(self, client: IntacctClient, steps: Sequence[Step]) -> None:
        """Write the reverse of what is about to be written to the journal; what an earlier attempt wrote is kept.

        :raises IntacctNotFoundError: if a record to delete no longer exists.
        """
        known = frozenset() if self._full is None else self._full.touched
        missing = [step for step in steps if step.match not in known]
        if not missing:
            return
        undo = reverse_plan(client, self._plan, missing)
        if self._full is not None:
            both = sorted([*self._full.steps, *undo.steps], key=lambda step: step.rank)
            full = self._full.full_records or undo.full_records
            undo = replace(undo, steps=tuple(both), full_records=full)
        self._journal.keep_undo(undo)
        self._full = undo

    def publish(self, matches: Collection[str]) -> None:
        """Write the reverse of the steps for some records beside the plan.

        :param matches: match values of the records that were written, or may have been.
        """
        if self._full is not None and matches != self._published:
            self._journal.publish_undo(select_steps(self._full, matches))
            self._published = matches
