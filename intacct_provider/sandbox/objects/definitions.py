"""The types that describe an Intacct object: fields, references and lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from intacct_provider.sandbox.objects.names import ENTITY, USER

Kind = Literal["string", "integer", "number", "boolean"]
METHODS = "OPTIONS,GET,POST,DELETE,PATCH"


@dataclass(frozen=True, slots=True)
class Field:
    """One stored scalar of an object.

    :param path: dotted name as in the API, for example ``contacts.default.email1``.
    :param format: ``date``, ``date-time`` or ``decimal-precision-2``; ``None`` for plain values.
    :param enum: allowed values; empty for any value.
    :param nullable: whether ``null`` clears it, which the model service does not report.
    :param mutable: whether it can be changed after the record was created.
    :param required: whether a create requires it; the model service always reports ``false``, as at Sage.
    :param synonyms: pairs of an older enum value and the current one, accepted in writes.
    :param max_length: the maximum number of characters.
    :param required_when: path and value of another field that makes this one required.
    """

    path: str
    kind: Kind = "string"
    format: str | None = None
    enum: tuple[str | int | float | bool | None, ...] = ()
    default: object = None
    read_only: bool = False
    write_only: bool = False
    nullable: bool = True
    mutable: bool = True
    required: bool = False
    deprecated: bool = False
    synonyms: tuple[tuple[str, str], ...] = ()
    max_length: int | None = None
    required_when: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a record of another object; only ``<path>.key`` is stored.

    :param fields: dotted names of the target's fields that the API shows, besides ``href`` if ``linked``.
    :param required: whether a create requires it; then it cannot be cleared.
    :param required_when: path and value of another field that makes this one required.
    :param hidden: stored, but never shown, written or queried.
    :param owner: of an owned record, the record that it is a part of.
    :param open: names of fields of the target that can be written without effect.
    """

    path: str
    target: str
    fields: tuple[str, ...] = ("key", "id")
    read_only: bool = False
    nullable: bool = True
    linked: bool = True
    required: bool = False
    required_when: tuple[str, str] | None = None
    hidden: bool = False
    owner: bool = False
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListField:
    """An array, or an object without fixed members; stored as JSON text in the column of its path, unless owned.

    :param target: the object of the elements; ``None`` for plain values.
    :param items: the members of an element, with paths relative to the element.
    :param whole: whether an update replaces the array; otherwise its elements are owned records, which have a table
        of their own and are merged by key.
    :param free: whether the value is stored as it is written, because its form is unknown.
    """

    path: str
    target: str | None = None
    items: tuple[Member, ...] = ()
    shape: Literal["list", "object"] = "list"
    whole: bool = False
    free: bool = False

    @property
    def owned(self) -> bool:
        """Whether the elements are records that belong to the record with the list."""
        return self.target is not None and not self.whole


