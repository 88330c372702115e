"""Giving the parts of an export their names, in place of the export before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from intacct_provider.exceptions import IntacctIncompleteReadError
from intacct_provider.export.files.file_part import FilePart, split_name
from intacct_provider.storage.files import (
    ObjectStoragePath,
    Written,
    hash_file,
    read_small,
    remove,
    rename,
    write_small,
)


class _Named(msgspec.Struct):
    name: str


class _NamedParts(msgspec.Struct):
    parts: tuple[_Named, ...] = ()


class _Listed(_NamedParts):
    """The files that a manifest of any version, or a note, names; the first version named one file by its path."""

    deletions: _NamedParts | None = None
    lists: tuple[_NamedParts, ...] = ()
    path: str = ""


def publish_parts(target: ObjectStoragePath, parts: Sequence[FilePart], manifest: ObjectStoragePath) -> None:
    """Replace the export of a destination by staged parts; may be called again after it failed partway.

    First the old manifest is removed, so that new parts are never treated as those it names; then every part gets its
    name; last, parts of the old export that no new one replaced are removed.

    :raises IntacctIncompleteReadError: if a part is missing.
    """
    target.fs.invalidate_cache()
    # Until there is a new manifest, only these notes know what the old one named and what has its name already.
    notes = _notes(target)
    before = {file: read_small(file) for file in (notes, manifest)}
    named = {name for content in before.values() for name in _read_names(content)}
    old = {name for name in named if _belongs(name, target.name)}
    new = {part.name for part in parts}
    write_small(notes, msgspec.json.encode(_NamedParts(tuple(map(_Named, sorted(old | new))))))
    if before[manifest] is not None:
        remove(manifest)
    for part in parts:
        _rename_part(target, part)
    for name in sorted(old - new):
        remove(target.with_name(name))


def forget_replaced(target: ObjectStoragePath) -> None:
    """Delete the notes of :func:`publish_parts`, after the manifest was written."""
    remove(_notes(target))


def _notes(target: ObjectStoragePath) -> ObjectStoragePath:
    return target.with_name(f".{target.name}.replaced.json")


def _rename_part(target: ObjectStoragePath, part: FilePart) -> None:
    staged, final = target.with_name(part.staged), target.with_name(part.name)
    if staged.fs.exists(staged.path) and staged.fs.size(staged.path) == part.bytes:
        rename(staged, final)
    elif hash_file(final) != Written(part.bytes, part.sha256):
        raise IntacctIncompleteReadError(
            f"Part {part.name} of the export is missing, both staged and published, so nothing was completed. "
            "Is another task writing to the same destination?"
        )


def _read_names(content: bytes | None) -> Iterator[str]:
    """Yield the names of the files in a manifest; none from one that cannot be read."""
    try:
        listed = msgspec.json.decode(content or b"{}", type=_Listed)
    except msgspec.DecodeError:
        return
    others = (*listed.lists, *([listed.deletions] if listed.deletions else []))
    names = [part.name for one in (listed, *others) for part in one.parts]
    yield from names or [listed.path.rpartition("/")[2]]


def _belongs(name: str, target_name: str) -> bool:
    """Whether an export to the destination gives a file this name; no other file is ever deleted."""
    stem, endings = map(re.escape, split_name(target_name))
    return name == target_name or bool(
        re.fullmatch(rf"{stem}(\.[^/]+|(\.[^/]+)?-[^/]*\d{{5,}}){endings}", name)
    )
