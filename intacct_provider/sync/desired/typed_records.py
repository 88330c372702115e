"""Desired records converted to the types of the object's model, with all problems found in them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from intacct_provider.client.model import get_entries
from intacct_provider.client.query.filters import check_filters
from intacct_provider.client.spelling import did_you_mean, find_nearest
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.damage import MAX_DAMAGED, describe_damage
from intacct_provider.sync.desired.scalars import CONVERTERS, ConversionError, convert_untyped
from intacct_provider.sync.desired.state import Desired
from intacct_provider.sync.desired.xlsx_reader import ShownDate, ShownNumber, ShownPercent
from intacct_provider.sync.object_facts import SET_BY_INTACCT, ModelMembers, read_type
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import flatten, match_text, unflatten


def convert_records(
    desired: Desired, model: Mapping[str, Any], *, match_on: str
) -> tuple[list[dict[str, Any] | None], list[Problem]]:
    """Return the records in the types of the object's model, and all problems.

    A record with problems is None, so that the others can still be checked further. Numbers become int or
    :class:`decimal.Decimal` without losing a digit; amounts that Intacct sends as text stay text; dates and times are
    text in Intacct's form. Null stays, to clear the field. Models leave some fields out, so an unknown field is passed
    through unless it looks like a misspelling of a known one; custom fields (``nsp::NAME``) always pass. The model does
    not describe the elements of the lists of customer groups and account groups; for them
    :mod:`~intacct_provider.sync.object_facts` is used.

    :param model: the response of Intacct's model service for the object.
    :param match_on: dotted path of the field that identifies a record; it may be read-only, such as ``key``.
    :return: the records, in their order, and the problems: read-only or misspelled fields, values of the wrong type,
        null where the model does not allow it, values that an enumeration does not have, and the problems found when
        the records were read.
    """
    known: dict[str, list[Problem]] = {}
    for problem in desired.problems:
        known.setdefault(problem.place, []).append(problem)
    members = _SpelledMembers()
    records: list[dict[str, Any] | None] = []
    all_problems: list[Problem] = []
    for place, record in zip(desired.places, desired.records, strict=True):
        match = match_text(flatten(record).get(match_on))
        problems = [replace(problem, match=match) for problem in known.get(place, ())]
        converter = _RecordConverter(place, match, desired, match_on, members, problems)
        converted = converter.convert_object(record, model, "")
        records.append(None if problems else converted)
        all_problems += problems
    return records, all_problems


class _SpelledMembers(ModelMembers):
    """The members of a model's parts, with corrections of misspelled names."""

    def __init__(self) -> None:
        super().__init__()
        self._corrections: dict[tuple[int, str], str] = {}

    def correct(self, name: str, part: Mapping[str, Any]) -> str:
        """Return the field that an unknown name is most likely a misspelling of, or ``""``."""
        asked = id(part), name
        if asked not in self._corrections:
            near = find_nearest(name, self.of(part)) or ""
            # Stricter than a guess for a message, because here a guess rejects a record.
            alike = difflib.SequenceMatcher(None, name.casefold(), near.casefold()).ratio()
            swapped = sorted(name.casefold()) == sorted(near.casefold())
            sure = bool(near) and (alike >= 0.8 or swapped) and "::" not in name
            self._corrections[asked] = near if sure else ""
        return self._corrections[asked]


