"""The filters of a scope or of protection, in the form in which a plan keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.query.joins import Tree, parse_joins

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that select live records.

    :param conditions: as Intacct's JSON.
    :param expression: how they are joined: ``and``, ``or``, or an expression of their numbers.
    """

    conditions: tuple[dict[str, Any], ...]
    expression: str = "and"

    def find_concerned(self, paths: Iterable[str]) -> frozenset[int]:
        """Return the positions of the conditions that a change of fields may decide.

        :param paths: dotted; every part of a reference or group counts as all of it.
        """
        changed = {_first(path) for path in paths}
        names = (next(iter(operand)) for one in self.conditions for operand in one.values())
        return frozenset(n for n, name in enumerate(names) if _first(name) in changed)

    def without(self, positions: Collection[int], *, met: bool) -> Selection | None:
        """Return what the other conditions select if those at some positions are taken as met, or as not met.

        :return: None if the others do not matter then.
        """
        if not positions:
            return self
        tree = _simplify(parse_joins(self.expression, len(self.conditions)), positions, met=met)
        if tree is None:
            return None
        used = sorted({*_list_used(tree)})
        numbers = {n: str(number) for number, n in enumerate(used, start=1)}
        return Selection(tuple(self.conditions[n] for n in used), _write(tree, numbers))


def _simplify(tree: int | Tree, positions: Collection[int], *, met: bool) -> int | Tree | None:
    """Return what is left to decide; None if nothing is."""
    if isinstance(tree, int):
        return None if tree in positions else tree
    word, parts = tree
    left = [_simplify(part, positions, met=met) for part in parts]
    if None in left and (word == "or") == met:
        return None  # one part that is met is enough, or one that is not
    some = [part for part in left if part is not None]
    return (word, some) if len(some) > 1 else next(iter(some), None)


def _list_used(tree: int | Tree) -> Iterator[int]:
    if isinstance(tree, int):
        yield tree
    else:
        for part in tree[1]:
            yield from _list_used(part)


def _write(tree: int | Tree, numbers: Mapping[int, str]) -> str:
    """Return a tree as an expression; a single condition needs none."""
    if isinstance(tree, int):
        return "and"
    word, parts = tree
    return f" {word} ".join(
        numbers[part] if isinstance(part, int) else f"({_write(part, numbers)})" for part in parts
    )


def _first(path: str) -> str:
    return path.partition(".")[0]
