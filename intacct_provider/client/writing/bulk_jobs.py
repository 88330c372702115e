"""Bulk jobs: many records in one file, which Intacct writes in the background."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import IDEMPOTENCY_HEADER, PROBE, Reply, Request
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.client.keys import as_number, text_or_none
from intacct_provider.client.paths import check_key
from intacct_provider.client.query.request import check_object_name
from intacct_provider.client.result_matching import Sent, match_elements
from intacct_provider.client.results import RecordResult, examine_results, read_counts, read_result
from intacct_provider.client.session import Session
from intacct_provider.client.writing.job_limits import OPERATIONS, check_size
from intacct_provider.client.writing.repetition import forbid_retry
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctResponseError,
)

CREATE_PATH = "/services/bulk/job/create"
STATUS_PATH = "/services/bulk/job/status"
RUNNING = ("queued", "preprocessing", "processing", "postprocessing")
_UNKNOWN = (
    "Whether Intacct took the job is unknown, so it is not sent again: check whether its records were written, or ask "
    "Sage support, before you do."
)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The state of a bulk job.

    :param id: the job's id.
    :param state: ``queued``, ``preprocessing``, ``processing``, ``postprocessing``, ``completed`` or ``failed``.
    :param percent: how much of it is processed, from 0 to 100, or None if unknown.
    """

    id: str
    state: str
    percent: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended, completed or failed. A completed job can have rejected records."""
        return self.state not in RUNNING

    @property
    def failed(self) -> bool:
        """Whether it failed as a whole, for example because Intacct cannot read the file."""
        return self.state == "failed"


class BulkJobs:
    """Submits bulk jobs and reads what they did. The public methods of the client say what each of these promises."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self,
        object_name: str,
        operation: str,
        records: Sequence[Mapping[str, Any] | str],
        callback_url: str | None,
        before_sending: Callable[[], None] | None,
    ) -> str:
        """Submit a job and return its id."""
        request = _build_job(object_name, operation, records, self._session.idempotency, callback_url)
        # After a rejected token, nobody knows whether the job was taken before it ended. So it is tried out first.
        self._try_token()
        if before_sending is not None:
            before_sending()
        try:
            return _read_job_id(self._session.send(request))
        except IntacctIdempotencyError as err:
            # Of the same content, so Intacct got this job before, and may still be busy with it.
            err.hint = (
                "Intacct knows this job by its idempotency key, so it got it before. It is not sent again: check "
                "whether its records were written, or ask Sage support, before you do."
            )
            err.retryable = False
            raise
        except IntacctError as err:
            raised = forbid_retry(err, _UNKNOWN)
            if raised is err:
                raise
            raise raised from err

    def _try_token(self) -> None:
        """Make sure that the token is good; one transaction. The user may lack the permission for this read."""
        with suppress(IntacctNotFoundError, IntacctPermissionError):
            self._session.read(PROBE)

    def status(self, job_id: str) -> JobStatus:
        """Return the state of a job."""
        return _read_status(self._session.read(_ask_status(job_id)), job_id)

    def results(
        self, job_id: str, count: int | None, records: Sequence[Mapping[str, Any] | str] | None
    ) -> list[RecordResult]:
        """Return the outcome of each record of a job that has ended, in the order of its file."""
        job = self.status(job_id)
        if not job.finished:
            percent = f" ({job.percent} %)" if job.percent else ""
            raise IntacctError(
                f"The bulk job {job_id} is {job.state}{percent}; its results are available when it finishes."
            )
        sent = None if records is None else [_identify(n, record) for n, record in enumerate(records)]
        if sent is not None and count not in (None, len(sent)):
            raise IntacctArgumentError(f"count is {count}, but records has {len(sent)}; give one of them.")
        count = count if sent is None else len(sent)
        return _read_results(self._session.read(_ask_status(job_id, download=True)), job, count, sent)


def _build_job(
    object_name: str,
    operation: str,
    records: Sequence[Mapping[str, Any] | str],
    idempotency: IdempotencyKeys,
    callback_url: str | None,
) -> Request:
    """Return the request that submits a job.

    It is never sent twice: for jobs, Sage does not document that an idempotency key prevents a second execution.

    :raises IntacctArgumentError: if the job cannot be submitted.
    """
    check_object_name(object_name)
    check_choice("operation", operation, OPERATIONS)
    name = f"{object_name.rpartition('/')[2]}.json"
    order = {
        "objectName": object_name,
        "operation": operation,
        "jobFile": name,
        "fileContentType": "json",
        **({"callbackURL": callback_url} if callback_url else {}),
    }
    checked = _check_records(operation, records)
    head, file = codec.encode(order), codec.encode(checked)
    check_size(len(checked), len(file))
    key = idempotency.make("POST", CREATE_PATH, head + b"\0" + file)
    # The same job is sent byte for byte the same, also by a later attempt.
    boundary = hashlib.sha256(key.encode()).hexdigest()
    form = (("ia::requestBody", head, None), ("file", file, name))
    fields = [RequestField(part, data, filename) for part, data, filename in form]
    for field in fields:
        field.make_multipart(content_type="application/json")
    content, content_type = encode_multipart_formdata(fields, boundary)
    headers = {"Content-Type": content_type, IDEMPOTENCY_HEADER: key}
    return Request(
        "POST",
        CREATE_PATH,
        content=content,
        headers=headers,
        repeatable=False,
        once=True,
        object_name=object_name,
    )


