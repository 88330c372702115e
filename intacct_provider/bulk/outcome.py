"""The outcome of a bulk job: which records were written, and which Intacct rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intacct_provider.bulk.records import match_field
from intacct_provider.exceptions import IntacctBulkJobError, IntacctInterruptedWriteError
from intacct_provider.sync.applying.rejects import Reject
from intacct_provider.sync.records import match_text

if TYPE_CHECKING:
    from intacct_provider.bulk.records import Order
    from intacct_provider.client import IntacctClient


def read_rejects(client: IntacctClient, job_id: str, order: Order) -> list[Reject]:
    """Return the records that Intacct rejected, from the result of a job that has ended; two transactions.

    :raises IntacctBulkJobError: if the job failed as a whole.
    :raises IntacctResponseError: if the result does not account for every record, or contradicts itself.
    """
    try:
        results = client.job_result(job_id, records=order.records)
    except IntacctInterruptedWriteError as err:
        written = sum(result.ok for result in err.results)
        raise IntacctBulkJobError(
            f"{err} Which of the {len(order.records):,} records were written is unknown{_count(written)}: check "
            "before you clear this task, which submits all of them as a new job."
        ) from err
    match_on = match_field(order.operation)
    return [
        Reject(order.operation, match_text(record.get(match_on)), result.error, record)
        for record, result in zip(order.records, results, strict=True)
        if result.error is not None
    ]


def _count(written: int) -> str:
    return f", but for the number of them ({written:,})" if written else ""
