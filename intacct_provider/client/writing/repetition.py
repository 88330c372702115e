"""Writes that Intacct would not recognize if they came again: whether to repeat them, and what is unknown then."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http.transport import Reply
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.result_matching import Sent, list_positions
from intacct_provider.client.results import RecordResult
from intacct_provider.client.writing.existence import find_missing
from intacct_provider.exceptions import (
    IntacctConnectionError,
    IntacctError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctServerError,
)

log = logging.getLogger(__name__)


class Repetition:
    """Decides for creations, for which most objects support idempotency keys, but not all."""

    def __init__(self, catalog: Catalog, queries: QueryReader) -> None:
        self._catalog = catalog
        self._queries = queries

    def is_recognized(self, object_name: str) -> bool | None:
        """Whether Intacct recognizes a creation that comes again; None if that cannot be found out now.

        Costs one call per client and object, unless the model is known. Where there is none to read, it is assumed.
        """
        try:
            return str(self._catalog.model(object_name).get("idempotenceSupported")).lower() != "false"
        except (IntacctNotFoundError, IntacctPermissionError):
            return True
        except IntacctError as err:
            log.warning("Intacct: could not read whether %s supports idempotency keys: %s", object_name, err)
            return None

    @contextmanager
    def guard(self, object_names: Collection[str]) -> Iterator[None]:
        """Mark what is raised as not retryable, if records may exist now and would be created twice.

        :param object_names: of which records without an id are created.
        """
        try:
            yield
        except IntacctError as err:
            if not _may_be_done(err):
                raise
            unknown = next((name for name in object_names if self.is_recognized(name) is False), None)
            if unknown is None:
                raise  # another attempt has the same idempotency keys
            raised = forbid_retry(
                err,
                f"Whether the records exist is unknown, and {unknown} does not support idempotency keys, so they "
                "are not sent again: check before you do.",
            )
            if raised is err:
                raise
            raise raised from err

    def check_rejected(
        self, object_name: str, reply: Reply, results: Sequence[RecordResult], sent: Sequence[Sent]
    ) -> None:
        """Reject rejections of records that an earlier attempt, whose response was lost, may have created itself.

        :raises IntacctResponseError: if there are any; a retry would not find out either.
        """
        rejected = [one for one, result in zip(sent, results, strict=True) if one.id and not result.ok]
        if not (reply.maybe_already_done and rejected) or reply.replayed or self.is_recognized(object_name):
            return
        missing = find_missing(self._queries, object_name, [(None, one.id) for one in rejected])
        doubtful = [one.index for n, one in enumerate(rejected) if n not in missing]
        if doubtful:
            error = IntacctResponseError(
                f"The response to the creation of {len(sent)} records of {object_name} was lost, and when it was sent "
                f"again, Intacct rejected those at index {list_positions(doubtful)}, whose ids exist. Whether they "
                "existed before is unknown, because the object does not support idempotency keys: compare them."
            )
            error.retryable = False
            raise error


def forbid_retry(error: IntacctError, advice: str) -> IntacctError:
    """Return what to raise for a write that failed; one that may have been carried out must not be retried."""
    if not _may_be_done(error):
        return error
    if isinstance(error, IntacctServerError):
        error.hint = advice
        raised: IntacctError = error
    else:
        raised = type(error)(f"{error} {advice}")
    raised.retryable = False
    return raised


def _may_be_done(error: IntacctError) -> bool:
    """Whether an error leaves open if a write was carried out, and suggests to try it again."""
    if isinstance(error, IntacctConnectionError) and not error.maybe_done:
        return False
    unknown = isinstance(error, IntacctConnectionError | IntacctServerError | IntacctResponseError)
    return unknown and error.retryable
