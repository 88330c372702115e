"""What differs on Azure Blob: a copy may go on after Azure has answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

PROTOCOLS = frozenset({"az", "adl", "abfs", "abfss", "wasb", "wasbs"})
#: Seconds between two looks at a copy.
_PAUSE = 0.2


def finish_copy(target: ObjectStoragePath) -> None:
    """Wait until a copy to a blob is complete; until then the blob is empty.

    :raises ConnectionError: if Azure has given the copy up.
    """
    while (copy := _read_copy(target)).status == "pending":
        time.sleep(_PAUSE)
    if copy.status not in (None, "success"):
        raise ConnectionError(
            f"Azure did not copy {str(target)!r}: {copy.status} ({copy.status_description}). Nothing was deleted."
        )


def _read_copy(target: ObjectStoragePath) -> Any:
    """Return the state of the last copy to a blob, which adlfs does not report."""
    from fsspec.asyn import sync

    container, blob, _ = target.fs.split_path(target.path)
    client = target.fs.service_client.get_blob_client(container=container, blob=blob)
    return sync(target.fs.loop, client.get_blob_properties).copy
