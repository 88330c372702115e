"""The trigger for bulk jobs: waits until Intacct has processed one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctBulkJobError
from intacct_provider.triggers.polling import Finding, PollingTrigger

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: What a task that is killed logs about its job.
KEEPS_RUNNING = (
    "The bulk job %s keeps running: Intacct documents no way to cancel it. The next attempt follows it."
)


class IntacctBulkJobTrigger(PollingTrigger):
    """Wait until a bulk job has ended, completed or failed, then fire once.

    Each poll is one billed read. With the operator's defaults (15 s, doubled up to 300 s) that is 5 in the first 5
    minutes and 12 an hour after that, 288 a day. It only reads, so it may be started twice or restarted at any time:
    the event is the same, and the task reads the result once. It cannot cancel the job, since Intacct documents no way
    to.

    :param job_id: id of the job.
    :param must_complete: whether a job that failed as a whole is an error.

    The other parameters are those of :class:`~intacct_provider.triggers.polling.PollingTrigger`.
    """

    def __init__(self, *, job_id: str, must_complete: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.must_complete = must_complete

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments."""
        path, arguments = super().serialize()
        return path, {**arguments, "job_id": self.job_id, "must_complete": self.must_complete}

    def poll(self, client: IntacctClient) -> Finding:
        """Return the state of the job; one transaction."""
        return poll_job(client, self.job_id, must_complete=self.must_complete)

    def wait_here(self, client: IntacctClient) -> dict[str, Any]:
        """Wait as in the triggerer, but on this thread and with this client, and return the event."""

        async def ask(question: Callable[[IntacctClient], Any]) -> Any:
            return question(client)

        event: dict[str, Any] = asyncio.run(self._wait(ask)).payload
        return event

    async def on_kill(self) -> None:
        """Say that the job keeps running."""
        self.log.warning(KEEPS_RUNNING, self.job_id)


def poll_job(client: IntacctClient, job_id: str, *, must_complete: bool) -> Finding:
    """Return the state of a job; one transaction.

    :raises IntacctBulkJobError: if it failed as a whole and must not.
    """
    job = client.job_status(job_id)
    if job.failed and must_complete:
        raise IntacctBulkJobError(
            f"The bulk job {job.id} failed as a whole; client.job_result() has the reason that Intacct gives."
        )
    percent = f" ({job.percent} %)" if job.percent is not None else ""
    summary = {"job_id": job.id, "state": job.state, "percent": job.percent}
    return Finding(job.finished, f"The bulk job {job.id} is {job.state}{percent}", summary)