class _RecordConverter:
    """Converts one record as the model says; what is wrong is added to ``problems``."""

    def __init__(
        self,
        place: str,
        match: str,
        desired: Desired,
        match_on: str,
        members: _SpelledMembers,
        problems: list[Problem],
    ) -> None:
        self.place = place
        self.match = match
        self.desired = desired
        self.match_on = match_on
        self.members = members
        self.problems = problems

    def convert_object(
        self, record: Mapping[str, Any], part: Mapping[str, Any], prefix: str
    ) -> dict[str, Any]:
        known = self.members.of(part)
        return {
            name: self.convert_member(f"{prefix}{name}", name, value, *known.get(name, ("", part)))
            for name, value in record.items()
        }

    def convert_member(self, path: str, name: str, value: Any, kind: str, spec: Mapping[str, Any]) -> Any:
        """Return a value in the type that the model says.

        :param kind: of the member; ``""`` if the model does not list it, and ``spec`` is the part that it is in.
        """
        if self.is_read_only(path, name, spec if kind else {}):
            for below, leaf in flatten({path: value}).items():
                self.add_problem(below, leaf, f"(value {show_value(leaf)}) is read-only; leave it out")
        elif not kind:
            return self.convert_unknown(path, name, value, spec)
        elif kind == "fields":
            return self.convert_field(path, value, spec)
        elif value is None or value == {}:
            return value
        elif kind == "lists":
            return self.convert_list(path, value, spec)
        else:
            return self.convert_group(path, value, spec, reference=kind == "refs")
        return value

    def is_read_only(self, path: str, name: str, spec: Mapping[str, Any]) -> bool:
        if path == self.match_on:
            return False
        always = name == "href" or (path == name and name in SET_BY_INTACCT)
        return always or spec.get("readOnly") is True

    def convert_unknown(self, path: str, name: str, value: Any, part: Mapping[str, Any]) -> Any:
        near = "" if part.get("open") else self.members.correct(name, part)
        if near:
            reference = self.members.of(part)[near][0] == "refs" and not isinstance(value, Mapping)
            meant = f"{path.removesuffix(name)}{near}{'.id' if reference else ''}"
            text = f"(value {show_value(value)}) is not a field of the object. Did you mean {meant!r}?"
            text += f" To leave it out, give columns={{{self.desired.column(path)!r}: None}}"
            self.add_problem(path, value, text)
            return value
        return self.convert_free(path, value)

    def convert_free(self, path: str, value: Any) -> Any:
        """Return a value whose type is unknown."""
        try:
            converted = convert_untyped(value)
            self.check_damage(path, converted)
            return converted
        except ConversionError as error:
            self.add_problem(path, value, f"is {show_value(value)}, {error}")
            return value

    def convert_field(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        enum = spec.get("enum")
        if value is None:
            if spec.get("nullable") is False and path != self.match_on:
                self.add_problem(
                    path, value, "is null, but the field cannot be cleared; give a value or leave it out"
                )
            return None
        convert = CONVERTERS.get(read_type(spec))
        if convert is None:
            return self.convert_free(path, value)
        try:
            converted = convert(value, self.desired.from_text)
        except ConversionError as error:
            self.add_problem(path, value, f"is {show_value(value)}, {error}")
            return value
        self.check_enum(path, converted, enum)
        self.check_damage(path, converted)
        self.check_shown(path, value, read_type(spec))
        return converted

    def check_shown(self, path: str, value: Any, kind: str) -> None:
        """Check that a cell of a workbook has what Excel shows, and that a text was entered as text.

        Excel makes dates and numbers of texts that look like one.
        """
        percent = isinstance(value, ShownPercent)
        if self.desired.allow_damaged_text or (kind != "string" and not percent):
            return
        if percent:
            shown = f"{(value * 100).normalize():f} %"
            text = (
                f"is {value}, which Excel shows as {shown}; enter the number that the field should have, without %, or "
                "set allow_damaged_text=True to take it as it is"
            )
            self.add_problem(path, value, text)
            return
        if isinstance(value, ShownDate):
            what = "a date in Excel, which may have been another text when it was entered"
        elif isinstance(value, ShownNumber):
            what = f"a number that Excel shows in the format {show_value(value.shown)}"
        else:
            return
        text = (
            f"is {show_value(value)}, {what}; format the cell as text and enter what it should be, or set "
            "allow_damaged_text=True to take it as it is"
        )
        self.add_problem(path, value, text)

    def check_damage(self, path: str, value: Any) -> None:
        """Check that a text is not what a spreadsheet left of a value."""
        if value.__class__ is not str or len(value) > MAX_DAMAGED or self.desired.allow_damaged_text:
            return
        if damage := describe_damage(value):
            self.add_problem(path, value, f"is {show_value(value)}, {damage}")

    def check_enum(self, path: str, value: Any, enum: Any) -> None:
        if not isinstance(enum, Sequence) or isinstance(enum, str) or not enum or value in enum:
            return
        names = [str(item) for item in enum if item is not None]
        allowed = ", ".join(name or "''" for name in names)
        text = f"is {show_value(value)}.{did_you_mean(str(value), names)} Allowed: {allowed}"
        self.add_problem(path, value, text)

    def convert_group(self, path: str, value: Any, spec: Mapping[str, Any], *, reference: bool) -> Any:
        if not isinstance(value, Mapping):
            text = f"is {show_value(value)}, but it is a group of fields; give {_examples(path, spec)}"
            if reference and isinstance(value, str | int) and not isinstance(value, bool):
                text = _explain_reference(path, value)
            self.add_problem(path, value, text)
            return value
        converted = self.convert_object(value, spec, f"{path}.")
        if reference:
            self.check_reference(path, converted)
        if "filters" in converted:
            self.check_filters(path, converted)
        return converted

    def check_reference(self, path: str, value: Mapping[str, Any]) -> None:
        for name in ("id", "key"):
            if isinstance(value.get(name), str) and not value[name].strip():
                self.add_problem(
                    f"{path}.{name}", "", "is blank; give null to clear the reference, or leave it out"
                )

    def check_filters(self, path: str, group: Mapping[str, Any]) -> None:
        """Check conditions such as those of a customer group's ``memberFilter``."""
        if not isinstance(group["filters"], list):
            return
        try:
            check_filters(group["filters"], group.get("filterExpression"))
        except IntacctArgumentError as error:
            self.add_problem(f"{path}.filters", group["filters"], f"is not valid: {error}")

    def convert_list(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        part = self.members.elements(spec)
        if self.desired.from_text and isinstance(value, str) and part.get("references"):
            value = [{"id": one.strip()} for one in value.split("|")]
        if isinstance(value, list | tuple):
            return [self.convert_element(f"{path}.{n}", item, part) for n, item in enumerate(value, start=1)]
        if isinstance(value, Mapping):
            # A free object, such as a group's filter, may be described among the lists.
            return self.convert_free(path, value)
        text = f"is {show_value(value)}, but it is a list; in a table name its columns '{path}.1.id', '{path}.2.id'"
        text += f", or give all in one column '{path}[].id', separated by |"
        self.add_problem(path, value, text)
        return value

    def convert_element(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        # Filter conditions and sort orders have dotted names as content, and no fields in the model.
        if not self.members.of(spec):
            return self.convert_field(path, value, spec)
        if not isinstance(value, Mapping):
            text = f"is {show_value(value)}, but an element of this list is an object; give {_examples(path, spec)}"
            self.add_problem(path, value, text)
            return value
        try:
            nested = value if spec.get("open") else unflatten(flatten(value))
        except IntacctArgumentError as error:
            self.add_problem(path, value, f"is ambiguous: {error}")
            return value
        converted = self.convert_object(nested, spec, f"{path}.")
        if spec.get("references"):
            self.check_reference(path, converted)
            if all(converted.get(name) is None for name in ("id", "key")):
                self.add_problem(path, value, "has neither id nor key")
        return converted

    def add_problem(self, path: str, value: Any, text: str) -> None:
        column = self.desired.column(path)
        self.problems.append(Problem(self.place, self.match, column, show_value(value), text))


def _explain_reference(path: str, value: str | int) -> str:
    """Return what to give instead of the bare name of a record that a field refers to."""
    example = json.dumps({"id": str(value)[:40]}, ensure_ascii=False)
    return (
        f"is {show_value(value)}, but it refers to a record; give {example}, or in a table name the column "
        f"'{path}.id' (or give {path}.id or {path}.key)"
    )


def _examples(path: str, spec: Mapping[str, Any]) -> str:
    """Return one or two fields of a group or reference for a message, the identifying ones first."""
    names = list(get_entries(spec, "fields"))
    best = [name for name in ("id", "key") if name in names] or names[:2] or ["id"]
    return " or ".join(f"{path}.{name}" for name in best)
