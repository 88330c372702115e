"""The vocabulary in which the sandbox describes an Intacct object: fields, references and lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Field:
    """One stored scalar of an object.

    :param path: dotted name as in the API, for example ``contacts.default.email1``
    :param format: ``date``, ``date-time`` or ``decimal-precision-2``; ``None`` for plain values
    :param enum: allowed values; empty means any
    :param nullable: whether ``null`` clears it
    :param mutable: ``False`` means that it can be set on create only
    :param required: really required on create; the model service always says no, as Sage's does
    :param synonyms: pairs of an older enum value and today's, accepted in writes
    :param inverse_of: for a retired boolean, the path of the boolean that replaced it with the
        opposite sense; it can be written and queried, but is never answered by GET
    :param max_length: the most characters that a write may set
    :param required_when: path and value of the field that makes this one required
    """

    path: str
    kind: Kind = "string"
    format: str | None = None
    enum: tuple[str | None, ...] = ()
    default: object = None
    read_only: bool = False
    write_only: bool = False
    nullable: bool = True
    mutable: bool = True
    required: bool = False
    deprecated: bool = False
    synonyms: tuple[tuple[str, str], ...] = ()
    inverse_of: str | None = None
    max_length: int | None = None
    required_when: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a record of another object; only ``<path>.key`` is stored.

    :param fields: what the API shows of the target, by its dotted names; ``href`` comes on top when ``linked``
    :param required: must be given on create, and never be cleared
    :param required_when: path and value of the field that makes this one required
    :param hidden: stored, but not part of what the API shows, takes or queries
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


@dataclass(frozen=True, slots=True)
class ListField:
    """An array, or a free object, stored as JSON text in the column of its path.

    :param target: the object that the elements belong to; ``None`` for plain values
    :param items: the members of an element, with paths relative to the element
    :param whole: a PATCH replaces the array; otherwise elements merge by their key
    """

    path: str
    target: str | None = None
    items: tuple[Field | Ref, ...] = ()
    shape: Literal["list", "object"] = "list"
    whole: bool = False


Member: TypeAlias = Field | Ref | ListField


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """One object of the API: its members in the order in which GET answers them.

    ``fields``, ``refs`` and ``lists`` are the members by kind. ``aliases`` maps older paths to
    today's; a path below an alias follows it (``department.id`` -> ``dimensions.department.id``).
    ``href`` is computed, so it is not among the fields. ``shown`` are the members that the API knows: all but
    what is only stored. ``demanded`` are the members that must not become
    empty: references that are required, and whatever another field makes required.
    """

    name: str
    members: tuple[Member, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = field(init=False)
    refs: tuple[Ref, ...] = field(init=False)
    lists: tuple[ListField, ...] = field(init=False)
    groups: frozenset[str] = field(init=False)
    shown: tuple[Member, ...] = field(init=False)
    demanded: tuple[Field | Ref, ...] = field(init=False)
    _by_path: dict[str, Member] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        keep("fields", tuple(member for member in self.members if isinstance(member, Field)))
        keep("refs", tuple(member for member in self.members if isinstance(member, Ref)))
        keep("lists", tuple(member for member in self.members if isinstance(member, ListField)))
        keep("groups", frozenset(above for member in self.members for above in parents(member.path)))
        keep("demanded", tuple(one for one in self.members if _demanded(one)))
        keep("shown", tuple(one for one in self.members if not (isinstance(one, Ref) and one.hidden)))
        keep("_by_path", {member.path: member for member in self.shown})

    def resolve(self, path: str) -> str:
        """Today's name of a path; the path itself when it is current or unknown."""
        for old in (path, *parents(path)):
            if old in self.aliases:
                return self.aliases[old] + path[len(old) :]
        return path

    def field(self, path: str) -> Field | None:
        """The scalar of that path or of its alias; a leaf of a reference is not one."""
        found = self._by_path.get(self.resolve(path))
        return found if isinstance(found, Field) else None

    def ref(self, path: str) -> tuple[Ref, str] | None:
        """The reference and its leaf, for a leaf that the reference itself shows.

        ``parent.name`` gives ``(Ref("parent"), "name")``; ``parent.status`` gives ``None``,
        because the status belongs to the related record: see :meth:`hop`.
        """
        hop = self.hop(path)
        if hop is None or not (hop[1] in hop[0].fields or (hop[1] == "href" and hop[0].linked)):
            return None
        return hop

    def hop(self, path: str) -> tuple[Ref, str] | None:
        """The nearest reference that a path goes through, and the rest of the path behind it.

        Ask for :meth:`field` first: ``contacts.default`` is a reference and also holds fields.
        """
        path = self.resolve(path)
        for head in parents(path):
            found = self._by_path.get(head)
            if isinstance(found, Ref):
                return found, path[len(head) + 1 :]
        return None

    def member(self, path: str) -> Member | None:
        """The field, reference or list with exactly that path (or alias)."""
        return self._by_path.get(self.resolve(path))


def _demanded(member: Member) -> bool:
    if isinstance(member, ListField):
        return False
    return member.required_when is not None or (isinstance(member, Ref) and member.required)


def parents(path: str) -> list[str]:
    """The groups above a path, the longest first: ``a.b.c`` -> ``["a.b", "a"]``."""
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


# Shared members. A key is a number that travels as a string.
KEY = Field("key", read_only=True, nullable=False, mutable=False)
NAMED = ("key", "id", "name")
ENTITY = Ref("entity", "company-config/entity", NAMED, read_only=True)
# Every record belongs to an entity or to the top level, also where Sage's description shows no entity.
HIDDEN_ENTITY = Ref("entity", "company-config/entity", NAMED, read_only=True, hidden=True)
USER = "company-config/user"
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
    """Return an enumeration; it takes ``null`` when that is a value or when there is no default."""
    return Field(path, enum=values, default=default, nullable=None in values or default is None)


def status() -> Field:
    """Return the status of an object that is no dimension."""
    return choice("status", "active", "inactive", default="active")


def dimension_status() -> Field:
    """Return the status of a dimension, which can be closed to postings and stay in reports."""
    return choice("status", None, "active", "activeNonPosting", "inactive", default="active")
