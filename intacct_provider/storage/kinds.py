"""What has a name on a storage: a regular file, or something that a file must not take the place of."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage import azure

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Protocols of paths on a disk.
LOCAL = ("", "file", "local")
#: Storages without folders, which may create a bucket when asked for a folder.
WITHOUT_FOLDERS = frozenset({"s3", "s3a", "s3n", "gs", "gcs"}) | azure.PROTOCOLS
#: What is on a disk, apart from regular files.
_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def is_local(path: ObjectStoragePath) -> bool:
    """Whether it is on a disk."""
    return path.protocol in LOCAL


def check_regular(path: ObjectStoragePath) -> None:
    """Make sure that a name belongs to a regular file or to nothing.

    :raises IntacctArgumentError: naming what else it belongs to, which a file must not take the place of.
    """
    kind = find_kind(path)
    if kind not in (None, "file"):
        raise IntacctArgumentError(
            f"{str(path)!r} cannot be written: it is a {kind}, and only a regular file is replaced. Name another "
            f"file{', such as the one that it points to' if kind == 'symbolic link' else ''}, or remove it."
        )


def check_readable(path: ObjectStoragePath) -> None:
    """Make sure that a name on a disk belongs to a file, or to nothing: reading from a pipe or a device may not end.

    :raises IntacctArgumentError: naming what else it belongs to.
    """
    if not is_local(path):
        return
    try:
        kind = _KINDS.get(stat.S_IFMT(os.stat(path.path).st_mode))
    except OSError:
        return  # as reading it says
    if kind is not None:
        raise IntacctArgumentError(
            f"{str(path)!r} cannot be read: it is a {kind}, where only a regular file is expected. Remove it."
        )


def find_kind(path: ObjectStoragePath) -> str | None:
    """Return what has a name: ``file`` or something else; None for nothing."""
    if path.protocol in WITHOUT_FOLDERS:
        return None  # a name is nothing but that of a file
    try:
        if is_local(path):
            return _KINDS.get(stat.S_IFMT(os.lstat(path.path).st_mode), "file")
        found: str = path.fs.info(path.path)["type"]
    except FileNotFoundError:
        return None
    return "folder" if found == "directory" else found
