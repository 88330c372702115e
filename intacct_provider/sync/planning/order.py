"""In which order records are written that refer to each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from intacct_provider.client.model import entries
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import shown


def own_references(model: Mapping[str, Any], object_name: str) -> tuple[str, ...]:
    """Return the dotted paths of the references that an object has to itself, such as a customer's ``parent``."""
    return tuple(_own(model, object_name, ""))


def levels(needs: Mapping[str, Iterable[str]], *, circles: str = "") -> dict[str, int]:
    """Return the level of each record: one above the highest of those that it needs, from 0.

    :param needs: what each record refers to, by name; names that are none of the records' do not count.
    :param circles: what an error calls records that need each other in a circle; ``""`` puts them on level 0 instead.
    :raises IntacctArgumentError: for a circle, naming the records in it.
    """
    inner = {name: sorted({one for one in others if one in needs}) for name, others in needs.items()}
    found: dict[str, int] = {}
    for start in inner:
        path: list[str] = [] if start in found else [start]
        on_path = set(path)
        while path:
            name = path[-1]
            waiting = next((one for one in inner[name] if one not in found and one not in on_path), None)
            if waiting is not None:
                path.append(waiting)
                on_path.add(waiting)
                continue
            back = next((one for one in inner[name] if one in on_path), None)
            if back is not None and circles:
                raise IntacctArgumentError(_circle(path[path.index(back) :], circles))
            found[name] = max((found.get(one, -1) for one in inner[name]), default=-1) + 1
            on_path.discard(path.pop())
    return found


def referred(record: Mapping[str, Any], object_name: str, paths: Sequence[str]) -> set[str]:
    """Return the ids and keys of records of the same object that a record refers to, keys as ``key:7``.

    :param record: nested or dotted, such as a body or a live record.
    :param paths: from :func:`own_references`. In lists, whose elements the model does not describe, references are
        known by their name: ``accountGroup`` and ``glAccountGroup`` are account groups.
    """
    kind = object_name.rpartition("/")[2].replace("-", "").lower()
    found: set[str] = set()
    for path, value in _leaves(record, ""):
        parent, _, leaf = path.rpartition(".")
        if parent in paths and value not in (None, "") and leaf in ("id", "key"):
            found.add(f"key:{value}" if leaf == "key" else str(value))
        elif isinstance(value, list | tuple):
            found |= set(_in_elements(value, kind))
    return found


def refers_in_lists(model: Mapping[str, Any], object_name: str) -> bool:
    """Tell whether an object owns records, in which it may refer to itself as groups do to their members."""
    owned = f"{object_name}-"
    return any(str(part.get("apiObject", "")).startswith(owned) for part in entries(model, "lists").values())


def _own(model: Mapping[str, Any], object_name: str, prefix: str) -> Iterator[str]:
    for name, part in entries(model, "refs").items():
        if str(part.get("apiObject", "")).removeprefix("objects/") == object_name:
            yield f"{prefix}{name}"
    for name, part in entries(model, "groups").items():
        yield from _own(part, object_name, f"{prefix}{name}.")


def _leaves(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _in_elements(items: Iterable[Any], kind: str) -> Iterator[str]:
    for item in items:
        for path, value in _leaves(item, "") if isinstance(item, Mapping) else ():
            parent, _, leaf = path.rpartition(".")
            if value not in (None, "") and parent.rpartition(".")[2].lower().endswith(kind):
                if leaf == "id":
                    yield str(value)
                elif leaf == "key":
                    yield f"key:{value}"


def _circle(names: Sequence[str], circles: str) -> str:
    way = " -> ".join(shown(name) for name in (*names, names[0]))
    return f"{circles} need each other in a circle ({way}), so that none can be written first."
