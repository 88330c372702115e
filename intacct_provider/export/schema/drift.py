"""Columns that came, went or changed since the last export."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.arguments import check_choice
from intacct_provider.exceptions import IntacctSchemaChangedError

log = logging.getLogger(__name__)

#: What to do about them: fail; log a warning; take new ones, and fail for all others.
POLICIES = ("warn", "fail", "add")
#: What a column is to whoever reads it, beside its name.
_FORM = ("field", "type", "scale", "members")

Facts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Drift:
    """How columns differ from those before.

    :param added: names of new ones.
    :param removed: names of those that are no more.
    :param changed: by name, what was and what is, as people write it.
    :param moved: whether those that are left come in another order.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, str]] | None = None
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
        parts += [f"{name} was {old} and is {new}" for name, (old, new) in (self.changed or {}).items()]
        return "; ".join([*parts, *(["another order"] if self.moved else [])])

    def check(self, policy: str, object_name: str) -> None:
        """Do what a policy says about a difference; a log line when it is to be taken as it is.

        :param policy: one of :data:`POLICIES`.
        :raises IntacctSchemaChangedError: naming every difference.
        """
        check_choice("schema_drift", policy, POLICIES)
        if not self:
            return
        welcome = policy == "add" and not (self.removed or self.changed or self.moved)
        if policy == "warn" or welcome:
            level = logging.INFO if welcome else logging.WARNING
            log.log(
                level, "Intacct: columns of %s differ from those of the last export: %s.", object_name, self
            )
            return
        raise IntacctSchemaChangedError(
            f"The columns of {object_name} are not those of the last export: {self}. Name the fields as they were, or "
            f"make what reads the export fit and run once with schema_drift='warn'."
        )

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it, for the manifest."""
        changed = {name: {"was": old, "is": new} for name, (old, new) in (self.changed or {}).items()}
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": changed,
            "moved": self.moved,
        }


def compare(old: Facts | None, new: Facts) -> Drift:
    """Return how columns differ, each as :func:`~intacct_provider.export.schema.columns.column_facts` tells it.

    :param old: None before the first export.
    """
    if old is None:
        return Drift()
    before, now = ({one["name"]: one for one in facts} for facts in (old, new))
    both = [name for name in now if name in before]
    return Drift(
        added=tuple(name for name in now if name not in before),
        removed=tuple(name for name in before if name not in now),
        changed={
            name: (_described(before[name], now[name]), _described(now[name], before[name]))
            for name in both
            if _form(before[name]) != _form(now[name])
        },
        moved=both != [name for name in before if name in now],
    )


def _form(column: Mapping[str, Any]) -> list[Any]:
    return [column.get(part) for part in _FORM]


def _described(column: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return what a column is, in so many words as it takes to tell it from another."""
    text = str(column.get("type"))
    if column.get("scale") is not None:
        text += f" with {column['scale']} decimals"
    if column.get("members"):
        text += f" of {', '.join(_named(one) for one in column['members'])}"
    return text if column.get("field") == other.get("field") else f"{text} from {column.get('field')}"


def _named(column: Mapping[str, Any]) -> str:
    return f"{column['name']} {_described(column, column)}"
