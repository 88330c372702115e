"""The file that describes a company: its objects, by the answers of the model service. It holds no records.

>>> {"format": "intacct-company/1", "entities": [{"id": "US"}],
...  "objects": {"general-ledger/account": {"count": 120, "model": {"fields": {...}, "refs": {...}, ...}}}}
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import msgspec

from intacct_provider.sandbox.models import SHIPPED, read_shipped
from intacct_provider.sandbox.nearest import find_meant, find_nearest

FORMAT = "intacct-company/1"
#: What a field can hold; an array holds plain values, an object is kept as it is written.
TYPES = ("string", "integer", "number", "boolean", "array", "object")

#: What every object has, and always as a field.
FIELDS = ("key", "id", "href")

CompanySource: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A company file, by its path or as its decoded JSON; ``shipped`` for the models that the package ships."""
_T = TypeVar("_T", bound=msgspec.Struct)


class CompanyFileError(ValueError):
    """A company file cannot be used; the message has the object, the field and what is wrong."""


class FieldModel(msgspec.Struct, frozen=True, rename="camel"):
    """A field, as the model service describes it."""

    type: str = "string"
    format: str | None = None
    enum: tuple[str | int | float | bool | None, ...] = ()
    default: Any = None
    read_only: bool = False
    write_only: bool = False
    required: bool = False
    nullable: bool = True
    mutable: bool = True
    deprecated: bool = False
    max_length: int | None = None


class ListModel(msgspec.Struct, frozen=True, rename="camel"):
    """A list: of the records of an object, or of plain values."""

    api_object: str = ""
    type: str = "string"


class RefModel(msgspec.Struct, frozen=True, rename="camel"):
    """A reference to a record of another object; its maps are in :class:`Maps`."""

    api_object: str
    is_owner: bool = False
    required: bool = False


class ModelHead(msgspec.Struct, frozen=True, rename="camel"):
    """What a model says of the object itself."""

    type: str = "rootObject"
    http_methods: str = "OPTIONS,GET,POST,DELETE,PATCH"


@dataclass(frozen=True, slots=True)
class Maps:
    """The members of an object, a group or a reference, by name."""

    fields: Mapping[str, FieldModel]
    groups: Mapping[str, Maps]
    refs: Mapping[str, tuple[RefModel, Maps]]
    lists: Mapping[str, ListModel]


@dataclass(frozen=True, slots=True)
class CompanyObject:
    """One object of a company.

    :param model: the answer of the model service, as it is in the file.
    :param count: how many records the company has; ``None`` if unknown.
    :param forms: the forms of the values by field; empty if no records were sampled.
    """

    name: str
    model: Mapping[str, Any]
    head: ModelHead
    maps: Maps
    count: int | None = None
    forms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompanyFile:
    """The objects of a company by name, and the ids of its entities."""

    objects: Mapping[str, CompanyObject]
    entities: tuple[str, ...] = ()


def load(source: CompanySource) -> CompanyFile:
    """Read and check a company file.

    :raises CompanyFileError: if it cannot be read or is not valid; the message has the object and the field.
    """
    if source == SHIPPED:
        return _read_company(read_shipped())
    where = "the company" if isinstance(source, Mapping) else f"the company file {os.fspath(source)}"
    try:
        return _read_company(source if isinstance(source, Mapping) else _decode(Path(source)))
    except CompanyFileError as error:
        raise CompanyFileError(f"{where}: {error}") from None


