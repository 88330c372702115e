"""The file that a captured company is: reading, comparing and writing it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from intacct_provider.client.model import read_fields
from intacct_provider.exceptions import IntacctArgumentError

FORMAT = "intacct-company/1"
Document = Mapping[str, Any]


def build_document(entities: int, objects: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of the file.

    :param entities: how many there are. Their ids are data, so they are numbered.
    :param objects: by path, each with its ``model``, ``count`` and perhaps ``forms``.
    """
    return {
        "format": FORMAT,
        "entities": [{"id": f"E{number}"} for number in range(1, entities + 1)],
        "objects": objects,
    }


def read_earlier(path: Path, *, overwrite: bool = False) -> Document | None:
    """Return the captured company that a file has; None if there is no such file.

    :param overwrite: whether a file with something else may be replaced.
    :raises IntacctArgumentError: if it may not, or the file cannot be written.
    """
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a directory" if path.is_dir() else "is in a directory that does not exist"
        raise IntacctArgumentError(f"--out {str(path)!r} {problem}; give the path of a file.")
    _check_writable(path)
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as err:
        raise IntacctArgumentError(f"--out {str(path)!r} cannot be read: {err.strerror}.") from None
    except ValueError:
        document = None
    if isinstance(document, dict) and document.get("format") == FORMAT and _is_whole(document):
        return document
    if not overwrite:
        raise IntacctArgumentError(
            f"--out {str(path)!r} exists and is not a captured company, or is damaged, so it is kept. Give another "
            "file, or replace it with --overwrite."
        )
    return None


def _is_whole(document: Document) -> bool:
    """Whether a file can be compared with a later capture."""
    objects = document.get("objects")
    return isinstance(objects, Mapping) and all(
        isinstance(one, Mapping) and isinstance(one.get("model"), Mapping) for one in objects.values()
    )


def _check_writable(path: Path) -> None:
    """Fail before calls are made if the file cannot be written.

    :raises IntacctArgumentError: if it cannot.
    """
    part = _name_part(path)
    try:
        part.touch()
        part.unlink()
    except OSError as err:
        raise _cannot_write(path, err) from None


def _name_part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _cannot_write(path: Path, err: OSError) -> IntacctArgumentError:
    return IntacctArgumentError(f"--out {str(path)!r} cannot be written: {err.strerror}.")


def write_document(path: Path, document: Document) -> None:
    """Write the file whole: until it is complete, an earlier one stays.

    :raises IntacctArgumentError: if it cannot be written.
    """
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    part = _name_part(path)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as err:
        with suppress(OSError):
            part.unlink()
        raise _cannot_write(path, err) from None


def list_changes(before: Document, after: Document) -> Iterator[str]:
    """Yield what differs between the models of two captures, a line for each object."""
    old, new = before["objects"], after["objects"]
    yield from (f"- {name}" for name in sorted(old.keys() - new.keys()))
    yield from (f"+ {name}" for name in sorted(new.keys() - old.keys()))
    for name in sorted(old.keys() & new.keys()):
        changes = _list_field_changes(old[name]["model"], new[name]["model"])
        if changes:
            yield f"~ {name}: {', '.join(changes)}"


def _list_field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = read_fields(before), read_fields(after)
    marks = {
        name: "-" if name not in new else "+" if name not in old else "~" for name in old.keys() | new.keys()
    }
    return [f"{marks[name]}{name}" for name in sorted(marks) if old.get(name) != new.get(name)]
