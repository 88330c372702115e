"""What all writes of many records share: all or none, rejections that explain each other, and interruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.catalog import Catalog
from intacct_provider.client.results import RecordResult
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctError,
    IntacctInterruptedWriteError,
    IntacctResponseError,
)

ATOMIC_HEADERS = {"X-IA-API-Param-Transaction": "true"}


def check_list(argument: str, value: Any) -> None:
    """Reject a single record or key where a list of them is expected, although it can be iterated over.

    :raises IntacctArgumentError: unless it is a list.
    """
    if isinstance(value, Mapping | str | bytes) or not isinstance(value, Sequence):
        raise IntacctArgumentError(f"{argument} must be a list, not {type(value).__name__}.")


def check_one_call(chunks: Sequence[Any], count: int) -> None:
    """Reject an atomic write that does not fit into one call.

    :raises IntacctArgumentError: in that case.
    """
    if len(chunks) > 1:
        raise IntacctArgumentError(
            f"atomic needs all {count} records in one call, which takes {BATCH_SIZE} at most and about 1 MB: send "
            "fewer at a time, or leave atomic out."
        )


def check_all_or_none(results: Sequence[RecordResult]) -> None:
    """Reject a response to an atomic call that says that only some of it was done.

    :raises IntacctResponseError: in that case, because either the successes or the rest are not what they seem.
    """
    written = sum(result.ok for result in results)
    if 0 < written < len(results):
        raise IntacctResponseError(
            f"Intacct reported {written} of {len(results)} records of an atomic call as written. Either all of them "
            "are, or none; which is unknown."
        )


def explain_results(
    catalog: Catalog, object_name: str, results: list[RecordResult], records: Sequence[Mapping[str, Any]] = ()
) -> list[RecordResult]:
    """Return results whose errors say what is known about their cause.

    :param records: what was written; empty for a deletion.
    """
    rejected = [result for result in results if result.error and not result.unprocessed]
    for n, result in enumerate(results):
        if result.error and not result.unprocessed:
            catalog.explain(result.error, object_name, records[n] if records else None)
    for result in results:
        if result.error and result.unprocessed and rejected:
            result.error.hint = f"The rejected record is at index {rejected[0].index}: {rejected[0].error}"
    return results


def build_interruption(
    verb: str, object_name: str, total: int, done: list[RecordResult], cause: IntacctError
) -> IntacctError:
    """Return the exception for a write of many that stopped, which keeps what was answered so far."""
    if not done:
        return cause
    written = sum(result.ok for result in done)
    rejected = next((result for result in done if result.error and not result.unprocessed), None)
    first = f", first rejected at index {rejected.index}: {rejected.error}" if rejected else ""
    error = IntacctInterruptedWriteError(
        f"{verb} of {total} records of {object_name} stopped after {len(done)} ({written} written{first}): {cause}",
        done,
    )
    error.__cause__ = cause
    return error
