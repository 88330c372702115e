"""Desired records in the types of the object's model, with every mistake in them found first."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from intacct_provider.client.model import entries
from intacct_provider.client.query.filters import checked_filters
from intacct_provider.client.spelling import did_you_mean, nearest
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.convert import CONVERT, NotOfTypeError, untyped
from intacct_provider.sync.desired.state import Desired, column_of
from intacct_provider.sync.object_facts import Parts, type_of
from intacct_provider.sync.problems import Problem, shown
from intacct_provider.sync.records import flatten, match_text, unflatten

#: Set by Intacct on every object, whether or not its model says so.
_SET_BY_INTACCT = frozenset({"key", "href", "audit"})


def typed(
    desired: Desired, model: Mapping[str, Any], *, match_on: str
) -> tuple[list[dict[str, Any] | None], list[Problem]]:
    """Return the records typed as the object's model says, and all that is wrong with them.

    A record with problems is None, so that all others can still be checked further. Numbers become int or
    :class:`decimal.Decimal` without losing a digit; amounts that Intacct sends as text stay text; dates and times are
    text in Intacct's form. A null stays, to clear the field. A field that the model does not list is passed through
    unless it looks like a misspelling of one that it does, because models leave some fields out; custom fields
    (``nsp::NAME``) always pass. For the lists of customer groups and account groups, of whose elements the model says
    nothing, what is known of them counts.

    :param model: the answer of Intacct's model service for the object.
    :param match_on: dotted path of the field that identifies a record; it may be read-only, such as ``key``.
    :returns: the records, in their order, and the problems: read-only or misspelled fields, values of the
        wrong type, nulls where the model allows none, values that an enumeration does not have, and what reading
        the records found.
    """
    found: dict[str, list[Problem]] = {}
    for problem in desired.problems:
        found.setdefault(problem.place, []).append(problem)
    kinds = _Kinds()
    records: list[dict[str, Any] | None] = []
    told: list[Problem] = []
    for place, record in zip(desired.places, desired.records, strict=True):
        match = match_text(flatten(record).get(match_on))
        problems = [replace(problem, match=match) for problem in found.get(place, ())]
        walk = _Walk(place, match, desired, match_on, kinds, problems)
        made = walk.visit_object(record, model, "")
        records.append(None if problems else made)
        told += problems
    return records, told


class _Kinds(Parts):
    """The parts of a model, with guesses of misspelled names."""

    def __init__(self) -> None:
        super().__init__()
        self._meant: dict[tuple[int, str], str] = {}

    def meant(self, name: str, part: Mapping[str, Any]) -> str:
        """Return the field that an unknown name is most likely a misspelling of, or ``""``."""
        known = self.of(part)
        if (id(part), name) not in self._meant:
            near = nearest(name, known) or ""
            # Stricter than a guess for a message, because here a guess refuses a record.
            alike = difflib.SequenceMatcher(None, name.casefold(), near.casefold()).ratio()
            swapped = sorted(name.casefold()) == sorted(near.casefold())
            sure = bool(near) and (alike >= 0.8 or swapped) and "::" not in name
            self._meant[id(part), name] = near if sure else ""
        return self._meant[id(part), name]


class _Walk:
    """One record on its way through the model; what is wrong goes to ``problems``."""

    def __init__(
        self, place: str, match: str, desired: Desired, match_on: str, kinds: _Kinds, problems: list[Problem]
    ) -> None:
        self.place = place
        self.match = match
        self.desired = desired
        self.match_on = match_on
        self.kinds = kinds
        self.problems = problems

    def visit_object(self, record: Mapping[str, Any], part: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        known = self.kinds.of(part)
        return {
            name: self.visit_member(f"{prefix}{name}", name, value, *known.get(name, ("", part)))
            for name, value in record.items()
        }

    def visit_member(self, path: str, name: str, value: Any, kind: str, spec: Mapping[str, Any]) -> Any:
        """Return a value as the model has it; ``spec`` of a name that the model lacks is what it should be in."""
        if self.read_only(path, name, spec if kind else {}):
            for below, leaf in flatten({path: value}).items():
                self.problem(below, leaf, f"(value {shown(leaf)}) is read-only; leave it out")
        elif not kind:
            return self.visit_unknown(path, name, value, spec)
        elif kind == "fields":
            return self.visit_field(path, value, spec)
        elif value is None or value == {}:
            return value
        elif kind == "lists":
            return self.visit_list(path, value, spec)
        else:
            return self.visit_group(path, value, spec, reference=kind == "refs")
        return value

    def read_only(self, path: str, name: str, spec: Mapping[str, Any]) -> bool:
        if path == self.match_on:
            return False
        always = name == "href" or (path == name and name in _SET_BY_INTACCT)
        return always or spec.get("readOnly") is True

    def visit_unknown(self, path: str, name: str, value: Any, part: Mapping[str, Any]) -> Any:
        near = "" if part.get("open") else self.kinds.meant(name, part)
        if near:
            meant = f"{path.removesuffix(name)}{near}"
            text = f"(value {shown(value)}) is not a field of the object. Did you mean {meant!r}?"
            self.problem(path, value, text)
            return value
        return self.free(path, value)

    def free(self, path: str, value: Any) -> Any:
        """Return a value of which the model tells no type."""
        try:
            return untyped(value)
        except NotOfTypeError as error:
            self.problem(path, value, f"is {shown(value)}, {error}")
            return value

    def visit_field(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        enum = spec.get("enum")
        if value is None:
            if spec.get("nullable") is False and path != self.match_on:
                self.problem(
                    path, value, "is null, but this field cannot be cleared; give a value or leave it out"
                )
            return None
        convert = CONVERT.get(type_of(spec))
        if convert is None:
            return self.free(path, value)
        try:
            made = convert(value, self.desired.from_text)
        except NotOfTypeError as error:
            self.problem(path, value, f"is {shown(value)}, {error}")
            return value
        self.check_enum(path, made, enum)
        return made

    def check_enum(self, path: str, value: Any, enum: Any) -> None:
        if not isinstance(enum, Sequence) or isinstance(enum, str) or not enum or value in enum:
            return
        names = [str(item) for item in enum if item is not None]
        allowed = ", ".join(name or "''" for name in names)
        text = f"is {shown(value)}.{did_you_mean(str(value), names)} Allowed: {allowed}"
        self.problem(path, value, text)

    def visit_group(self, path: str, value: Any, spec: Mapping[str, Any], *, reference: bool) -> Any:
        if not isinstance(value, Mapping):
            text = f"is {shown(value)}, but it is a group of fields; give {_examples(path, spec)}"
            self.problem(path, value, text)
            return value
        made = self.visit_object(value, spec, f"{path}.")
        if reference:
            self.check_reference(path, made)
        if "filters" in made:
            self.check_filters(path, made)
        return made

    def check_reference(self, path: str, value: Mapping[str, Any]) -> None:
        for name in ("id", "key"):
            if isinstance(value.get(name), str) and not value[name].strip():
                self.problem(
                    f"{path}.{name}", "", "is blank; give null to clear the reference, or leave it out"
                )

    def check_filters(self, path: str, group: Mapping[str, Any]) -> None:
        """Check conditions such as those of a customer group's ``memberFilter``."""
        if not isinstance(group["filters"], list):
            return
        try:
            checked_filters(group["filters"], group.get("filterExpression"))
        except IntacctArgumentError as error:
            self.problem(f"{path}.filters", group["filters"], f"cannot be right: {error}")

    def visit_list(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        if isinstance(value, list | tuple):
            part = self.kinds.elements(spec)
            return [self.visit_element(f"{path}.{n}", item, part) for n, item in enumerate(value, start=1)]
        if isinstance(value, Mapping):
            # A free object, such as a group's filter, may be described among the lists.
            return self.free(path, value)
        text = (
            f"is {shown(value)}, but it is a list; in a table name its columns '{path}.1.id', '{path}.2.id'"
        )
        self.problem(path, value, text)
        return value

    def visit_element(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        # Filter conditions and sort orders have dotted names as content, and no fields in the model.
        if not self.kinds.of(spec):
            return self.visit_field(path, value, spec)
        if not isinstance(value, Mapping):
            text = (
                f"is {shown(value)}, but an element of this list is an object; give {_examples(path, spec)}"
            )
            self.problem(path, value, text)
            return value
        try:
            nested = value if spec.get("open") else unflatten(flatten(value))
        except IntacctArgumentError as error:
            self.problem(path, value, f"is not clear: {error}")
            return value
        made = self.visit_object(nested, spec, f"{path}.")
        if spec.get("references"):
            self.check_reference(path, made)
            if all(made.get(name) is None for name in ("id", "key")):
                self.problem(path, value, "has neither id nor key")
        return made

    def problem(self, path: str, value: Any, text: str) -> None:
        column = column_of(path, self.desired.columns)
        self.problems.append(Problem(self.place, self.match, column, shown(value), text))


def _examples(path: str, spec: Mapping[str, Any]) -> str:
    """Name one or two fields of a group or reference, the identifying ones first."""
    names = list(entries(spec, "fields"))
    best = [name for name in ("id", "key") if name in names] or names[:2] or ["id"]
    return " or ".join(f"{path}.{name}" for name in best)
