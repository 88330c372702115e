"""What may be the destination of an export, and what stands there from the one before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.file_part import part_name, split_name
from intacct_provider.export.files.manifest import SUFFIX, Manifest, manifest_path, read_manifest
from intacct_provider.export.files.named_files import check_foreign
from intacct_provider.storage.claims import Holder, describe_siblings
from intacct_provider.storage.files import (
    ObjectStoragePath,
    check_place,
    is_local,
    list_beside,
    make_unique,
    rename,
    writable,
)
from intacct_provider.storage.kinds import WITHOUT_FOLDERS, check_regular

#: Bytes of a name on nearly every disk.
_NAME_BYTES = 255
#: Bytes that the name of a file has more while it is hidden.
_HIDDEN_BYTES = 56
#: Bytes that the names of further files have more than that of the destination: of tombstones, and of lists as far as
#: their names are not known before the object's model is read.
_TOMBSTONE_BYTES, _LIST_BYTES = 8, 64
#: Bytes that keys for the next export need in all; they are named after the run.
_KEYS_BYTES = 104


def check_destination(target: ObjectStoragePath, *, keys: bool = False, lists: bool = False) -> None:
    """Make sure that an export can write its files, before anything is paid for.

    :param keys: whether it keeps keys for the next export.
    :param lists: whether lists have files of their own.
    :raises IntacctArgumentError: saying what is in the way.
    """
    if target.name.endswith(SUFFIX):
        raise IntacctArgumentError(
            f"destination {str(target)!r} has the name of a manifest. Name the file itself; its manifest is written "
            f"beside it, as {target.name + SUFFIX!r}."
        )
    try:
        str(target).encode()
    except UnicodeEncodeError:
        raise IntacctArgumentError(
            f"destination {str(target)!r} is not text in UTF-8, which its manifest is written in. Name another file."
        ) from None
    needed = max(_LIST_BYTES if lists else _TOMBSTONE_BYTES, _KEYS_BYTES - _HIDDEN_BYTES if keys else 0)
    _check_length(target, needed)
    check_place(target)
    check_regular(manifest_path(target))


def check_files(
    target: ObjectStoragePath,
    single: Sequence[ObjectStoragePath],
    in_parts: Sequence[ObjectStoragePath] = (),
    label: str = "",
) -> None:
    """Make sure that an export can give its files their names, before its rows are paid for.

    :param single: files that it writes.
    :param in_parts: files that it writes in numbered parts.
    :param label: of the parts.
    :raises IntacctArgumentError: saying what is in the way: a name that is too long or that two files have, something
        that is not a file, or a file of another export.
    """
    for path, times in Counter([*single, *in_parts]).items():
        _check_length(path)
        if times > 1:
            raise IntacctArgumentError(
                f"Two files of the export would have the name {path.name!r}. Give the list that one of them is named "
                "after another name by fields={'list': 'name'}."
            )
    first = [path.with_name(part_name(path.name, label, 1)) for path in in_parts]
    for path in [*single, *first, *_list_further(target, first)]:
        check_regular(path)
    check_foreign(target, [path.name for path in (*single, *first)])


def _list_further(target: ObjectStoragePath, first: Sequence[ObjectStoragePath]) -> list[ObjectStoragePath]:
    """Return what has the name of a further part, on a storage where that may be something else than a file.

    :param first: the first parts.
    """
    if not first or target.protocol in WITHOUT_FOLDERS:
        return []
    split = [path.name.rpartition("-00001") for path in first]
    names = re.compile(
        "|".join(f"{re.escape(stem)}-0\\d{{4}}{re.escape(endings)}" for stem, _, endings in split)
    )
    return [path for path in list_beside(target, split_name(target.name)[0]) if names.fullmatch(path.name)]


def _check_length(path: ObjectStoragePath, needed: int = 0) -> None:
    """Reject a name that leaves no room for those of hidden files.

    :param needed: bytes that the names of further files have more.
    """
    most, size = _NAME_BYTES - _HIDDEN_BYTES - needed, len(path.name.encode())
    if is_local(path) and size > most:
        raise IntacctArgumentError(
            f"{str(path)!r} has a name of {size} bytes, and {most} are the most: the names of the files that an export "
            "needs beside it are longer, and disks allow 255. Choose a shorter name for destination."
        )


def read_replaced(
    target: ObjectStoragePath,
    holder: Holder | None = None,
    exports_here: Callable[[int, str], bool] = lambda _index, _path: True,
) -> Manifest | None:
    """Return the manifest that an export is about to replace; None without one of this version.

    A file that is not a manifest is renamed, so that the next attempt of the task, or the next run, can write one.

    :param holder: the task; None if it publishes nothing itself.
    :param exports_here: whether the mapped task of an index exports to a path, as it did when the manifest was written:
        a run that was cleared may have other indexes.
    :raises IntacctArgumentError: if that has happened, or if another mapped task of the run has exported to the
        destination.
    """
    path = manifest_path(target)
    try:
        found = read_manifest(path)
    except IntacctArgumentError as err:
        raise IntacctArgumentError(f"{err} {_put_aside(path)}") from err
    if found and found.run.task and holder:
        other = Holder(**structs.asdict(found.run.task))
        if other.is_sibling(holder) and exports_here(other.map_index, found.path):
            raise IntacctArgumentError(describe_siblings(target, other, holder))
    return found


def _put_aside(path: ObjectStoragePath) -> str:
    """Rename a file that is not a manifest; return what to do."""
    aside = path.with_name(f"{path.name}.damaged-{make_unique()}")
    with writable(path):
        rename(path, aside)
    return (
        f"Or run the task again: the file was renamed to {aside.name!r}, so that the export can write a new manifest. "
        "Do not use the exported files until then."
    )
