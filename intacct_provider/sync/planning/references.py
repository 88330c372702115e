"""Whether the records that desired records refer to exist, found out in as few calls as that takes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctNotFoundError, IntacctPermissionError, IntacctValidationError
from intacct_provider.sync.desired.state import column_of
from intacct_provider.sync.object_facts import Parts, object_of
from intacct_provider.sync.planning.required import places_of
from intacct_provider.sync.problems import Problem, shown
from intacct_provider.sync.records import flatten, match_text, unflatten

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Step

log = logging.getLogger(__name__)

#: More than this is not read only to guess a spelling.
_MOST_NAMES = 4000
#: A guess among so many names takes a noticeable part of a second.
_MOST_GUESSES = 20
#: At the top level, records that belong to one entity exist too.
_ALL = {"includePrivate": True}
_LEAVES = frozenset({"id", "key"})
_REFUSALS = (IntacctNotFoundError, IntacctPermissionError, IntacctValidationError)


@dataclass(frozen=True, slots=True)
class _Reference:
    """``path`` names ``value``, the ``id`` or ``key`` (``leaf``) of a record of ``target``."""

    target: str
    leaf: str
    value: str
    path: str

    @property
    def kind(self) -> tuple[str, str]:
        """What it is looked up by."""
        return self.target, self.leaf


def reference_problems(
    client: IntacctClient,
    object_name: str,
    model: Mapping[str, Any],
    desired: Desired,
    steps: Iterable[Step],
    live_rows: Iterable[Mapping[str, Any]],
    *,
    typed: Sequence[Mapping[str, Any] | None] = (),
    match_on: str = "id",
) -> list[Problem]:
    """Return the references that a plan writes to records that do not exist.

    References in fields and in the elements of lists count, by id and by key. What live records have or refer to
    exists; the rest is looked up, 500 a call, one object at a time. Records that the plan creates exist for those
    that refer to them by id, and those that it deletes do not. For a missing id another call finds the nearest. An
    object that the user may not read, or that cannot be queried, is left to Intacct to check.

    :param steps: of the plan; creations and updates count.
    :param typed: the records of :func:`~intacct_provider.sync.desired.coerce.typed`; references to those with
        problems, which no plan has, are not problems too.
    :param live_rows: what was read of the object itself; the more of it, the fewer calls.
    """
    steps = list(steps)
    finder = _Finder(live=False)
    written = [
        (step, reference)
        for step in steps
        if step.action in ("create", "update")
        for reference in finder.find(step.body, model)
    ]
    if not written:
        return []
    seen = _seen(object_name, model, live_rows)
    gone = {(object_name, leaf): values for leaf, values in _deleted(steps, match_on).items()}
    broken = _broken(desired, typed)
    gone[object_name, "id"] -= broken
    seen[object_name, "id"] |= _created(steps, match_on) | broken
    wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, reference in written:
        if reference.value not in seen[reference.kind] and reference.value not in gone.get(
            reference.kind, ()
        ):
            wanted[reference.kind].add(reference.value)
    missing = {kind: _missing(client, *kind, values) for kind, values in sorted(wanted.items())}
    places, guesses = places_of(desired, match_on), _Guesses(client)
    problems = []
    for step, reference in written:
        text = f"is {shown(reference.value)}, "
        if reference.value in gone.get(reference.kind, ()):
            text += "which this plan deletes"
        elif reference.value in missing.get(reference.kind, ()):
            text += f"but there is no {reference.target} with this {reference.leaf}.{guesses.of(reference)}"
        else:
            continue
        column, place = column_of(reference.path, desired.columns), places.get(step.match, "")
        problems.append(Problem(place, step.match, column, shown(reference.value), text))
    return problems


class _Finder:
    """Finds the references in records.

    :param live: whether the records were read; then a reference also has fields that only show what it refers to.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.parts = Parts()

    def find(
        self, body: Mapping[str, Any], part: Mapping[str, Any], prefix: str = ""
    ) -> Iterator[_Reference]:
        """Yield the references in a record, or in a part of it."""
        known = self.parts.of(part)
        for name, value in body.items():
            kind, spec = known.get(name, ("", {}))
            path = f"{prefix}{name}"
            if isinstance(value, Mapping) and kind in ("refs", "groups"):
                # With other fields, a contact's id names one that may be created with it.
                if kind == "refs" and (self.live or value.keys() <= _LEAVES):
                    yield from _leaves(object_of(spec), value, path)
                yield from self.find(value, spec, f"{path}.")
            elif kind == "lists" and isinstance(value, list | tuple):
                yield from self.find_in_list(value, spec, path)

    def find_in_list(self, items: Iterable[Any], spec: Mapping[str, Any], path: str) -> Iterator[_Reference]:
        part = self.parts.elements(spec)
        for number, item in enumerate(items, start=1):
            if not isinstance(item, Mapping):
                continue
            bare = part.get("open") and not self.live and item.keys() <= _LEAVES
            if part.get("references") or bare:
                yield from _leaves(object_of(spec), item, f"{path}.{number}")
            else:
                yield from self.find(item, part, f"{path}.{number}.")


