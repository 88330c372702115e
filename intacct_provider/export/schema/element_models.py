"""The models of the objects that the lists of a record hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.client.model import WELL_KNOWN_OBJECTS, get_entries

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

Model = Mapping[str, Any]


class Element(msgspec.Struct, frozen=True):
    """What the elements of lists are: records of an object.

    :param object: their object.
    :param owner: the reference of an element to the record; empty if it has none, or if it is unknown.
    :param paths: all lists of a record that hold the object.
    """

    object: str
    owner: str
    paths: tuple[tuple[str, ...], ...]


def read_element_models(client: IntacctClient, model: Model) -> dict[str, Model]:
    """Return the models of the elements of a model's lists, and of the lists within these, by object.

    Costs one call for each level of lists, rather than one for each list. Objects whose model cannot be read are
    missing, and so are standalone records, of which a list shows no more than a reference.
    """
    found: dict[str, Model] = {}
    asked: set[str] = set(WELL_KNOWN_OBJECTS)
    wanted = set(find_element_objects(model).values()) - asked
    while wanted:
        asked |= wanted
        read = client.models(sorted(wanted))
        found |= read
        wanted = {
            path for one in read.values() if is_owned(one) for path in find_element_objects(one).values()
        }
        wanted -= asked
    return found


def find_element_objects(model: Model) -> dict[str, str]:
    """Return the object of the elements of each list of records, by the list's dotted name."""
    return dict(_walk(model, ""))


def find_elements(model: Model, models: Mapping[str, Model], owner: str) -> list[Element]:
    """Return what the elements of a model's lists are.

    :param models: of their objects, as far as they can be read.
    :param owner: the object of the model.
    """
    paths: dict[str, list[tuple[str, ...]]] = {}
    for name, path in find_element_objects(model).items():
        paths.setdefault(path, []).append(tuple(name.split(".")))
    return [
        Element(path, find_owner(models.get(path, {}), owner), tuple(among)) for path, among in paths.items()
    ]


def find_owner(model: Model, owner: str) -> str:
    """Return the reference of an owned record to the record that it is a part of; empty if that is not clear.

    :param owner: the object of that record.
    """
    refs = {
        name: ref
        for name, ref in get_entries(model, "refs").items()
        if str(ref.get("apiObject") or "").removeprefix("objects/") == owner
    }
    marked = [name for name, ref in refs.items() if ref.get("isOwner") is True] or list(refs)
    return marked[0] if len(marked) == 1 else ""


def is_owned(model: Model) -> bool:
    """Whether a model is of records that exist only within others."""
    return model.get("type") != "rootObject"


def _walk(model: Model, prefix: str) -> Iterator[tuple[str, str]]:
    for kind in ("groups", "refs"):
        for name, inner in get_entries(model, kind).items():
            yield from _walk(inner, f"{prefix}{name}.")
    for name, part in get_entries(model, "lists").items():
        path = str(part.get("apiObject") or "").removeprefix("objects/")
        if path:
            yield prefix + name, path
