"""The order in which records are written that refer to each other: parents before children."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value
from intacct_provider.sync.records import flatten


def assign_levels(needs: Mapping[str, Iterable[str]], *, cycles: str = "") -> dict[str, int]:
    """Return the level of each record: one above the highest of those that it needs, from 0.

    :param needs: what each record refers to, by name; names of unknown records are ignored.
    :param cycles: what an error calls records that refer to each other in a cycle; with ``""`` cycles are allowed, and
        what closes a cycle is ignored.
    :raises IntacctArgumentError: for a cycle, naming the records in it.
    """
    inner = {name: sorted({one for one in others if one in needs}) for name, others in needs.items()}
    while True:
        try:
            order = tuple(TopologicalSorter(inner).static_order())
            break
        except CycleError as error:
            cycle = error.args[1][::-1]
            if cycles:
                way = " -> ".join(show_value(name) for name in cycle)
                raise IntacctArgumentError(
                    f"{cycles} refer to each other in a cycle ({way}), so none can be written first."
                ) from None
            for user, used in pairwise(cycle):
                inner[user].remove(used)
    levels: dict[str, int] = {}
    for name in order:
        levels[name] = max((levels[one] for one in inner[name]), default=-1) + 1
    return levels


def find_references(record: Mapping[str, Any], object_name: str, paths: Sequence[str]) -> set[str]:
    """Return the ids and keys of records of the same object that a record refers to, keys as ``key:7``.

    :param record: nested or dotted, such as a body or a live record.
    :param paths: from :func:`~intacct_provider.sync.object_facts.find_self_references`. The model does not describe the
        elements of lists, so references in them are recognized by name: ``accountGroup`` and ``glAccountGroup`` are
        account groups.
    """
    kind = object_name.rpartition("/")[2].replace("-", "").lower()
    found: set[str] = set()
    for path, value in flatten(record).items():
        parent, _, leaf = path.rpartition(".")
        if parent in paths:
            found |= _name_record(leaf, value)
        elif isinstance(value, list | tuple):
            found |= set(_find_in_elements(value, kind))
    return found


def _find_in_elements(items: Iterable[Any], kind: str) -> Iterator[str]:
    for item in items:
        for path, value in flatten(item).items() if isinstance(item, Mapping) else ():
            parent, _, leaf = path.rpartition(".")
            if parent.rpartition(".")[2].lower().endswith(kind):
                yield from _name_record(leaf, value)


def _name_record(leaf: str, value: Any) -> set[str]:
    """Return the name of the record that an ``id`` or ``key`` refers to; nothing for other fields."""
    if value in (None, "") or leaf not in ("id", "key"):
        return set()
    return {f"key:{value}" if leaf == "key" else str(value)}
