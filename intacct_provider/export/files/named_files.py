"""The files that manifests name, and which of them belong to other exports in the folder of a destination."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.file_part import split_name
from intacct_provider.export.files.manifest import SUFFIX
from intacct_provider.storage.files import ObjectStoragePath, list_names_beside, read_small


class NamedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that an export has published, or is about to.

    :param staged: its hidden name until then; only in notes.
    """

    name: str
    #: None in manifests and notes of older versions; such a file is never deleted.
    sha256: str | None = None
    staged: str | None = None


class NamedFiles(msgspec.Struct):
    """Files, in the notes of an export that is being published."""

    parts: tuple[NamedFile, ...] = ()


class _Listed(NamedFiles):
    """The files that a manifest of any version, or a note, names; the first version named one file by its path."""

    deletions: NamedFiles | None = None
    lists: tuple[NamedFiles, ...] = ()
    path: str = ""
    sha256: str | None = None


def check_foreign(target: ObjectStoragePath, names: Iterable[str]) -> None:
    """Make sure that neither a destination nor a file of its export belongs to another export.

    :param names: of the files.
    :raises IntacctArgumentError: naming the manifest of the other export.
    """
    for name, manifest in sorted(find_foreign(target, {target.name, *names}).items()):
        if name == target.name:
            what = f"destination {str(target)!r} is a part of"
        elif manifest == name + SUFFIX:
            what = f"Part {name!r} of destination {str(target)!r} has the name of"
        else:
            what = f"Part {name!r} of destination {str(target)!r} is a part of"
        raise IntacctArgumentError(
            f"{what} another export, whose manifest is {manifest!r}. Name another destination, or remove that export."
        )


def find_foreign(target: ObjectStoragePath, names: Iterable[str]) -> dict[str, str]:
    """Return which names belong to other exports than that of a destination, each with the name of their manifest.

    The name of a destination belongs to its export, whatever the names of its files are.
    """
    found: dict[str, str] = {}
    for rival, shared in find_rivals(target, names, "{}" + SUFFIX).items():
        theirs = _read_names(target.with_name(rival + SUFFIX))
        if theirs is not None:
            found |= dict.fromkeys(shared & {rival, *theirs}, rival + SUFFIX)
    return found


def find_rivals(target: ObjectStoragePath, names: Iterable[str], beside: str) -> dict[str, set[str]]:
    """Return which other destinations may have files of these names, each with the names.

    :param beside: the form of the name of a file that exists beside each of them.
    """
    rivals: dict[str, set[str]] = {}
    for name in names:
        for other in {name, *_list_wholes(name)} - {target.name}:
            rivals.setdefault(other, set()).add(name)
    if not rivals:
        return {}
    stem = split_name(target.name)[0]
    near = {*list_names_beside(target, beside.partition("{}")[0] + stem)}
    # Listed at once rather than asked for one by one.
    return {
        other: shared
        for other, shared in sorted(rivals.items())
        if not other.startswith(stem) or beside.format(other) in near
    }


def _read_names(manifest: ObjectStoragePath) -> set[str] | None:
    """Return the names of the files in a manifest; None if it does not exist."""
    try:
        content = read_small(manifest)
    except IntacctArgumentError:
        return None  # something else than a file
    return None if content is None else {file.name for file in read_files(content)}


def _list_wholes(name: str) -> Iterator[str]:
    """Yield the destinations whose exports may have a file of this name."""
    stem, endings = split_name(name)
    stems = {re.sub(rf"{number}$", "", stem) for number in ("", r"-\d{5,}", r"-r\d{5,}-\d{5,}")}
    for one in sorted(stems):
        # The names of lists, and of the members that they are in, are divided by dots.
        while one:
            whole = one + endings
            if one != stem and whole.strip("."):  # "." is the folder
                yield whole
            one = one[: max(one.rfind("."), 0)]


def read_files(content: bytes | None) -> Iterator[NamedFile]:
    """Yield the files in a manifest; none from one that cannot be read."""
    try:
        listed = msgspec.json.decode(content or b"{}", type=_Listed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    others = (*listed.lists, *([listed.deletions] if listed.deletions else []))
    files = [file for one in (listed, *others) for file in one.parts]
    yield from files or ([NamedFile(listed.path.rpartition("/")[2], listed.sha256)] if listed.path else ())
