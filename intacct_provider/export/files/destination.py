"""What may be the destination of an export, and what stands there from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.manifest import SUFFIX, Manifest, manifest_path, read_manifest
from intacct_provider.export.files.named_files import check_foreign
from intacct_provider.storage.claims import Holder, describe_siblings
from intacct_provider.storage.files import (
    ObjectStoragePath,
    check_place,
    is_local,
    make_unique,
    rename,
    writable,
)
from intacct_provider.storage.kinds import check_regular

#: Bytes of a name on nearly every disk.
_NAME_BYTES = 255
#: Bytes that the longest name beside a destination has more than it: that of a part of its tombstones, while hidden.
_HIDDEN_BYTES = 64
#: Likewise with the keys for the next export, which are named after the run.
_KEYS_BYTES = 104


def check_destination(target: ObjectStoragePath, *, keys: bool = False) -> None:
    """Make sure that an export can write its files, before anything is paid for.

    :param keys: whether it keeps keys for the next export.
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
    most = _NAME_BYTES - (_KEYS_BYTES if keys else _HIDDEN_BYTES)
    size = len(target.name.encode())
    if is_local(target) and size > most:
        raise IntacctArgumentError(
            f"destination {str(target)!r} has a name of {size} bytes, and {most} are the most: the names of the files "
            "that an export needs beside it are longer, and disks allow 255. Choose a shorter name."
        )
    check_place(target)
    check_regular(manifest_path(target))


def read_replaced(
    target: ObjectStoragePath,
    holder: Holder | None = None,
    names: Iterable[str] = (),
    exports_here: Callable[[int, str], bool] = lambda _index, _path: True,
) -> Manifest | None:
    """Return the manifest that an export is about to replace; None without one of this version.

    A file that is not a manifest is renamed, so that the next attempt of the task, or the next run, can write one.

    :param holder: the task; None if it publishes nothing itself.
    :param names: of files that it is sure to write.
    :param exports_here: whether the mapped task of an index exports to a path, as it did when the manifest was written:
        a run that was cleared may have other indexes.
    :raises IntacctArgumentError: if that has happened; if another mapped task of the run has exported to the
        destination; or if another export has a file of its name, or of one of the names.
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
    check_foreign(target, names)
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
