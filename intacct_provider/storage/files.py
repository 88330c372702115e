"""Files that appear whole or not at all, on any object storage that Airflow supports."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from airflow.sdk import ObjectStoragePath as ObjectStoragePath  # for rooms without Airflow

from intacct_provider.exceptions import IntacctArgumentError, IntacctError
from intacct_provider.storage import azure
from intacct_provider.storage.kinds import WITHOUT_FOLDERS, check_readable, check_regular, find_kind
from intacct_provider.storage.kinds import is_local as is_local
from intacct_provider.storage.refusals import explain_refusals

#: Bytes that an upload to an object storage holds in memory; S3 takes 10,000 pieces, so this many times 16 MiB a file.
_BLOCK = 16 << 20
#: Window bits that make zlib read and write gzip's frame, which has no name and time 0.
GZIP_WINDOW = 31
#: Errors of files and storages that stay when the same is tried again. All others, such as a full disk, may pass.
_REFUSALS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
_REFUSAL_NUMBERS = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EROFS, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: bytes, and their SHA-256 as hexadecimal digits."""

    size: int
    sha256: str


def open_path(uri: str) -> ObjectStoragePath:
    """Return the path that ``str`` of a path gave earlier."""
    return ObjectStoragePath(uri)


class Upload:
    """A file being written; it is complete when :meth:`close` has returned.

    :param path: of the file, usually a hidden one: until then a local file exists in part.
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self.path = path
        self.size = 0
        self._abandoned = False
        self._digest = hashlib.sha256()
        # Not path.open(), which reports every write as lineage, under the hidden name.
        self._file: Any = path.fs.open(path.path, "wb", block_size=_BLOCK)

    def write(self, data: bytes) -> None:
        """Write content; ignored after :meth:`abandon`, when encoders may still write their end."""
        if self._abandoned:
            return
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> Written:
        """Complete the file."""
        self._file.close()
        return Written(self.size, self._digest.hexdigest())

    def abandon(self) -> None:
        """Remove the file, whatever was written."""
        self._abandoned = True
        # The error that the caller is about to raise matters more than one here.
        with suppress(Exception):
            if is_local(self.path):
                self._file.close()
            elif not self._file.closed:
                # Closing would complete the upload, and so would garbage collection of the open file.
                self._file.closed = True
                self._file.discard()
        with suppress(Exception):
            remove(self.path)


def write_whole(
    target: ObjectStoragePath,
    chunks: Iterable[bytes],
    *,
    alone: bool = False,
    argument: str = "destination",
) -> Written:
    """Write a file under a temporary name and rename it when it is complete.

    The temporary file is opened before the first chunk is asked for, so a destination that cannot be written costs no
    call. If anything fails, the temporary file is removed and an older ``target`` stays.

    :param chunks: content; may raise, which leaves no file.
    :param alone: whether nobody else writes it at the same time; then what killed processes have left is removed.
    :param argument: that names the file.
    :raises IntacctArgumentError: if the destination cannot be written.
    """
    with writable(target, argument):
        prepare(target)
        if alone:
            _remove_unfinished(target)
        upload = Upload(target.with_name(f".{target.name}.{make_unique()}.part"))
    try:
        for chunk in chunks:
            upload.write(chunk)
        with writable(target, argument):
            written = upload.close()
            rename(upload.path, target)
    except BaseException:
        upload.abandon()
        raise
    return written


def make_unique() -> str:
    """Return eight letters for the name of a file that no other process writes."""
    return uuid.uuid4().hex[:8]


def _remove_unfinished(target: ObjectStoragePath) -> None:
    """Delete temporary files that :func:`write_whole` has left."""
    for path in list_beside(target, f".{target.name}."):
        if re.fullmatch(r"[0-9a-f]{8}\.part", path.name.removeprefix(f".{target.name}.")):
            remove(path)


@contextmanager
def writable(target: ObjectStoragePath, argument: str = "destination") -> Iterator[None]:
    """Turn errors that keep a destination from being written into one that names it.

    Errors of networks, full disks and busy storages are raised as they are: the next attempt may succeed.

    :param argument: that names it.
    :raises IntacctArgumentError: for everything that another attempt cannot fix.
    """
    try:
        with explain_refusals(target, argument):
            yield
    except IntacctError:
        raise
    except ImportError as err:
        raise IntacctArgumentError(
            f"{argument} {str(target)!r} needs a package that is not installed ({err})."
        ) from err
    except (OSError, ValueError, NotImplementedError) as err:
        if isinstance(err, OSError) and not (isinstance(err, _REFUSALS) or err.errno in _REFUSAL_NUMBERS):
            raise
        raise IntacctArgumentError(
            f"{argument} {str(target)!r} cannot be written ({type(err).__name__})."
        ) from err


def prepare(target: ObjectStoragePath) -> None:
    """Create the folder of a file.

    :raises OSError: if it cannot be created, or a folder has the name of the file.
    """
    # On an object storage a file and a "folder" may have the same name.
    if is_local(target):
        if os.path.isdir(target.path):
            raise IsADirectoryError(str(target))
        os.makedirs(os.path.dirname(target.path), exist_ok=True)
    elif target.protocol not in WITHOUT_FOLDERS:
        target.parent.mkdir(parents=True, exist_ok=True)


def check_place(target: ObjectStoragePath) -> None:
    """Make sure that a destination can be written, by writing a file beside it that does not stay.

    :raises IntacctArgumentError: if it cannot.
    """
    with writable(target):
        prepare(target)
        check_regular(target)
        if is_local(target):
            # Without a name on most file systems, so a process that dies here leaves nothing.
            with tempfile.TemporaryFile(dir=target.parent.path) as file:
                file.write(b"0")
        else:
            probe = target.with_name(f".{target.name}.{make_unique()}.probe")
            write_small(probe, b"")
            remove(probe)


def rename(path: ObjectStoragePath, target: ObjectStoragePath) -> None:
    """Rename a file; on an object storage that is a copy, complete when it appears, and then a deletion."""
    if path.protocol in WITHOUT_FOLDERS:
        # mv() would treat brackets and stars in a name as a pattern, and go into a "folder" of the target's name.
        path.fs.cp_file(path.path, target.path)
        if path.protocol in azure.PROTOCOLS:
            azure.finish_copy(target)
        path.fs.rm_file(path.path)
    else:
        path.fs.mv(path.path, target.path)


def remove(path: ObjectStoragePath) -> None:
    """Delete a file if it exists."""
    with suppress(FileNotFoundError):
        path.fs.rm_file(path.path)


def write_small(path: ObjectStoragePath, content: bytes) -> None:
    """Write a few bytes at once, in one call to an object storage.

    :raises IntacctArgumentError: if something else than a file has the name.
    """
    if is_local(path):
        check_regular(path)
    path.fs.pipe_file(path.path, content)


def read_small(path: ObjectStoragePath) -> bytes | None:
    """Return a small file's content, or None if it does not exist.

    :raises IntacctArgumentError: if something else than a file has the name.
    """
    check_readable(path)
    try:
        content: bytes = path.fs.cat_file(path.path)
    except FileNotFoundError:
        return None
    return content


def read_age(path: ObjectStoragePath) -> dt.timedelta | None:
    """Return for how long a file has not changed, by the clocks of storage and worker; None if it is gone."""
    try:
        changed: dt.datetime = path.fs.modified(path.path)
    except FileNotFoundError:
        return None
    return dt.datetime.now(dt.UTC) - (changed if changed.tzinfo else changed.replace(tzinfo=dt.UTC))


def list_beside(target: ObjectStoragePath, prefix: str) -> list[ObjectStoragePath]:
    """Return the files in the folder of a file whose names begin with a prefix, in order of name."""
    return [target.with_name(name) for name in list_names_beside(target, prefix)]


def list_names_beside(target: ObjectStoragePath, prefix: str) -> list[str]:
    """Return the names of the files that :func:`list_beside` returns; of many files, that is much quicker."""
    folder = os.path.dirname(target.path) if is_local(target) else target.parent.path
    target.fs.invalidate_cache()
    # Without a prefix, an object storage would send the names of all files of the folder.
    only = {"prefix": prefix} if target.protocol in WITHOUT_FOLDERS else {}
    try:
        found = target.fs.find(folder, **only) if only else target.fs.ls(folder, detail=False)
    except FileNotFoundError:
        return []
    names = {path.removeprefix(folder).lstrip("/") for path in found}
    return [name for name in sorted(names) if name.startswith(prefix) and "/" not in name]


def hash_file(path: ObjectStoragePath) -> Written | None:
    """Return a file's size and SHA-256, reading it from end to end; None if there is no regular file."""
    digest, size = hashlib.sha256(), 0
    if is_local(path) and find_kind(path) != "file":
        return None  # reading a pipe would never end
    try:
        with path.fs.open(path.path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return None
    return Written(size, digest.hexdigest())


def remove_proven(path: ObjectStoragePath, sha256: str) -> None:
    """Delete a file if it exists and has this SHA-256."""
    found = hash_file(path)
    if found and found.sha256 == sha256:
        remove(path)


def create_whole(target: ObjectStoragePath, content: bytes) -> bool:
    """Write a file that does not exist yet, whole or not at all; return False if it exists.

    Of several writers only one succeeds, on a local disk and on every storage whose files can be opened exclusively,
    in mode ``xb``. On other storages several that write at the same time may all get True; the content is then that
    of the last one.
    """
    if target.exists():
        return False
    if target.protocol in ("", "file"):
        return _link_whole(target, content)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    except (ValueError, NotImplementedError):  # a storage without mode "x"
        write_whole(target, [content])
    return target.read_bytes() == content


def _link_whole(target: ObjectStoragePath, content: bytes) -> bool:
    """Create a local file under its name only when it is complete; a name is given once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.write_bytes(content)
        os.link(part.path, target.path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        part.replace(target)
        return target.read_bytes() == content
    finally:
        part.unlink(missing_ok=True)
    return True


def read_file(argument: str, path: str) -> bytes:
    """Read a file. A wrong path is an argument error; temporary failures of the storage may be retried.

    :param argument: name of the path in errors.
    :raises IntacctArgumentError: if there is no such file, or it may not be read.
    """
    try:
        with ObjectStoragePath(path).open("rb") as file:
            content: bytes = file.read()
    except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as err:
        raise IntacctArgumentError(
            f"{argument} file {path!r} cannot be read ({type(err).__name__})."
        ) from err
    return content
