"""Files that appear whole or not at all, on any object storage that Airflow knows."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intacct_provider.client.errors import IntacctArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: bytes, and their SHA-256 as hexadecimal digits."""

    size: int
    sha256: str


def write_whole(
    target: ObjectStoragePath, chunks: Iterable[bytes], *, replaces: ObjectStoragePath | None = None
) -> Written:
    """Write a file under a temporary name and give it its own when it is complete.

    The temporary file is opened before the first chunk is asked for, so a destination that cannot be
    written costs no call. If anything fails, the temporary file goes and an older ``target`` stays.

    :param chunks: content; may raise, which leaves no file.
    :param replaces: a file that is about ``target``'s old content and goes just before the new one comes.
    :raises IntacctArgumentError: if the destination cannot be written.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    digest, size = hashlib.sha256(), 0
    try:
        # On an object storage a file and a "folder" of one name get along.
        if target.protocol in ("", "file") and target.is_dir():
            raise IsADirectoryError
        target.parent.mkdir(parents=True, exist_ok=True)
        # Closed by hand: leaving a with block on an error would complete an upload to an object storage.
        file = part.open("wb")
    except (OSError, ValueError) as err:
        raise IntacctArgumentError(
            f"destination {str(target)!r} cannot be written ({type(err).__name__})."
        ) from err
    try:
        try:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        finally:
            file.close()
        if replaces is not None:
            replaces.unlink(missing_ok=True)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Written(size, digest.hexdigest())
