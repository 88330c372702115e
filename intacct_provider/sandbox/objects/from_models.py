"""The objects of a company file, by their models alone: what the model service says is all that is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from intacct_provider.sandbox.objects.company_file import (
    CompanyFile,
    CompanyFileError,
    CompanyObject,
    FieldModel,
    ListModel,
    Maps,
    RefModel,
)
from intacct_provider.sandbox.objects.definitions import (
    HIDDEN_ENTITY_REF,
    KEY,
    Field,
    Kind,
    ListField,
    Member,
    ObjectType,
    Ref,
    parents,
)
from intacct_provider.sandbox.objects.names import CONTACT
from intacct_provider.sandbox.objects.values import is_known_format, to_stored

OWNED_OBJECT = "ownedObject"
#: A record shows these below a reference, and writes them, as if they were its own.
EMBEDDED = (CONTACT, "company-config/contact-version")
#: What fits into a table, with some columns to spare.
MOST_MEMBERS = 1900
_GROUP_MEMBER = (KEY, Field("id"), Field("sortOrder", read_only=True))
_KINDS: Mapping[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean"}
Types = Mapping[str, ObjectType]


def build_object_types(company: CompanyFile, objects: Types, owned: Types) -> tuple[Types, Types]:
    """Return the objects of a company file, and the stubs of those that they refer to and nobody describes.

    :param objects: the built-in objects; what a model cannot say, such as a required field, is taken from them.
    :param owned: the built-in objects without an address.
    """
    builder = _Builder(company, objects, owned)
    return MappingProxyType(builder.build()), MappingProxyType(builder.build_stubs())


@dataclass(slots=True)
class _Draft:
    """The members of one object as its model has them, before the other objects are known.

    :param shown: the fields that a reference shows besides key and id, by the path of the reference.
    :param columns: the paths of members by their column, whose case does not matter.
    """

    source: CompanyObject
    known: ObjectType | None
    members: dict[str, Field | Ref | ListField] = field(default_factory=dict)
    lists: dict[str, ListModel] = field(default_factory=dict)
    shown: dict[str, list[Field]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)

    def read(self) -> None:
        """Read the model."""
        maps = self.source.maps
        self.add(replace(KEY, nullable=maps.fields["key"].nullable if "key" in maps.fields else False))
        if "id" not in maps.fields:
            self.add(Field("id", read_only=True))
        self.read_maps(maps, "", None)
        self.aliases |= self._known_aliases()

    def read_maps(self, maps: Maps, prefix: str, ref: str | None) -> None:
        """Read the members below a prefix, or below a reference."""
        for name, described in maps.fields.items():
            path = f"{prefix}{name}"
            if path == "key" or name == "href" or path in (f"{ref}.key", f"{ref}.id"):
                continue
            if ref is not None:
                self.shown[ref].append(build_field(path, described, self.known))
            elif described.type in ("array", "object"):
                is_array = described.type == "array"
                self.add(ListField(path, shape="list" if is_array else "object", free=not is_array))
            else:
                self.add(build_field(path, described, self.known))
        for name, below in maps.groups.items():
            self.read_maps(below, f"{prefix}{name}.", ref)
        for name, (described_ref, below) in maps.refs.items():
            path = f"{prefix}{name}"
            if self.add(build_ref(path, described_ref, below, self.known)):
                self.shown[path] = []
                self.read_maps(below, f"{path}.", path)
        for name, described_list in maps.lists.items():
            path = f"{prefix}{name}"
            if self.columns.setdefault(path.casefold(), path) == path:
                self.lists[path] = described_list

    def add(self, member: Field | Ref | ListField) -> bool:
        """Add a member; a name that differs from an earlier one in case only is an alias of it."""
        column = f"{member.path}.key" if isinstance(member, Ref) else member.path
        first = self.columns.setdefault(column.casefold(), member.path)
        if first != member.path:
            self.aliases[member.path] = first
            return False
        self.members[member.path] = member
        return True

    def _known_aliases(self) -> dict[str, str]:
        """Return the older names of a built-in object, which its model lists as members of their own."""
        found = {}
        for old, path in (self.known.aliases if self.known else {}).items():
            if path in self.members or any(above in self.members for above in parents(path)):
                found[old] = path
                self.members = {
                    at: one for at, one in self.members.items() if at != old and not at.startswith(f"{old}.")
                }
        return found


class _Builder:
    """Builds the objects of a company together, because members depend on what their targets are."""

    def __init__(self, company: CompanyFile, objects: Types, owned: Types) -> None:
        self.objects = objects
        self.owned = owned
        self.stubs: dict[str, dict[str, Field]] = {}
        self.drafts: dict[str, _Draft] = {}
        for name, source in company.objects.items():
            draft = _Draft(source, objects.get(name) or owned.get(name))
            draft.read()
            self.drafts[name] = draft

    def build(self) -> dict[str, ObjectType]:
        """Return the described objects, and the built-in ones with lists of them."""
        for owner, target in self._ownerships():
            _mark_owner(self.drafts[target], owner)
        for draft in self.drafts.values():
            self._place_shown(draft)
        built = {name: self._finish(draft) for name, draft in self.drafts.items()}
        listing = {owner for owner, _ in self._ownerships() if owner not in built}
        return built | {owner: self._refit(self.objects[owner]) for owner in sorted(listing)}

    def build_stubs(self) -> dict[str, ObjectType]:
        """Return the targets that nobody describes, with the fields that references show of them."""
        return {
            name: ObjectType(name, (KEY, Field("id"), *fields.values(), HIDDEN_ENTITY_REF))
            for name, fields in self.stubs.items()
        }

    def _ownerships(self) -> Iterator[tuple[str, str]]:
        """Yield the owner and the object of every list whose elements the file describes."""
        for name, draft in self.drafts.items():
            for described in draft.lists.values():
                target = _target(described.api_object)
                if target in self.drafts and self._is_owned(target, name):
                    yield name, target
        for object_type in self.objects.values():
            if object_type.name not in self.drafts:
                for kept in object_type.lists:
                    if kept.owned and kept.target in self.drafts:
                        yield object_type.name, kept.target

    def _refit(self, object_type: ObjectType) -> ObjectType:
        """Return a built-in object whose lists have elements as the file describes them."""
        members = (
            replace(one, items=self._items(one.target or ""))
            if isinstance(one, ListField) and one.owned
            else one
            for one in object_type.members
        )
        return ObjectType(object_type.name, tuple(members), object_type.aliases)

    def _is_owned(self, target: str, owner: str) -> bool:
        """Whether the elements of a list are records that belong to the record with the list."""
        if target in self.drafts:
            refs = self.drafts[target].source.maps.refs.values()
            named = any(ref.is_owner and _target(ref.api_object) == owner for ref, _ in refs)
            return named or self.drafts[target].source.head.type == OWNED_OBJECT
        return target in self.owned and any(
            ref.owner and ref.target == owner for ref in self.owned[target].refs
        )

    def _items(self, target: str, *above: str) -> tuple[Member, ...]:
        """Return the members of the elements of a list, with their own lists.

        :param above: the objects whose lists these are in; a list that leads back to one of them is left out.
        """
        if target not in self.drafts:
            return self.owned[target].shown
        draft = self.drafts[target]
        lists = [
            self._build_list(path, described, *above, target)
            for path, described in draft.lists.items()
            if _target(described.api_object) not in (*above, target)
        ]
        return (*draft.members.values(), *lists)

    def _place_shown(self, draft: _Draft) -> None:
        """Decide where the fields below each reference are stored: with the target, or with the record itself."""
        for path, fields in draft.shown.items():
            ref = draft.members.get(path)
            if not isinstance(ref, Ref):
                continue
            names = list(ref.fields)
            for one in fields:
                name = one.path.removeprefix(f"{path}.")
                if self._is_shown(ref.target, name, one):
                    names.append(name)
                else:
                    draft.add(one)
            draft.members[path] = replace(ref, fields=tuple(names))

    def _is_shown(self, target: str, name: str, described: Field) -> bool:
        if target in EMBEDDED and not described.read_only:
            return False
        if target in self.drafts:
            return isinstance(self.drafts[target].members.get(name), Field)
        known = self.objects.get(target) or self.owned.get(target)
        if known is not None:
            return known.field(name) is not None
        stub = replace(described, path=name, read_only=False, required=False, default=None, nullable=True)
        self.stubs.setdefault(target, {}).setdefault(name, stub)
        return True

    def _finish(self, draft: _Draft) -> ObjectType:
        for member in draft.members.values():
            if isinstance(member, Ref) and not self._is_described(member.target):
                self.stubs.setdefault(member.target, {})
        members: list[Member] = list(draft.members.values())
        name = draft.source.name
        members += [self._build_list(path, described, name) for path, described in draft.lists.items()]
        if "entity.key" not in draft.columns:
            members.append(HIDDEN_ENTITY_REF)
        if len(members) > MOST_MEMBERS:
            raise CompanyFileError(
                f"{name} has {len(members):,} fields, and the sandbox keeps at most {MOST_MEMBERS:,} of an object: "
                "leave the object out, or the fields that you do not need"
            )
        source = draft.source
        return ObjectType(source.name, tuple(members), draft.aliases, source.model, source.forms)

    def _is_described(self, target: str) -> bool:
        return target in self.drafts or target in self.objects or target in self.owned

    def _build_list(self, path: str, described: ListModel, *owners: str) -> ListField:
        """Return a list; the last of the owners has it, and each is an element of the one before."""
        target = _target(described.api_object)
        if self._is_owned(target, owners[-1]):
            return ListField(path, target, self._items(target, *owners))
        if target in self.drafts or target in self.objects:
            return ListField(path, target, _GROUP_MEMBER, whole=True)
        return ListField(path, free=bool(target) or described.type == "object")


def build_field(path: str, described: FieldModel, known: ObjectType | None) -> Field:
    """Return a field by its model, and by the rules of the built-in object that a model never has."""
    same = known.field(path) if known else None
    text = described.type == "string"
    found = Field(
        path,
        _KINDS.get(described.type, "string"),
        described.format if text and is_known_format(described.format) else None,
        described.enum,
        None,
        read_only=described.read_only,
        write_only=described.write_only,
        nullable=described.nullable,
        mutable=described.mutable or described.read_only,
        required=not described.read_only and (described.required or bool(same and same.required)),
        deprecated=described.deprecated,
        synonyms=same.synonyms if same else (),
        max_length=described.max_length or (same.max_length if same else None),
    )
    return replace(found, default=_default(found, described.default))


def _default(found: Field, default: object) -> object:
    """Return the default of a field; ``None`` if it does not fit the field."""
    try:
        to_stored(found, default)
    except (ValueError, TypeError):
        return None
    return default


def build_ref(path: str, described: RefModel, below: Maps, known: ObjectType | None) -> Ref:
    """Return a reference by its model."""
    leaves = tuple(name for name in ("key", "id") if name in below.fields)
    same = known.member(path) if known else None
    return Ref(
        path,
        _target(described.api_object),
        leaves or ("key",),
        read_only=bool(leaves) and all(below.fields[name].read_only for name in leaves),
        nullable=all(below.fields[name].nullable for name in leaves),
        linked="href" in below.fields,
        required=described.required or (isinstance(same, Ref) and same.required),
        owner=described.is_owner,
    )


def _mark_owner(draft: _Draft, owner: str) -> None:
    """Make sure that an owned object refers to its owner: by the reference that its model names, or a hidden one."""
    refs = [one for one in draft.members.values() if isinstance(one, Ref) and one.target == owner]
    if not any(ref.owner for ref in refs):
        ref = refs[0] if refs else Ref(f"ia::owner {owner}", owner, hidden=True)
        draft.members[ref.path] = replace(ref, owner=True)


def _target(api_object: str) -> str:
    return api_object.removeprefix("objects/")