def _leaves(target: str, value: Mapping[str, Any], path: str) -> Iterator[_Reference]:
    for leaf in sorted(_LEAVES):
        if target and isinstance(value.get(leaf), str) and value[leaf]:
            yield _Reference(target, leaf, value[leaf], f"{path}.{leaf}")


def _seen(
    object_name: str, model: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str], set[str]]:
    """Return which records exist, as the live records tell."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    finder = _Finder(live=True)
    for row in rows:
        record = unflatten(flatten(row))
        for reference in (*_leaves(object_name, record, ""), *finder.find(record, model)):
            seen[reference.kind].add(reference.value)
    return seen


def _created(steps: Iterable[Step], match_on: str) -> set[str]:
    """Return the ids of the records that the plan creates."""
    creates = (step for step in steps if step.action == "create")
    return {step.match if match_on == "id" else str(step.body.get("id") or "") for step in creates} - {""}


def _broken(desired: Desired, typed: Sequence[Mapping[str, Any] | None]) -> set[str]:
    """Return the ids of the records that have problems of their own."""
    pairs = zip(desired.records, typed, strict=False)
    return {match_text(flatten(record).get("id")) for record, made in pairs if made is None}


def _deleted(steps: Iterable[Step], match_on: str) -> dict[str, set[str]]:
    """Return the ids, as far as they are known, and the keys of the records that the plan deletes."""
    deletes = [step for step in steps if step.action == "delete"]
    ids = {step.match for step in deletes} if match_on == "id" else set()
    return {"id": ids, "key": {step.key for step in deletes}}


def _missing(client: IntacctClient, target: str, leaf: str, values: Iterable[str]) -> set[str]:
    """Return the ids or keys that no record of an object has."""
    missing = set(values)
    # Intacct would refuse to compare a key with other text, and with it the question about all others.
    asked = sorted(value for value in missing if leaf != "key" or (value.isascii() and value.isdigit()))
    try:
        for start in range(0, len(asked), BATCH_SIZE):
            some = field(leaf).in_(asked[start : start + BATCH_SIZE])
            rows = client.iter_rows(target, [leaf], filters=some, filter_parameters=_ALL)
            missing -= {str(row[leaf]) for row in rows}
    except _REFUSALS as error:
        log.warning("Intacct: whether references to %s exist could not be checked: %s", target, error)
        return set()
    return missing


class _Guesses:
    """The ids of objects, read once and only when one is missing."""

    def __init__(self, client: IntacctClient) -> None:
        self.client = client
        self.ids: dict[str, list[str]] = {}
        self.said: dict[tuple[str, str], str] = {}

    def of(self, reference: _Reference) -> str:
        """Return the end of the sentence that says what is missing."""
        if reference.leaf != "id":
            return ""
        asked = reference.target, reference.value
        if asked not in self.said and len(self.said) < _MOST_GUESSES:
            self.said[asked] = self._guess(reference)
        return self.said.get(asked, "")

    def _guess(self, reference: _Reference) -> str:
        if reference.target not in self.ids:
            self.ids[reference.target] = self._read(reference.target)
        return did_you_mean(reference.value, self.ids[reference.target])

    def _read(self, target: str) -> list[str]:
        try:
            page = self.client.query(target, ["id"], size=_MOST_NAMES, filter_parameters=_ALL)
        except _REFUSALS:
            return []
        return [str(row["id"]) for row in page.rows if row["id"]]
