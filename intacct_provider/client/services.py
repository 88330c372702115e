"""What Intacct's services offer beyond records: several requests in one call, and bulk jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from intacct_provider.client.writes import Results, WriteCalls
from intacct_provider.client.writing.bulk_jobs import (
    JobStatus,
    job_id_in,
    job_request,
    read_job_results,
    read_status,
    status_request,
    unclear,
)
from intacct_provider.client.writing.composite import CompositeCall, CompositeResult
from intacct_provider.client.writing.composite_request import read_parts
from intacct_provider.client.writing.existence import gone, known
from intacct_provider.exceptions import IntacctError

# Named here, because inside the class ``list`` is the method of that name.
CompositeResults = list[CompositeResult]


class ServiceCalls(WriteCalls):
    """What :class:`~intacct_provider.client.client.IntacctClient` asks of services."""

    def composite(self, requests: Sequence[Mapping[str, Any]]) -> CompositeResults:
        """Carry out 2 to 10 requests in one call and return one result per request, in order.

        Each request is a mapping as Intacct documents it: ``method`` (GET, POST, PATCH or DELETE), ``path`` below the
        API's base (``/objects/...`` or ``/services/...``), ``body`` for POST and PATCH, ``headers`` and
        ``resultReference``. Later requests refer to the result of an earlier one by its ``resultReference``:
        ``@{customer.key}``, or ``@{rows.1.key}`` for the first row of a list.

        They are carried out in order, each on its own, up to the first that fails. What was done before it stays done;
        those after it are results whose ``unprocessed`` is True. A failure does not raise: look at ``ok``.

        POST and PATCH carry idempotency keys, so a call whose answer was lost is sent again and nothing is done twice,
        and a failure that an earlier attempt left in Intacct's cache is asked anew. A deletion cannot be repeated so:
        a call in which one stands anywhere but last is sent once. Every request runs in the client's entity unless
        its headers name another.

        Billed as the requests would be alone: each read that was answered, each record written.

        :raises IntacctArgumentError: for requests that cannot be right, before a call is made.
        :raises IntacctValidationError: if Intacct refuses the call as a whole; nothing was done.
        :raises IntacctConnectionError: if no answer came; what was done is unknown. The same work under the same
            :attr:`idempotency` scopes finds out, and does nothing twice.
        :raises IntacctServerError: likewise, after answers that say neither yes nor no.
        """
        call = CompositeCall(
            read_parts(requests, self._entity),
            self.idempotency,
            send=self._send,
            explain=self._hints.explained,
            bill=self._bill,
            gone=partial(gone, self),
            known=partial(known, self),
        )
        return call.run()

    def submit_job(
        self,
        object_name: str,
        operation: str,
        records: Sequence[Mapping[str, Any] | str],
        *,
        callback_url: str | None = None,
    ) -> str:
        """Submit a bulk job and return its id; Intacct writes the records later, each on its own.

        Free of charge itself. Intacct bills each record as it writes it, which :attr:`transactions` does not count.

        A job whose answer was lost is never sent again, neither here nor by an Airflow retry, because that might write
        its records twice; it carries an idempotency key all the same.

        :param operation: ``create``, ``update`` or ``delete``.
        :param records: the records; to update, each with its ``key``; to delete, keys or ``{"key": ...}``.
        :param callback_url: where Intacct reports the end.
        :raises IntacctArgumentError: for what cannot be submitted, before a call is made.
        :raises IntacctValidationError: if Intacct refuses the job.
        :raises IntacctConnectionError: if no answer came. Unless no connection came about at all, the job may have been
            taken, and ``retryable`` is False; so it is for the two below.
        :raises IntacctServerError: if the answer says neither yes nor no.
        :raises IntacctResponseError: if the answer names no job.
        """
        request = job_request(object_name, operation, records, self.idempotency, callback_url)
        try:
            return job_id_in(self._send(request))
        except IntacctError as err:
            told = unclear(err)
            if told is err:
                raise
            raise told from err

    def job_status(self, job_id: str) -> JobStatus:
        """Return where a bulk job is; one transaction.

        :raises IntacctNotFoundError: if there is no such job of this user.
        :raises IntacctResponseError: for a state that Intacct does not document.
        """
        return read_status(self._read("", status_request(job_id), explain=False), job_id)

    def job_result(self, job_id: str, *, count: int | None = None) -> Results:
        """Return what became of each record of a bulk job that has ended, in the order of its file.

        A completed job can hold refused records. Deleted records and new customer groups have no key in the answer; the
        position tells. Two transactions, or one if the job has not ended. The whole file is held in memory.

        :param count: how many records were submitted, to prove that each is accounted for.
        :raises IntacctError: if the job has not ended; ``retryable``.
        :raises IntacctInterruptedWriteError: if it failed as a whole; ``results`` has what was written before.
        :raises IntacctNotFoundError: if there is no such job of this user.
        :raises IntacctResponseError: if the file does not account for ``count`` records.
        """
        job = self.job_status(job_id)
        if not job.finished:
            percent = f" ({job.percent} %)" if job.percent else ""
            raise IntacctError(
                f"The bulk job {job_id} is {job.state}{percent}; its results come when it has ended."
            )
        reply = self._read("", status_request(job_id, download=True), explain=False)
        return read_job_results(reply, job, count)
