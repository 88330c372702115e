"""What a bulk job can do, and how much of it, for callers that check it before they load the client."""

from __future__ import annotations

from intacct_provider.exceptions import IntacctArgumentError

OPERATIONS = ("create", "update", "delete")
#: What this client submits as one job at most.
MAX_RECORDS = 100_000
MAX_BYTES = 100 * 1024 * 1024


def check_size(records: int, size: int) -> None:
    """Reject what is too much for one job. Sage documents no limit; these leave the result in what the client reads.

    :param size: of the file, in bytes.
    :raises IntacctArgumentError: if there are too many records, or bytes.
    """
    for found, largest, what in ((records, MAX_RECORDS, "records"), (size, MAX_BYTES, "bytes")):
        if found > largest:
            raise IntacctArgumentError(
                f"One bulk job takes at most {largest:,} {what}, and here are {found:,}. Split the records into "
                "several jobs."
            )
