"""The filters of a scope or of protection, in the form in which a plan keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that select live records.

    :param conditions: as Intacct's JSON.
    :param expression: how they are joined: ``and``, ``or``, or an expression of their numbers.
    """

    conditions: tuple[dict[str, Any], ...]
    expression: str = "and"

    def concerns(self, paths: Iterable[str]) -> bool:
        """Return whether a change of fields may decide whether a record is selected.

        :param paths: dotted; every part of a reference or group counts as all of it.
        """
        names = {next(iter(operand)) for one in self.conditions for operand in one.values()}
        return not {_first(name) for name in names}.isdisjoint(map(_first, paths))


def _first(path: str) -> str:
    return path.partition(".")[0]
