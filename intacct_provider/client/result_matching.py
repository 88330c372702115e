"""Which result of a response belongs to which record that was sent: by key or id, where results have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from intacct_provider.client.keys import text_or_none
from intacct_provider.client.redaction import clean_text

Element = Mapping[str, Any]
#: Runs of positions that a message names at most.
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A record of a call, and what its result can be recognized by.

    :param index: its position in the whole write, from 0.
    :param key: its key, unless it is created.
    :param id: the id of a record that is created, if it was given one.
    :param name: the ``resultReference`` of a request of a composite call.
    """

    index: int
    key: str | None = None
    id: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        """Return which one it is."""
        known = ((name, getattr(self, name)) for name in ("name", "key", "id"))
        return f"index {self.index}" + next((f" ({name} {value})" for name, value in known if value), "")


@dataclass(slots=True)
class Matches:
    """The elements of a response by the positions of the records that they are about.

    :param free: positions of the records that have no element, if each element of ``rest`` belongs to one of them.
    :param rest: elements that name no record and could not be matched.
    :param problem: what contradicts, as the end of a sentence that begins "Intacct answered 3 records"; empty if
        nothing does.
    """

    elements: dict[int, Element] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    rest: list[Element] = field(default_factory=list)
    problem: str = ""


def match_elements(elements: Sequence[Element], sent: Sequence[Sent]) -> Matches:
    """Match the elements of a response with the records that were sent.

    An element that has a key or an id belongs to the record with it, wherever it stands. Others are matched by their
    position, unless the response turns out to have another order; then the last one that is left belongs to the last
    record that is left.
    """
    matches, find, unnamed, doubled = Matches(), _build_finder(sent), [], set()
    moved = False
    for n, element in enumerate(elements):
        places = find(element)
        free = [place for place in places or () if place not in matches.elements]
        if places is None:
            unnamed.append(n)
        elif free:
            place = n if n in free else free[0]
            matches.elements[place], moved = element, moved or place != n
        elif places:
            matches.problem = f"with two results for {sent[places[0]]}"
            doubled.add(places[0])
        else:
            matches.problem = f"with a result for another record ({_name(element)})"
    if len(elements) != len(sent):
        more = f", and {matches.problem}" if matches.problem else ""
        matches.problem = f"without accounting for each of them{more}"
    for place in doubled:
        del matches.elements[place]
    _match_unnamed(matches, {n: elements[n] for n in unnamed}, len(sent), moved=moved)
    return matches


def read_reference(element: Element) -> Element:
    """Return the part of an element that names its record: the element itself, or its own ``ia::result``."""
    inner = element.get("ia::result")
    return inner if isinstance(inner, Mapping) else element


def list_positions(positions: Iterable[int]) -> str:
    """Return positions as text, such as ``0, 3 to 7``."""
    runs = [
        [n for _, n in run]
        for _, run in groupby(enumerate(sorted(positions)), lambda pair: pair[1] - pair[0])
    ]
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more


def _build_finder(sent: Sequence[Sent]) -> Callable[[Element], list[int] | None]:
    """Return a function that finds the positions of the records that an element names.

    It returns None for an element that names none, or one that could not be recognized.
    """
    names: dict[str, list[int]] = {}
    keys: dict[str, list[int]] = {}
    ids: dict[str, list[int]] = {}
    for n, one in enumerate(sent):
        for index, value in ((names, one.name), (keys, one.key), (ids, one.id)):
            if value:
                index.setdefault(value, []).append(n)
    folded: dict[str, list[int]] = {}
    for id_, places in ids.items():
        folded.setdefault(fold_id(id_), []).extend(places)
    all_have_ids = all(one.id for one in sent)

    def find(element: Element) -> list[int] | None:
        reference, name = read_reference(element), element.get("resultReference")
        key, id_ = text_or_none(reference.get("key")), text_or_none(reference.get("id"))
        if names:
            return None if name is None else names.get(str(name), [])
        if keys and key:
            return keys.get(key, [])
        if not ids or not id_:
            return None
        found = ids.get(id_) or folded.get(fold_id(id_), [])
        # To a record without an id, Intacct gives one that nobody knows before.
        return found if found or all_have_ids else None

    return find


def _match_unnamed(matches: Matches, unnamed: Mapping[int, Element], count: int, *, moved: bool) -> None:
    free = [n for n in range(count) if n not in matches.elements]
    if not matches.problem and not moved and [*unnamed] == free:
        matches.elements |= unnamed
    elif not matches.problem and len(unnamed) == len(free) == 1:
        matches.elements[free[0]] = next(iter(unnamed.values()))
    elif unnamed:
        matches.rest += unnamed.values()
        matches.free = free if len(free) == len(unnamed) else []
        matches.problem = matches.problem or "in another order, and not each result names its record"


def fold_id(id_: str) -> str:
    """Return what an id is recognized by, since Intacct may change its case and cut blanks off."""
    return id_.strip().casefold()


def shorten_name(value: Any) -> str:
    """Return what a server calls a record, made fit for a message."""
    return clean_text(str(value))[:80]


def _name(element: Element) -> str:
    reference = {**read_reference(element), "name": element.get("resultReference")}
    named = ((name, reference.get(name)) for name in ("name", "key", "id"))
    return ", ".join(f"{name} {shorten_name(value)}" for name, value in named if value not in (None, ""))
