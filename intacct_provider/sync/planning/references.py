"""Whether the records that desired records refer to exist, found out in as few calls as possible."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.keys import as_number
from intacct_provider.client.model import get_object_name
from intacct_provider.client.query.expressions import field
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctNotFoundError, IntacctPermissionError, IntacctValidationError
from intacct_provider.sync.lookalikes import describe_characters
from intacct_provider.sync.object_facts import ModelMembers
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import flatten, match_text, unflatten

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.desired.state import Desired
    from intacct_provider.sync.plan import Step
    from intacct_provider.sync.request import SyncRequest

log = logging.getLogger(__name__)

#: Names that are read at most to guess a spelling.
_MAX_NAMES = 4000
#: Guesses at most; one among that many names takes a noticeable part of a second.
_MAX_GUESSES = 20
#: At the top level, records that belong to one entity exist too.
_ALL = {"includePrivate": True}
_LEAVES = frozenset({"id", "key"})
_REJECTIONS = (IntacctNotFoundError, IntacctPermissionError, IntacctValidationError)
#: Object and leaf (``id`` or ``key``) of a reference, by which it is looked up.
_Kind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Reference:
    """``path`` names ``value``, the ``id`` or ``key`` (``leaf``) of a record of ``target``."""

    target: str
    leaf: str
    value: str
    path: str

    @property
    def kind(self) -> _Kind:
        return self.target, self.leaf


def check_references(
    client: IntacctClient,
    desired: Desired,
    typed: Sequence[Mapping[str, Any] | None],
    steps: Sequence[Step],
    live_rows: Iterable[Mapping[str, Any]],
    model: Mapping[str, Any],
    request: SyncRequest,
) -> list[Problem]:
    """Return the references that a plan writes to records that do not exist.

    References in fields and in the elements of lists are checked, by id and by key. What live records have or refer to
    exists; the rest is looked up, 500 a call, one object at a time. Records that the plan creates exist for those
    that refer to them by id, and those that it deletes do not. For a missing id another call finds the nearest. An
    object that the user may not read, or that cannot be queried, is left to Intacct to check.

    :param typed: from :func:`~intacct_provider.sync.desired.typed_records.convert_records`; a reference to a record
        with problems is not another problem.
    :param steps: of the plan; creations and updates are checked.
    :param live_rows: what was read of the object itself; the more of it, the fewer calls.
    """
    written = _find_written(steps, model)
    if not written:
        return []
    rejected = _list_rejected(desired, typed)
    deleted = _list_deleted(steps, request, rejected)
    existing = _list_existing(live_rows, model, request)
    existing[request.object_name, "id"] |= _list_created(steps, request.match_on) | rejected
    missing = _find_missing(client, [reference for _, reference in written], existing, deleted)
    places, guesses = desired.places_by_match(request.match_on), _Guesses(client)
    problems = []
    for step, reference in written:
        if reference.value in deleted[reference.kind]:
            reason = "which this plan deletes"
        elif reference.value in missing[reference.kind]:
            guess = _suggest_separator(reference) or guesses.guess(reference)
            odd = describe_characters(reference.value)
            reason = (
                f"but there is no {reference.target} with this {reference.leaf}{odd and f' ({odd})'}.{guess}"
            )
        else:
            continue
        column, place = desired.column(reference.path), places.get(step.match, "")
        value = show_value(reference.value)
        problems.append(Problem(place, step.match, column, value, f"is {value}, {reason}"))
    return problems


class _Finder:
    """Finds the references in records.

    :param live: whether the records were read from Intacct; then a reference also has fields that describe its record.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.members = ModelMembers()

    def find(
        self, body: Mapping[str, Any], part: Mapping[str, Any], prefix: str = ""
    ) -> Iterator[_Reference]:
        """Yield the references in a record, or in a part of it."""
        members = self.members.of(part)
        for name, value in body.items():
            kind, spec = members.get(name, ("", {}))
            path = f"{prefix}{name}"
            if isinstance(value, Mapping) and kind in ("refs", "groups"):
                # With other fields, a contact's id may name one that is created with it.
                if kind == "refs" and (self.live or value.keys() <= _LEAVES):
                    yield from _read_leaves(get_object_name(spec), value, path)
                yield from self.find(value, spec, f"{path}.")
            elif kind == "lists" and isinstance(value, list | tuple):
                yield from self.find_in_list(value, spec, path)

    def find_in_list(self, items: Iterable[Any], spec: Mapping[str, Any], path: str) -> Iterator[_Reference]:
        part = self.members.elements(spec)
        for number, item in enumerate(items, start=1):
            if not isinstance(item, Mapping):
                continue
            bare = part.get("open") and not self.live and item.keys() <= _LEAVES
            if part.get("references") or bare:
                yield from _read_leaves(get_object_name(spec), item, f"{path}.{number}")
            else:
                yield from self.find(item, part, f"{path}.{number}.")


