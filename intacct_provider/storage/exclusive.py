"""Creating a file only if it does not exist, which of several writers at once only one can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from intacct_provider.storage import azure
from intacct_provider.storage.files import ObjectStoragePath, read_small, write_small
from intacct_provider.storage.kinds import LOCAL, WITHOUT_FOLDERS
from intacct_provider.storage.refusals import find_status

#: Writes content to a file that does not exist; False if it exists. The file is never seen in part.
Create = Callable[[ObjectStoragePath, bytes], bool]


def can_create_exclusively(path: ObjectStoragePath) -> bool:
    """Whether the storage of a path makes sure that only one of several writers creates a file."""
    return path.protocol in _CREATORS


def create_exclusively(path: ObjectStoragePath, content: bytes) -> bool:
    """Create a file, whole or not at all; its folder exists.

    :return: False if the file exists: nothing was changed.
    :raises KeyError: for a storage of which :func:`can_create_exclusively` is False.
    """
    return _CREATORS[path.protocol](path, content)


def _create_local(path: ObjectStoragePath, content: bytes) -> bool:
    """Create a file on a disk, and leave nothing if the process is killed meanwhile."""
    try:
        return _link_nameless(path.path, content)
    except FileExistsError:
        return False
    except OSError:  # a file system without nameless files or links, or a system without /proc
        return _open_exclusively(path.path, content)


def _link_nameless(path: str, content: bytes) -> bool:
    """Write a file without a name, and give it one when it is complete."""
    file = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, 0o666)
    try:
        os.write(file, content)
        # With src_dir_fd, which an absolute path makes no use of, Python follows the link to the file itself.
        os.link(f"/proc/self/fd/{file}", path, src_dir_fd=file, follow_symlinks=True)
    finally:
        os.close(file)
    return True


def _open_exclusively(path: str, content: bytes) -> bool:
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(file, content)
    finally:
        os.close(file)
    return True


def _create_object(path: ObjectStoragePath, content: bytes) -> bool:
    """Create an object, on a condition that the storage decides on when it writes.

    The condition is ``If-None-Match: *`` on S3 and Azure, and ``ifGenerationMatch=0`` on Google Cloud Storage.
    """
    condition = {"overwrite": False} if path.protocol in azure.PROTOCOLS else {"mode": "create"}
    try:
        path.fs.pipe_file(path.path, content, **condition)
    except Exception as err:
        status = find_status(err)
        if status == _NO_CONDITIONS:
            write_small(path, content)
        elif not isinstance(err, FileExistsError) and status not in _EXISTS:
            raise
        found = read_small(path)
        if found is None and status == _CONFLICT:
            raise
        # It may be ours: the response may have been lost, and the request repeated.
        return found == content
    return True


#: HTTP statuses: the object exists, or is being changed by another request; the storage knows no conditions, as some
#: that are compatible with S3.
_EXISTS, _CONFLICT, _NO_CONDITIONS = (409, 412), 409, 501

#: By the protocol of a path. On a storage that is not listed, exports do without an owner.
_CREATORS: Mapping[str, Create] = {
    **dict.fromkeys(LOCAL, _create_local),
    **dict.fromkeys(WITHOUT_FOLDERS, _create_object),
}