Member: TypeAlias = Field | Ref | ListField


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """One object of the API.

    ``href`` is computed, so it is not a member.

    :param members: in the order of the responses to GET.
    :param aliases: current paths by older path; a path below an alias follows it
        (``department.id`` -> ``dimensions.department.id``).
    :param fields: the scalar members; ``refs`` and ``lists`` are the other kinds.
    :param shown: the members that are part of the API: all but the hidden ones.
    :param columns: the columns of the object's table; owned records are in tables of their own.
    :param model: what the model service answers, if it is known; by default it follows from the members.
    :param forms: the forms of the values by field, if they are known.
    :param non_empty: the members that must not be empty after a write: required references, and members that
        another field makes required.
    """

    name: str
    members: tuple[Member, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, Any] | None = None
    forms: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Field, ...] = field(init=False)
    refs: tuple[Ref, ...] = field(init=False)
    lists: tuple[ListField, ...] = field(init=False)
    groups: frozenset[str] = field(init=False)
    shown: tuple[Member, ...] = field(init=False)
    non_empty: tuple[Field | Ref, ...] = field(init=False)
    columns: frozenset[str] = field(init=False)
    _by_path: dict[str, Member] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        keep("fields", tuple(member for member in self.members if isinstance(member, Field)))
        keep("refs", tuple(member for member in self.members if isinstance(member, Ref)))
        keep("lists", tuple(member for member in self.members if isinstance(member, ListField)))
        keep("groups", frozenset(above for member in self.members for above in parents(member.path)))
        keep("non_empty", tuple(one for one in self.members if _must_not_be_empty(one)))
        keep("shown", tuple(one for one in self.members if not (isinstance(one, Ref) and one.hidden)))
        keep("columns", frozenset(_column(one) for one in self.members if not _is_owned_list(one)))
        keep("_by_path", {member.path: member for member in self.shown})

    @property
    def methods(self) -> str:
        """The supported methods, as the model service lists them."""
        return str((self.model or {}).get("httpMethods", METHODS))

    def resolve(self, path: str) -> str:
        """Return the current name of a path; the path itself if it is current or unknown."""
        for old in (path, *parents(path)):
            if old in self.aliases:
                return self.aliases[old] + path[len(old) :]
        return path

    def field(self, path: str) -> Field | None:
        """Return the scalar at a path or alias; ``None`` for the leaf of a reference."""
        found = self._by_path.get(self.resolve(path))
        return found if isinstance(found, Field) else None

    def ref(self, path: str) -> tuple[Ref, str] | None:
        """Return the reference and its leaf, for a leaf that the reference itself shows.

        ``parent.name`` gives ``(Ref("parent"), "name")``; ``parent.status`` gives ``None``,
        because the status belongs to the related record: see :meth:`hop`.
        """
        hop = self.hop(path)
        if hop is None or not (hop[1] in hop[0].fields or (hop[1] == "href" and hop[0].linked)):
            return None
        return hop

    def hop(self, path: str) -> tuple[Ref, str] | None:
        """Return the nearest reference on a path, and the rest of the path behind it.

        Try :meth:`field` first: ``contacts.default`` is a reference and also holds fields.
        """
        path = self.resolve(path)
        for head in parents(path):
            found = self._by_path.get(head)
            if isinstance(found, Ref):
                return found, path[len(head) + 1 :]
        return None

    def member(self, path: str) -> Member | None:
        """Return the field, reference or list at exactly that path or alias."""
        return self._by_path.get(self.resolve(path))


def _column(member: Member) -> str:
    return f"{member.path}.key" if isinstance(member, Ref) else member.path


def _is_owned_list(member: Member) -> bool:
    return isinstance(member, ListField) and member.owned


def _must_not_be_empty(member: Member) -> bool:
    if isinstance(member, ListField):
        return False
    return member.required_when is not None or (isinstance(member, Ref) and member.required)


def parents(path: str) -> list[str]:
    """Return the groups above a path, the longest first: ``a.b.c`` -> ``["a.b", "a"]``."""
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


# Shared members. A key is a number, but a string in JSON.
KEY = Field("key", read_only=True, nullable=False, mutable=False)
NAMED = ("key", "id", "name")
ENTITY_REF = Ref("entity", ENTITY, NAMED, read_only=True)
# Every record belongs to an entity or to the top level, even if Sage's description shows no entity.
HIDDEN_ENTITY_REF = Ref("entity", ENTITY, NAMED, read_only=True, hidden=True)
AUDIT: tuple[Member, ...] = (
    Field("audit.createdDateTime", format="date-time", read_only=True, nullable=False),
    Field("audit.modifiedDateTime", format="date-time", read_only=True, nullable=False),
    Ref("audit.createdByUser", USER, read_only=True),
    Field("audit.createdBy", read_only=True, deprecated=True),
    Ref("audit.modifiedByUser", USER, read_only=True),
    Field("audit.modifiedBy", read_only=True, deprecated=True),
)


def identifier(*, required: bool = True, mutable: bool = True) -> Field:
    """Return the ``id`` of an object."""
    return Field("id", nullable=False, required=required, mutable=mutable)


def name_field(*, required: bool = False) -> Field:
    """Return the ``name`` of an object."""
    return Field("name", nullable=not required, required=required)


def boolean(path: str, *, default: bool = False, deprecated: bool = False, read_only: bool = False) -> Field:
    """Return a boolean, which always has a value."""
    return Field(path, "boolean", default=default, nullable=False, deprecated=deprecated, read_only=read_only)


def choice(path: str, *values: str | None, default: str | None = None) -> Field:
    """Return an enumeration; it is nullable if ``null`` is a value or if there is no default."""
    return Field(path, enum=values, default=default, nullable=None in values or default is None)


def status() -> Field:
    """Return the status of an object that is not a dimension."""
    return choice("status", "active", "inactive", default="active")


def dimension_status() -> Field:
    """Return the status of a dimension, which can be closed for postings and stay in reports."""
    return choice("status", None, "active", "activeNonPosting", "inactive", default="active")