def _read_job_id(reply: Reply) -> str:
    """Return the id of the job that was submitted.

    :raises IntacctResponseError: if a successful response contains no job id.
    """
    reply.raise_for_error()
    found = reply.result if isinstance(reply.result, Mapping) else reply.body
    job_id = text_or_none(found.get("jobId")) if isinstance(found, Mapping) else None
    if not job_id:
        unnamed = IntacctResponseError(
            f"Intacct answered HTTP {reply.status} to a bulk job without naming it. {_UNKNOWN}"
        )
        unnamed.retryable = False
        raise unnamed
    return job_id


def _ask_status(job_id: str, *, download: bool = False) -> Request:
    """Return the request for a job's state, or for its results.

    :raises IntacctArgumentError: if it is not an id.
    """
    if not isinstance(job_id, str) or not job_id.strip():
        raise IntacctArgumentError(
            f"job_id must be the id of a bulk job, as submit_job returns it, not {job_id!r}."
        )
    params = {"jobId": job_id, **({"download": "true"} if download else {})}
    return Request("GET", STATUS_PATH, params=params)


def _read_status(reply: Reply, job_id: str) -> JobStatus:
    """Return the state of a job.

    :raises IntacctResponseError: for an undocumented state, because it is unknown whether the job has ended.
    """
    found = reply.result if isinstance(reply.result, Mapping) else reply.body
    named = text_or_none(found.get("jobId")) if isinstance(found, Mapping) else None
    if named not in (None, job_id):
        raise IntacctResponseError(
            f"Intacct answered with the state of the bulk job {reply.clean(named)[:80]} where {job_id} was asked for."
        )
    state = str(found.get("status", "")).lower() if isinstance(found, Mapping) else ""
    if state not in (*RUNNING, "completed", "failed"):
        raise IntacctResponseError(
            f"Intacct reports the unknown state {reply.clean(state)[:50]!r} for the bulk job {job_id}."
        )
    percent = str(found.get("percentComplete", "")).partition(".")[0]
    return JobStatus(job_id, state, as_number(percent))


def _identify(index: int, record: Mapping[str, Any] | str) -> Sent:
    if not isinstance(record, Mapping):
        return Sent(index, key=str(record))
    key = text_or_none(record.get("key"))
    return Sent(index, key, None if key else text_or_none(record.get("id")))


def _read_results(
    reply: Reply, job: JobStatus, count: int | None, sent: Sequence[Sent] | None
) -> list[RecordResult]:
    """Return the outcome of each record of a job that has ended, in the order of its file, or of ``sent``.

    :raises IntacctResponseError: if the file is not a list of records, does not account for every record, or
        contradicts itself.
    :raises IntacctInterruptedWriteError: if the job failed as a whole.
    """
    items = reply.elements
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise IntacctResponseError(f"The result file of the bulk job {job.id} is not a list of records.")
    if job.failed:
        results = [read_result(n, item, reply) for n, item in enumerate(items)]
        written = sum(result.ok for result in results)
        cause = next((result.error for result in results if result.error), None)
        error = IntacctInterruptedWriteError(
            f"The bulk job {job.id} failed ({written} written): {cause or 'Intacct gives no reason'}",
            results if written else [],
        )
        raise error from cause
    if count is not None and len(items) != count:
        raise IntacctResponseError(
            f"The result file of the bulk job {job.id} accounts for {len(items)} records, not for {count}."
        )
    matches = match_elements(items, sent or [Sent(n) for n in range(len(items))])
    by_index = {n: read_result(n, item, reply) for n, item in matches.elements.items()}
    # Only a creation needs no keys, and what it has created has a name.
    created = sent is not None and not any(one.key for one in sent)
    problem, _ = examine_results(reply, by_index, matches, named=created)
    problem = problem or _compare_count(reply, len(items))
    if problem:
        raise IntacctResponseError(
            f"The result file of the bulk job {job.id} came {reply.clean(problem)}, so what "
            "happened to a record is unknown."
        )
    return [by_index[n] for n in range(len(items))]


def _compare_count(reply: Reply, shown: int) -> str:
    """Return how the count of all records contradicts a result file, as the end of a sentence."""
    counted = as_number(read_counts(reply).get("totalCount"))
    return "" if counted in (None, shown) else f"and counts {counted} records but shows {shown}"


def _check_records(
    operation: str, records: Sequence[Mapping[str, Any] | str | int]
) -> list[Mapping[str, Any]]:
    """Return the records of a job; those to delete may be given as keys."""
    if isinstance(records, Mapping | str) or not isinstance(records, Sequence) or not records:
        what = "an empty one" if records == [] or records == () else type(records).__name__
        raise IntacctArgumentError(f"records must be a list of records, not {what}.")
    checked = []
    for n, record in enumerate(records):
        if operation == "delete" and isinstance(record, str | int):
            record = {"key": record}
        if not isinstance(record, Mapping):
            raise IntacctArgumentError(
                f"records[{n}] must be a mapping of fields, not {type(record).__name__}."
            )
        if operation != "create":
            if record.get("key") in (None, ""):
                raise IntacctArgumentError(f"records[{n}] needs the key of the record to {operation}.")
            record = {**record, "key": check_key(record["key"], f"records[{n}]: ")}
        checked.append(record)
    return checked
