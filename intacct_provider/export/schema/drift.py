"""Columns that were added, removed or changed since the last export."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from intacct_provider.client.arguments import check_choice
from intacct_provider.exceptions import IntacctSchemaChangedError
from intacct_provider.export.schema.columns import Column

log = logging.getLogger(__name__)

#: What to do about them: log a warning; fail; accept new columns and fail for all other differences.
POLICIES = ("warn", "fail", "add")


class Change(msgspec.Struct, frozen=True, rename={"now": "is"}):
    """What a column was and what it is, in words."""

    was: str
    now: str


class Drift(msgspec.Struct, frozen=True):
    """How columns differ from those of the last export, as the manifest has it.

    :param added: names of new columns.
    :param removed: names of columns that are gone.
    :param changed: by name, those that are of another kind.
    :param moved: whether the other columns are in another order.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: dict[str, Change] = {}
    moved: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    def __str__(self) -> str:
        """All of it, on one line."""
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (("new", self.added), ("gone", self.removed))
            if names
        ]
        parts += [f"{name} was {change.was} and is {change.now}" for name, change in self.changed.items()]
        return "; ".join([*parts, *(["reordered"] if self.moved else [])])

    def check(self, policy: str, object_name: str) -> None:
        """Fail or warn about a difference, as a policy says.

        :param policy: one of :data:`POLICIES`.
        :raises IntacctSchemaChangedError: naming every difference.
        """
        check_choice("schema_drift", policy, POLICIES)
        if not self:
            return
        accepted = policy == "add" and not (self.removed or self.changed or self.moved)
        if policy == "warn" or accepted:
            level = logging.INFO if accepted else logging.WARNING
            log.log(
                level, "Intacct: columns of %s differ from those of the last export: %s.", object_name, self
            )
            return
        raise IntacctSchemaChangedError(
            f"The columns of {object_name} differ from those of the last export: {self}. Name the fields as before, or "
            f"adapt what reads the export and run once with schema_drift='warn'."
        )


def compare(old: Sequence[Column] | None, new: Sequence[Column]) -> Drift:
    """Return how columns differ.

    :param old: None before the first export.
    """
    if old is None:
        return Drift()
    before, now = ({column.name: column for column in columns} for columns in (old, new))
    both = [name for name in now if name in before]
    return Drift(
        added=tuple(name for name in now if name not in before),
        removed=tuple(name for name in before if name not in now),
        changed={
            name: Change(_describe(before[name], now[name]), _describe(now[name], before[name]))
            for name in both
            if before[name] != now[name]
        },
        moved=both != [name for name in before if name in now],
    )


def _describe(column: Column, other: Column) -> str:
    """Describe a column in as many words as it takes to tell it from another."""
    text: str = column.type
    if column.scale is not None:
        text += f" with {column.scale} decimals"
    if column.members:
        text += f" of {', '.join(f'{one.name} {_describe(one, one)}' for one in column.members)}"
    if column.mask:
        text += f" hashed by {column.mask}"
    return text if column.field == other.field else f"{text} from {column.field}"
