"""What the attempts of a task remember of its bulk job, so that they submit it once.

The intention is kept before the job is sent, and the job's id as soon as it is known. An attempt that finds an
intention without an id does not know whether Intacct took the job, and nothing can find out: Sage documents neither a
list of jobs nor that an idempotency key prevents a second one. So it fails, and says what to check. A person who clears
the task after that has checked: then the job is submitted.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Protocol

import msgspec

from intacct_provider.bulk.records import describe_order
from intacct_provider.exceptions import (
    IntacctBulkJobError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctResponseError,
    IntacctServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from intacct_provider.bulk.records import Order
    from intacct_provider.client import IntacctClient

log = logging.getLogger(__name__)

_ADVICE = "If they were not, clear this task, which submits the job; if they were, mark it as success."


class JobStore(Protocol):
    """Keeps a text for the attempts of one task in one run."""

    def load(self) -> str | None:
        """Return the text; None if there is none."""

    def save(self, text: str) -> None:
        """Replace the text."""


class JobNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of the job of a task.

    :param digest: of what it was submitted with.
    :param since: when it was first about to be sent, in UTC; ``""`` if Intacct certainly took none.
    :param job_id: ``""`` while it is unknown whether Intacct took it.
    :param finished: whether the outcome of its records was reported.
    :param reported: the number of clears when a person got to know the outcome, or that it is unknown; None if nobody
        did.
    :param round: how many jobs before it have an outcome, which Intacct must not repeat for this one.
    """

    object_name: str
    operation: str
    records: int
    digest: str
    since: str
    job_id: str = ""
    finished: bool = False
    reported: int | None = None
    round: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether it is unknown whether Intacct took the job."""
        return bool(self.since) and not self.job_id

    def __str__(self) -> str:
        """Return what the job does."""
        return describe_order(self.operation, self.records, self.object_name, self.digest)


class JobMemory:
    """The memory of the attempts of one task.

    :param store: where it is kept.
    :param clears: a number that is another one after a person has cleared the task, and the same after a retry.
    """

    def __init__(self, store: JobStore, clears: int) -> None:
        self._store = store
        self._clears = clears
        text = store.load()
        self.note = msgspec.json.decode(text, type=JobNote) if text else None
        #: What was known before the job was about to be sent.
        self._before: JobNote | None = None

    def find_job(self, order: Order) -> str | None:
        """Return the id of the job that an attempt has submitted; None if it has to be submitted.

        :raises IntacctBulkJobError: if a job must neither be submitted nor followed.
        """
        note = self.note
        if note is None or not note.since:
            return None
        cleared = note.reported is not None and self._clears != note.reported
        if cleared and (note.finished or not note.job_id or note.digest != order.digest):
            return None
        if note.doubtful:
            self.report()
            raise IntacctBulkJobError(
                f"An earlier attempt ended while it was sending a bulk job ({note}) at {note.since}, so whether "
                "Intacct took the job is unknown, and it is not sent again. Check in Intacct whether its records were "
                f"written since then. {_ADVICE}"
            )
        if note.digest != order.digest:
            self.report()
            raise IntacctBulkJobError(
                f"An earlier attempt submitted the bulk job {note.job_id} ({note}), and the records are now others "
                f"({order}). Give the records as they were and clear this task to get the outcome of that job; or "
                "clear it as it is, which submits the records as a new job."
            )
        return note.job_id

    def intend(self, order: Order) -> None:
        """Keep that a job is about to be sent, maybe again."""
        note = self._before = self.note
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        if note is not None and note.doubtful and note.digest == order.digest:
            since = note.since
        records = len(order.records)
        self._keep(
            JobNote(order.object_name, order.operation, records, order.digest, since, round=self.next_round)
        )

    def keep(self, job_id: str) -> None:
        """Keep the id of the job."""
        self._change(job_id=job_id)

    def forget(self) -> None:
        """Keep that Intacct took no job now; whether it had taken it before stays unknown."""
        if self._before is not None and self._before.doubtful:
            self._keep(self._before)
        else:
            self._change(since="")

    def report(self) -> None:
        """Keep that a person gets to know what is known of the job."""
        self._change(reported=self._clears)

    def finish(self) -> None:
        """Keep that the outcome of the job's records is reported."""
        self._change(finished=True, reported=self._clears)

    @property
    def next_round(self) -> int:
        """How many jobs have an outcome: Intacct rejected them, or that of their records was reported."""
        note = self.note
        return 0 if note is None else note.round + (note.finished or not note.since)

    def _change(self, **changes: object) -> None:
        if self.note is not None:
            self._keep(msgspec.structs.replace(self.note, **changes))

    def _keep(self, note: JobNote) -> None:
        self.note = note
        self._store.save(msgspec.json.encode(note).decode())


def submit_once(
    client: IntacctClient, order: Order, memory: JobMemory, check_alive: Callable[[], None]
) -> str:
    """Submit a job and return its id, with a note before it is sent and one as soon as the id is known.

    :param check_alive: raises if nothing must be sent any more.
    :raises IntacctBulkJobError: if it is unknown whether Intacct took the job.
    :raises IntacctError: if Intacct did not take it.
    """
    noted = False
    _renew_key(client, memory.next_round)

    def note() -> None:
        nonlocal noted
        check_alive()
        memory.intend(order)
        noted = True

    try:
        job_id = client.submit_job(order.object_name, order.operation, order.records, before_sending=note)
    except IntacctError as err:
        if not noted:
            raise
        if not _is_taken_perhaps(err):
            memory.forget()
            raise
        memory.report()
        raise IntacctBulkJobError(f"{err} {_ADVICE}") from err
    try:
        memory.keep(job_id)
    except Exception:
        log.error("Submitted the bulk job %s, whose id could not be kept: %s", job_id, order)
        raise
    return job_id


def _renew_key(client: IntacctClient, round_: int) -> None:
    """Give a job another idempotency key than those before it that have an outcome, which Intacct would repeat.

    One whose outcome is unknown keeps its key: where Intacct recognizes keys of jobs, it returns the same job.
    """
    scopes = client.idempotency.scopes
    if round_ and "POST" in scopes:
        client.idempotency.scopes = {**scopes, "POST": f"{scopes['POST']}\0job {round_}"}


def _is_taken_perhaps(err: IntacctError) -> bool:
    """Whether an error of a submission leaves open if Intacct took the job; the client marks it as not retryable.

    A known idempotency key means that Intacct got the same job before.
    """
    if isinstance(err, IntacctIdempotencyError):
        return True
    doubtful = isinstance(err, IntacctConnectionError | IntacctServerError | IntacctResponseError)
    return doubtful and not err.retryable
