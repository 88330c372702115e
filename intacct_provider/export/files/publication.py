"""Giving the parts of an export their names, in place of the export before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctDestinationInUseError,
    IntacctIncompleteReadError,
)
from intacct_provider.export.files.file_part import FilePart, belongs, split_name
from intacct_provider.export.files.manifest import SUFFIX, Manifest, manifest_path
from intacct_provider.storage.claims import Claim
from intacct_provider.storage.files import (
    ObjectStoragePath,
    Written,
    hash_file,
    list_beside,
    read_small,
    remove,
    remove_proven,
    rename,
    write_small,
)
from intacct_provider.storage.kinds import check_regular


class _File(msgspec.Struct, frozen=True):
    """A file that an export has published, or is about to."""

    name: str
    #: None in manifests and notes of older versions; such a file is never deleted.
    sha256: str | None = None


class _Files(msgspec.Struct):
    parts: tuple[_File, ...] = ()


class _Listed(_Files):
    """The files that a manifest of any version, or a note, names; the first version named one file by its path."""

    deletions: _Files | None = None
    lists: tuple[_Files, ...] = ()
    path: str = ""
    sha256: str | None = None


def publish(claim: Claim, parts: Sequence[FilePart], manifest: Manifest) -> Written:
    """Replace the export of a destination: its manifest goes first, then come the parts, and the new manifest last.

    So a manifest that is the same before and after its files were read is about these files. May be called again after
    it failed partway.

    :return: what is known of the manifest.
    :raises IntacctDestinationInUseError: if another owner has taken the destination over.
    """
    target, path = claim.target, manifest_path(claim.target)
    try:
        with claim.publishing():
            publish_parts(claim, parts)
            claim.check()
            written = manifest.write(path)
        if not claim.exclusive:
            _check_published(claim, parts, path, written)
    except IntacctDestinationInUseError:
        # The owner may have published before this task, which had lost contact, gave a part its name.
        _remove_false(target, path)
        raise
    return written


def publish_parts(claim: Claim, parts: Sequence[FilePart]) -> None:
    """Remove the manifest, so that new parts are never treated as those it names, and give every part its name.

    :raises IntacctArgumentError: if a name belongs to something that must not be replaced.
    :raises IntacctIncompleteReadError: if a part is missing.
    """
    target, manifest = claim.target, manifest_path(claim.target)
    target.fs.invalidate_cache()
    _check_names(target, parts)
    # Until there is a new manifest, only these notes know what the old one named and what has its name already.
    notes = _notes(target)
    before = {file: read_small(file) for file in (notes, manifest)}
    files = {file for content in before.values() for file in _read_files(content)}
    files |= {_File(part.name, part.sha256) for part in parts}
    ours = sorted((file for file in files if belongs(file.name, target.name)), key=str)
    write_small(notes, msgspec.json.encode(_Files(tuple(ours))))
    if before[manifest] is not None:
        remove(manifest)
    for part in parts:
        claim.check()
        _rename_part(target, part)


def remove_replaced(claim: Claim) -> None:
    """Delete what earlier exports have left, after the manifest was written: the files that it does not name.

    A file is deleted only if it has the SHA-256 that one of their manifests had for it, and is not another export's.
    """
    target = claim.target
    # If somebody has taken the destination over, that is left to them.
    with suppress(IntacctDestinationInUseError), claim.publishing():
        target.fs.invalidate_cache()
        notes, content = _notes(target), read_small(manifest_path(target))
        if content is None:
            return
        kept = {file.name for file in _read_files(content)}
        for file in _read_files(read_small(notes)):
            path = target.with_name(file.name)
            if (
                file.name not in kept
                and file.sha256
                and belongs(file.name, target.name)
                and not manifest_path(path).exists()
            ):
                remove_proven(path, file.sha256)
        remove(notes)


def _notes(target: ObjectStoragePath) -> ObjectStoragePath:
    return target.with_name(f".{target.name}.replaced.json")


def _check_names(target: ObjectStoragePath, parts: Sequence[FilePart]) -> None:
    """Make sure that every part replaces a file of this export, or nothing."""
    check_regular(manifest_path(target))
    names = {path.name for path in list_beside(target, split_name(target.name)[0])}
    for part in parts:
        check_regular(target.with_name(part.name))
        if part.name != target.name and part.name + SUFFIX in names:
            raise IntacctArgumentError(
                f"Part {part.name!r} of destination {str(target)!r} has the name of another export, whose manifest is "
                f"{part.name + SUFFIX!r}. Name another destination, or remove that export."
            )


def _rename_part(target: ObjectStoragePath, part: FilePart) -> None:
    staged, final = target.with_name(part.staged), target.with_name(part.name)
    if staged.fs.exists(staged.path) and staged.fs.size(staged.path) == part.bytes:
        rename(staged, final)
    elif hash_file(final) != Written(part.bytes, part.sha256):
        raise IntacctIncompleteReadError(
            f"Part {part.name} of the export is missing, both staged and published, so nothing was completed. "
            "Is another task writing to the same destination?"
        )


def _check_published(
    claim: Claim, parts: Sequence[FilePart], manifest: ObjectStoragePath, written: Written
) -> None:
    """Read what was published, on a storage where several may publish at once."""
    target = claim.target
    expected = {part.name: Written(part.bytes, part.sha256) for part in parts} | {manifest.name: written}
    for name, content in expected.items():
        if hash_file(target.with_name(name)) != content:
            raise IntacctDestinationInUseError(
                f"Another task has published to {str(target)!r} at the same time as this one, {claim.holder}, and "
                f"{name!r} is not what this one wrote. Its retry publishes again. {target.protocol!r} storage cannot "
                "keep them apart, so give each export a destination of its own."
            )


def _remove_false(target: ObjectStoragePath, manifest: ObjectStoragePath) -> None:
    """Delete a manifest that is not about the files that it names."""
    content = read_small(manifest)
    for file in _read_files(content):
        found = hash_file(target.with_name(file.name))
        if file.sha256 and (found is None or found.sha256 != file.sha256):
            if read_small(manifest) == content:
                remove(manifest)
            return


def _read_files(content: bytes | None) -> Iterator[_File]:
    """Yield the files in a manifest; none from one that cannot be read."""
    try:
        listed = msgspec.json.decode(content or b"{}", type=_Listed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    others = (*listed.lists, *([listed.deletions] if listed.deletions else []))
    files = [file for one in (listed, *others) for file in one.parts]
    yield from files or ([_File(listed.path.rpartition("/")[2], listed.sha256)] if listed.path else ())
