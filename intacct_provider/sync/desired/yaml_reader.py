"""Desired records in YAML, in which text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value

_MAX_LEVELS = 50
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# As many digits as every JSON reader keeps; a longer number identifies an account rather than being an amount.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
# Without a decimal point 1e3 is text, as in YAML 1.1.
_FRACTION = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]{1,3})?")


class Unquoted(str):
    """A YAML value without quotes, as written; the field that it is for decides whether it is text.

    ``NO`` in a text field is Norway and not false, ``0123`` keeps its zero, and ``2026-01-01`` is a date only in a
    field for dates.
    """

    __slots__ = ()

    @property
    def meaning(self) -> bool | int | Decimal | str:
        """The value where the type of the field is unknown: a boolean or number as in JSON, or text."""
        text = str(self)
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return Decimal(text) if _FRACTION.fullmatch(text) else text


def read_yaml(source: str, text: str) -> list[tuple[str, Any]]:
    """Return the elements of a YAML list, each with the line it starts on.

    Values in quotes are text; ``null``, ``~`` and nothing are null; all others are :class:`Unquoted`. Repeated names,
    anchors, aliases, tags and further documents are rejected, because they can mean more than they seem to.

    :raises IntacctArgumentError: naming the line.
    """
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _Reader(source, yaml.parse(text, Loader=loader)).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
        reason = error.problem or error.context or "it cannot be read"
    except yaml.YAMLError as error:
        place = "unknown place"
        reason = str(getattr(error, "reason", "")) or "it cannot be read"
    raise IntacctArgumentError(
        f"{source}: {place}: not valid YAML ({reason}); put text with special characters in quotes"
    )


#: An event of the parser: which members it has depends on its type.
_Event = Any


class _Reader:
    """Builds values from the events of a YAML parser."""

    def __init__(self, source: str, events: Iterator[_Event]) -> None:
        self.source = source
        self.events = events

    def read(self) -> list[tuple[str, Any]]:
        first = self._content()
        if isinstance(first, yaml.StreamEndEvent):
            return []
        if not isinstance(first, yaml.SequenceStartEvent):
            self._reject(first, "the file must hold a list of records, each beginning with '- '")
        self._check(first)
        records = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            records.append((f"line {event.start_mark.line + 1}", self._value(event, 1)))
        after = self._content()
        if not isinstance(after, yaml.StreamEndEvent):
            self._reject(after, "a second document begins here; give one list")
        return records

    def _content(self) -> _Event:
        """Return the next event that is not the beginning or end of a document."""
        frame = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
        return next(event for event in self.events if not isinstance(event, frame))

    def _value(self, event: _Event, level: int) -> Any:
        self._check(event)
        if level > _MAX_LEVELS:
            self._reject(event, f"values are nested more than {_MAX_LEVELS} deep")
        if isinstance(event, yaml.ScalarEvent):
            return _read_scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self._value(item, level + 1))
            return items
        record: dict[str, Any] = {}
        while not isinstance(name := next(self.events), yaml.MappingEndEvent):
            self._check(name)
            if not isinstance(name, yaml.ScalarEvent):
                self._reject(name, "the name of a field must be text")
            if name.value == "<<" and not name.style:
                self._reject(
                    name, "'<<' merges another mapping, which is not supported; write its fields here"
                )
            if name.value in record:
                self._reject(name, f"the name {show_value(name.value)} is given twice; keep one")
            record[str(name.value)] = self._value(next(self.events), level + 1)
        return record

    def _check(self, event: _Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            mark = "*" if isinstance(event, yaml.AliasEvent) else "&"
            name = show_value(f"{mark}{event.anchor}")
            self._reject(
                event, f"{name} is an anchor or alias, which is not supported; write the value, or quote it"
            )
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._reject(event, f"the tag {show_value(tag)} is not supported; leave it out")

    def _reject(self, event: _Event, text: str) -> None:
        line = event.start_mark.line + 1
        raise IntacctArgumentError(f"{self.source}: line {line}: {text}")


def _read_scalar(event: _Event) -> str | None:
    if event.style or event.tag is not None:
        return str(event.value)
    return None if event.value in _NULLS else Unquoted(event.value)
