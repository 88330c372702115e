"""What differs on Azure Blob: a copy may go on after Azure has answered, and adlfs does not pass conditions on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PROTOCOLS = frozenset({"az", "adl", "abfs", "abfss", "wasb", "wasbs"})
#: Seconds between two looks at a copy.
_PAUSE = 0.2


def finish_copy(target: ObjectStoragePath) -> None:
    """Wait until a copy to a blob is complete; until then the blob is empty.

    :raises ConnectionError: if Azure has given the copy up.
    """
    while (copy := call(target, "get_blob_properties").copy).status == "pending":
        time.sleep(_PAUSE)
    if copy.status not in (None, "success"):
        raise ConnectionError(
            f"Azure did not copy {str(target)!r}: {copy.status} ({copy.status_description}). Nothing was deleted."
        )


def find_blob(path: ObjectStoragePath) -> Any:
    """Return Azure's own client of a blob."""
    container, blob, _ = path.fs.split_path(path.path)
    return path.fs.service_client.get_blob_client(container=container, blob=blob)


def call(path: ObjectStoragePath, method: str, *args: Any, **options: Any) -> Any:
    """Call a method of Azure's own client of a blob, which is asynchronous, and return its result."""
    from fsspec.asyn import sync

    return sync(path.fs.loop, getattr(find_blob(path), method), *args, **options)