def _decode(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise CompanyFileError(f"it cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CompanyFileError(f"it is not valid JSON: {error}") from None


def _read_company(content: Any) -> CompanyFile:
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, Mapping) else content
        older = str(found).startswith(f"{FORMAT.partition('/')[0]}/")
        advice = ", which another version of the provider wrote: capture the company again" if older else ""
        raise CompanyFileError(f"format must be {FORMAT!r}, not {str(found)[:60]!r}{advice}")
    _check_names(content, ("format", "entities", "objects"), "the file")
    objects = content.get("objects")
    if not isinstance(objects, Mapping):
        raise CompanyFileError('"objects" must be an object with a member for each object of the company')
    entities = content.get("entities", [])
    if not isinstance(entities, list) or not all(
        isinstance(one, Mapping) and isinstance(one.get("id"), str) and one["id"] for one in entities
    ):
        raise CompanyFileError('"entities" must be an array of objects with an "id"')
    found = {name: _read_object(name, entry) for name, entry in objects.items()}
    return CompanyFile(MappingProxyType(found), tuple(one["id"] for one in entities))


def _read_object(name: str, entry: Any) -> CompanyObject:
    application, _, rest = name.partition("/")
    if not application or not rest or "/" in rest or '"' in name:
        raise CompanyFileError(f"{name!r} is not the path of an object, such as 'general-ledger/account'")
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model"), Mapping):
        raise CompanyFileError(f'{name}: it needs a "model", the result of the model service')
    _check_names(entry, ("model", "count", "forms"), name)
    count, forms, model = entry.get("count"), entry.get("forms") or {}, entry["model"]
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise CompanyFileError(f'{name}: "count" must be a number or null, not {count!r}')
    if not isinstance(forms, Mapping) or not all(isinstance(form, Mapping) for form in forms.values()):
        raise CompanyFileError(f'{name}: "forms" must be an object with an object for each field')
    head = _convert(model, ModelHead, f"{name}, model")
    return CompanyObject(name, model, head, _read_maps(name, "", model), count, forms)


def _read_maps(name: str, path: str, raw: Mapping[str, Any]) -> Maps:
    """Read the four maps of an object, a group or a reference."""
    kinds: dict[str, str] = {}

    def entries(kind: str, one: str) -> Iterator[tuple[str, str, Any]]:
        found = raw.get(kind) or {}  # the model service writes an empty map as an array
        if not isinstance(found, Mapping):
            raise CompanyFileError(f"{name}{_at(path)}: {kind!r} must be an object")
        for member, described in found.items():
            at = f"{path}.{member}" if path else member
            if not member.strip() or '"' in member or "." in member or not member.isprintable():
                raise CompanyFileError(f"{name}: {member!r} cannot be the name of a {one}")
            if at in FIELDS and kind != "fields":
                raise CompanyFileError(f"{name}: {at!r} must be a field, not a {one}")
            if member in kinds:
                raise CompanyFileError(f"{name}: {at!r} is both a {kinds[member]} and a {one}")
            kinds[member] = one
            if not isinstance(described, Mapping):
                raise CompanyFileError(f"{name}, {one} {at}: it must be described by an object")
            yield member, at, described

    fields = {
        member: _read_field(f"{name}, field {at}", described)
        for member, at, described in entries("fields", "field")
    }
    groups = {member: _read_maps(name, at, described) for member, at, described in entries("groups", "group")}
    refs = {
        member: (_read_ref(f"{name}, reference {at}", described), _read_maps(name, at, described))
        for member, at, described in entries("refs", "reference")
    }
    lists = {
        member: _convert(described, ListModel, f"{name}, list {at}")
        for member, at, described in entries("lists", "list")
    }
    return Maps(fields, groups, refs, lists)


def _read_field(where: str, described: Mapping[str, Any]) -> FieldModel:
    found = _convert(described, FieldModel, where)
    if found.type not in TYPES:
        raise CompanyFileError(
            f"{where}: the type {found.type!r} is not known; did you mean {find_nearest(found.type, TYPES)!r}?"
        )
    return found


def _read_ref(where: str, described: Mapping[str, Any]) -> RefModel:
    if "apiObject" not in described:
        raise CompanyFileError(f'{where}: it needs an "apiObject", the object that it refers to')
    return _convert(described, RefModel, where)


def _check_names(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse a member whose name is misspelled; what the model service says besides the known members is ignored."""
    for name in given:
        meant = find_meant(name, known)
        if meant:
            raise CompanyFileError(f"{where}: {name!r} is unknown; did you mean {meant!r}?")


def _convert(described: Mapping[str, Any], kind: type[_T], where: str) -> _T:
    _check_names(described, kind.__struct_encode_fields__, where)
    try:
        return msgspec.convert(dict(described), kind)
    except msgspec.ValidationError as error:
        raise CompanyFileError(f"{where}: {str(error).replace('`$.', '`')}") from None


def _at(path: str) -> str:
    return f", {path}" if path else ""
