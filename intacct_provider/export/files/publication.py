"""Giving the parts of an export their names, in place of the export before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec
from msgspec import structs

from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctDestinationInUseError,
    IntacctIncompleteReadError,
)
from intacct_provider.export.files.file_part import FilePart, belongs
from intacct_provider.export.files.manifest import (
    Manifest,
    encode_manifest,
    manifest_path,
    parse_manifest,
)
from intacct_provider.export.files.named_files import (
    NamedFile,
    NamedFiles,
    check_foreign,
    find_foreign,
    find_rivals,
    read_files,
)
from intacct_provider.storage.claims import Claim, find_owner
from intacct_provider.storage.conditions import read_version, remove_if, rename_if, write_if
from intacct_provider.storage.exclusive import can_create_exclusively, create_exclusively
from intacct_provider.storage.files import (
    ObjectStoragePath,
    Written,
    hash_file,
    list_beside,
    make_unique,
    read_small,
    remove,
    remove_proven,
    write_small,
)
from intacct_provider.storage.kinds import check_regular

#: The name of the notes of a destination.
_NOTES = ".{}.replaced.json"
#: Times that notes are written before an owner gives up.
_TRIES = 5


def publish(claim: Claim, parts: Sequence[FilePart], manifest: Manifest, before: str | None) -> Written:
    """Replace the export of a destination: its manifest goes first, then come the parts, and the new manifest last.

    So a manifest that is the same before and after its files were read is about these files. May be called again after
    it failed partway.

    :param before: version of the manifest when the claim was new.
    :return: what is known of the manifest.
    :raises IntacctDestinationInUseError: if another owner has taken the destination over.
    """
    target, path = claim.target, manifest_path(claim.target)
    try:
        with claim.publishing():
            publish_parts(claim, parts, before)
            content = encode_manifest(manifest)
            written = replace_file(claim, path, content, lambda: _check_published_names(claim, parts))
        if not claim.exclusive:
            _check_published(claim, parts, path, written)
    except IntacctDestinationInUseError:
        # Where a storage decides on no conditions, a part may have replaced one that the other has published.
        _remove_false(target, path)
        raise
    return written


def publish_parts(claim: Claim, parts: Sequence[FilePart], before: str | None) -> None:
    """Remove the manifest, so that new parts are never treated as those it names, and give every part its name.

    :param before: version of the manifest when the claim was new.
    :raises IntacctArgumentError: if a name belongs to something that must not be replaced.
    :raises IntacctIncompleteReadError: if a part is missing.
    :raises IntacctDestinationInUseError: if somebody else has published since then.
    """
    target, manifest = claim.target, manifest_path(claim.target)
    for _ in range(_TRIES):  # an owner before that is about to stop may write notes, too
        target.fs.invalidate_cache()
        _check_names(target, parts)
        version = read_version(manifest)
        if claim.exclusive and version not in (None, before):
            raise _lost(claim)
        noted = _write_notes(claim, parts)
        claim.check()
        if noted:
            break
    else:
        raise _lost(claim)
    _check_rivals(claim, parts)
    if not remove_if(manifest, version) and read_version(manifest) is not None:
        raise _lost(claim)
    for part in parts:
        _rename_part(claim, part)


def _write_notes(claim: Claim, parts: Sequence[FilePart]) -> bool:
    """Note the files of exports before and of this one; return whether nobody else has written notes meanwhile.

    Until there is a new manifest, only these notes say what the old one named and what has its name already.
    """
    target, notes = claim.target, _notes(claim.target)
    version = read_version(notes)
    listed = {file for path in (manifest_path(target), notes) for file in read_files(read_small(path))}
    if claim.exclusive:
        _stop_others(target, listed, parts)
    files = {structs.replace(file, staged=None) for file in listed if belongs(file.name, target.name)}
    files |= {NamedFile(part.name, part.sha256, part.staged) for part in parts}
    return write_if(notes, msgspec.json.encode(NamedFiles(tuple(sorted(files, key=str)))), version)


def replace_file(
    claim: Claim, path: ObjectStoragePath, content: bytes, check: Callable[[], None] = lambda: None
) -> Written:
    """Write a small file beside a destination, such as its manifest, whole or not at all.

    Owners before can still give their own file this name, until :func:`clear_staged`.

    :param check: called when only that could still stop it.
    :raises IntacctDestinationInUseError: if another owner has taken the destination over.
    """
    written = Written(len(content), hashlib.sha256(content).hexdigest())
    staged = path.with_name(f".{path.name}.{make_unique()}.part")
    try:
        (create_exclusively if can_create_exclusively(path) else write_small)(staged, content)
        check()
        _put_in_place(claim, staged, path, written)
    except BaseException:
        with suppress(Exception):  # what has failed matters more
            remove(staged)
        raise
    return written


def clear_staged(path: ObjectStoragePath) -> None:
    """Delete the manifests that owners before were about to give a name."""
    for staged in list_beside(path, f".{path.name}."):
        if re.fullmatch(r"[0-9a-f]{8}\.part", staged.name.removeprefix(f".{path.name}.")):
            with suppress(IntacctArgumentError):  # something else
                if parse_manifest(read_small(staged) or b"", staged, Manifest):
                    remove(staged)


def remove_replaced(claim: Claim) -> None:
    """Delete what earlier exports have left, after the manifest was written: the files that it does not name.

    A file is deleted only if it has the SHA-256 that one of their manifests had for it, and is not another export's.
    """
    target, manifest, notes = claim.target, manifest_path(claim.target), _notes(claim.target)
    # If somebody has taken the destination over, that is left to them.
    with suppress(IntacctDestinationInUseError), claim.publishing():
        target.fs.invalidate_cache()
        version, content = read_version(notes), read_small(manifest)
        if content is None:
            return
        kept = {file.name for file in read_files(content)}
        files = [file for file in read_files(read_small(notes)) if belongs(file.name, target.name)]
        kept |= set(find_foreign(target, {file.name for file in files}))
        for file in files:
            if file.sha256 and file.name not in kept:
                _remove_part(claim, target.with_name(file.name), file.sha256)
        remove_if(notes, version)


def _stop_others(target: ObjectStoragePath, listed: Iterable[NamedFile], parts: Sequence[FilePart]) -> None:
    """Take from owners before what they were about to publish, so that one that was only asleep publishes no more.

    A file that is gone cannot be given its name. What a storage has in hand right then, its conditions stop.
    """
    ours = {part.staged for part in parts}
    for file in listed:
        staged = file.staged or ""
        if staged.startswith(".") and "/" not in staged and staged not in ours and file.sha256:
            remove_proven(target.with_name(staged), file.sha256)
    clear_staged(manifest_path(target))


def _put_in_place(claim: Claim, staged: ObjectStoragePath, path: ObjectStoragePath, written: Written) -> None:
    """Give a file its name as the owner, and replace nothing that somebody has written since then."""
    version = read_version(path)
    claim.check()
    if rename_if(staged, path, version):
        return
    claim.check()
    # A storage may have done it, lost the response, and been asked again.
    if hash_file(path) != written:
        raise _lost(claim)


def _lost(claim: Claim) -> IntacctDestinationInUseError:
    return IntacctDestinationInUseError(
        f"Another task has published to {str(claim.target)!r} since this one, {claim.holder}, began. This one "
        "published nothing more; its retry exports again."
    )


def _remove_part(claim: Claim, path: ObjectStoragePath, sha256: str) -> None:
    """Delete a file that has a SHA-256, as the owner, unless somebody has written it since then."""
    version, found = read_version(path), hash_file(path)
    if found and found.sha256 == sha256:
        claim.check()
        remove_if(path, version)


def _notes(target: ObjectStoragePath) -> ObjectStoragePath:
    return target.with_name(_NOTES.format(target.name))


def _check_rivals(claim: Claim, parts: Sequence[FilePart]) -> set[str]:
    """Make sure that nobody gives a file of another destination the name of a part right now, or has done so since.

    All write their notes before they look for those of others, so of two at once one at least finds those of the other.
    One that has finished meanwhile has a manifest. One that was only asleep looks again before its manifest, or is
    about to give it its name: then it finds it gone.

    :return: the names of parts that others were about to publish, who are stopped now.
    :raises IntacctDestinationInUseError: naming the other destination and its owner.
    :raises IntacctArgumentError: if the name belongs to another export by now.
    """
    names, stopped = [part.name for part in parts], set()
    for rival, shared in find_rivals(claim.target, names, _NOTES).items():
        path = claim.target.with_name(rival)
        files = [file for file in read_files(read_small(_notes(path))) if file.staged and file.name in shared]
        if not files:
            continue
        owner = find_owner(path)
        if owner:
            raise IntacctDestinationInUseError(
                f"File {min(file.name for file in files)!r} of destination {str(claim.target)!r} is a file of "
                f"destination {str(path)!r}, too, which is being published by {owner}. This task, {claim.holder}, "
                "published nothing more. Name one of them differently."
            )
        if claim.exclusive:
            _stop_others(path, files, parts)
            stopped |= {file.name for file in files}
    check_foreign(claim.target, names)
    return stopped


def _check_published_names(claim: Claim, parts: Sequence[FilePart]) -> None:
    """Make sure that nobody has given a file of another destination the name of a part since it was published.

    :raises IntacctDestinationInUseError: if somebody has, and was stopped before there was a manifest.
    """
    stopped = _check_rivals(claim, parts)
    for part in parts:
        path, written = claim.target.with_name(part.name), Written(part.bytes, part.sha256)
        if part.name in stopped and hash_file(path) != written:
            raise IntacctDestinationInUseError(
                f"File {part.name!r} of destination {str(claim.target)!r} was replaced by an export to another "
                f"destination. This task, {claim.holder}, published no manifest; its retry exports again."
            )


def _check_names(target: ObjectStoragePath, parts: Sequence[FilePart]) -> None:
    """Make sure that every part replaces a file of this export, or nothing."""
    check_regular(manifest_path(target))
    for part in parts:
        check_regular(target.with_name(part.name))
    check_foreign(target, [part.name for part in parts])


def _rename_part(claim: Claim, part: FilePart) -> None:
    staged, final = claim.target.with_name(part.staged), claim.target.with_name(part.name)
    written = Written(part.bytes, part.sha256)
    if staged.fs.exists(staged.path) and staged.fs.size(staged.path) == part.bytes:
        _put_in_place(claim, staged, final, written)
    elif hash_file(final) != written:
        claim.check()
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
    version = read_version(manifest)
    for file in read_files(read_small(manifest)):
        found = hash_file(target.with_name(file.name))
        if file.sha256 and (found is None or found.sha256 != file.sha256):
            remove_if(manifest, version)
            return