def _suggest_separator(reference: _Reference) -> str:
    """Return how to give several members in one cell, if this looks like several; else ``""``."""
    if not any(part.isdigit() for part in reference.path.split(".")):
        return ""
    if any(mark in reference.value for mark in ",;\n"):
        return " If these are several, separate them by |."
    if "|" in reference.value:
        return " If these are several, give them in a column whose name ends in '[].id'."
    return ""


def _read_leaves(target: str, value: Mapping[str, Any], path: str) -> Iterator[_Reference]:
    for leaf in sorted(_LEAVES):
        if target and isinstance(value.get(leaf), str) and value[leaf]:
            yield _Reference(target, leaf, value[leaf], f"{path}.{leaf}")


def _find_written(steps: Iterable[Step], model: Mapping[str, Any]) -> list[tuple[Step, _Reference]]:
    finder = _Finder(live=False)
    written = (step for step in steps if step.action in ("create", "update"))
    return [(step, reference) for step in written for reference in finder.find(step.body, model)]


def _list_existing(
    rows: Iterable[Mapping[str, Any]], model: Mapping[str, Any], request: SyncRequest
) -> defaultdict[_Kind, set[str]]:
    """Return the ids and keys that live records have or refer to."""
    existing: defaultdict[_Kind, set[str]] = defaultdict(set)
    finder = _Finder(live=True)
    for row in rows:
        record = unflatten(flatten(row))
        for reference in (*_read_leaves(request.object_name, record, ""), *finder.find(record, model)):
            existing[reference.kind].add(reference.value)
    return existing


def _list_created(steps: Iterable[Step], match_on: str) -> set[str]:
    creates = (step for step in steps if step.action == "create")
    return {step.match if match_on == "id" else str(step.body.get("id") or "") for step in creates} - {""}


def _list_rejected(desired: Desired, typed: Sequence[Mapping[str, Any] | None]) -> set[str]:
    """Return the ids of the records that have problems of their own."""
    pairs = zip(desired.records, typed, strict=True)
    return {match_text(flatten(record).get("id")) for record, converted in pairs if converted is None}


def _list_deleted(
    steps: Iterable[Step], request: SyncRequest, rejected: set[str]
) -> defaultdict[_Kind, set[str]]:
    """Return the ids, as far as they are known, and the keys of the records that the plan deletes."""
    deletes = [step for step in steps if step.action == "delete"]
    ids = {step.match for step in deletes} - rejected if request.match_on == "id" else set()
    keys = {step.key for step in deletes}
    return defaultdict(set, {(request.object_name, "id"): ids, (request.object_name, "key"): keys})


def _find_missing(
    client: IntacctClient,
    references: Iterable[_Reference],
    existing: Mapping[_Kind, set[str]],
    deleted: Mapping[_Kind, set[str]],
) -> defaultdict[_Kind, set[str]]:
    """Look up what is neither known to exist nor deleted by the plan, and return what no record has."""
    unknown: defaultdict[_Kind, set[str]] = defaultdict(set)
    for reference in references:
        kind = reference.kind
        if reference.value not in existing.get(kind, ()) and reference.value not in deleted.get(kind, ()):
            unknown[kind].add(reference.value)
    missing = {kind: _look_up(client, *kind, values) for kind, values in sorted(unknown.items())}
    return defaultdict(set, missing)


def _look_up(client: IntacctClient, target: str, leaf: str, values: set[str]) -> set[str]:
    """Return the ids or keys that no record of an object has."""
    missing = set(values)
    # Intacct does not compare a key with text that is not a number, and with it the query for all others.
    asked = sorted(value for value in missing if leaf != "key" or as_number(value) is not None)
    try:
        for start in range(0, len(asked), BATCH_SIZE):
            some = field(leaf).in_(asked[start : start + BATCH_SIZE])
            rows = client.iter_rows(target, [leaf], filters=some, filter_parameters=_ALL)
            missing -= {str(row[leaf]) for row in rows}
    except _REJECTIONS as error:
        log.warning("Intacct: could not check whether the references to %s exist: %s", target, error)
        return set()
    return missing


class _Guesses:
    """The ids of objects, read once and only when one is missing."""

    def __init__(self, client: IntacctClient) -> None:
        self.client = client
        self.ids: dict[str, list[str]] = {}
        self.guesses: dict[tuple[str, str], str] = {}

    def guess(self, reference: _Reference) -> str:
        """Return the nearest id as the end of a sentence; ``""`` if there is none."""
        if reference.leaf != "id":
            return ""
        asked = reference.target, reference.value
        if asked not in self.guesses and len(self.guesses) < _MAX_GUESSES:
            if reference.target not in self.ids:
                self.ids[reference.target] = self._read_ids(reference.target)
            self.guesses[asked] = did_you_mean(reference.value, self.ids[reference.target])
        return self.guesses.get(asked, "")

    def _read_ids(self, target: str) -> list[str]:
        try:
            page = self.client.query(target, ["id"], size=_MAX_NAMES, filter_parameters=_ALL)
        except _REJECTIONS:
            return []
        return [str(row["id"]) for row in page.rows if row["id"]]
