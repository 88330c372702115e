"""Bulk jobs: the records of one object in one file, written in the background.

A job changes its state by the store's clock. The tier limits how many run at the same time; others stay queued. There
is no background thread: :func:`advance` brings every job up to date, and runs before every call of the API. So the
records of a job appear on time even if its status is not requested, and a job continues after a restart. Each record is
a transaction of its own.

The sandbox never calls out: a callback URL is accepted and has no effect.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from intacct_provider.sandbox.api.batch import ObjectCalls
from intacct_provider.sandbox.api.messages import ApiResponse, check_object_name, one_result, with_status
from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.values import stamp
from intacct_provider.sandbox.records.audit import Author
from intacct_provider.sandbox.records.crud import Records
from intacct_provider.sandbox.state import State
from intacct_provider.sandbox.store import Database

log = logging.getLogger(__name__)

STATUS_PATH = "/services/bulk/job/status"
REQUEST = "ia::requestBody"
NEXT = {
    "queued": "preprocessing",
    "preprocessing": "processing",
    "processing": "postprocessing",
    "postprocessing": "completed",
}
_UNFINISHED = """SELECT * FROM "ia::job" WHERE status IN
    ('queued', 'preprocessing', 'processing', 'postprocessing') ORDER BY number"""
_LAST_FINISH = """SELECT max(since) FROM "ia::job" WHERE status IN ('completed', 'failed')"""


class JobRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The part ``ia::requestBody``.

    :param job_file: name of the file, and in some clients of the part that contains it.
    :param callback_url: where Sage would report the end; nothing is ever sent there.
    """

    object_name: str
    operation: Literal["create", "update", "delete"]
    job_file: str
    file_content_type: Literal["json"]
    callback_url: str | None = msgspec.field(name="callbackURL", default=None)


@dataclass(frozen=True, slots=True)
class Order:
    """A job as a client sent it.

    :param content: the two parts of the form, byte for byte.
    """

    request: JobRequest
    content: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Job:
    """A job: one row of the table of jobs.

    :param caller: who sent it, as ``user@company``; `user` is the key of the same user.
    :param entity: key of the entity to write in.
    :param since: time of the last change of its state.
    :param done: how many of ``total`` records are written or rejected.
    :param problem: why it will fail.
    """

    number: int
    id: str
    object: str
    operation: str
    caller: str
    user: int
    entity: int | None
    status: str
    since: float
    total: int
    done: int
    problem: str | None

    def next_time(self, faults: Faults) -> float:
        """Return the time of its next step: a record, or a change of state."""
        if self.status != "processing":
            return self.since + faults.job_seconds
        return self.since + min(self.done + 1, self.total) / faults.job_rate

    @property
    def percent(self) -> int:
        """How much of it is processed."""
        if self.status in ("postprocessing", "completed"):
            return 100
        return 100 * self.done // max(1, self.total) if self.status == "processing" else 0


def read_order(parts: Mapping[str, bytes] | None, catalog: Catalog) -> Order:
    """Return the order in a form.

    The file is in the part ``file``, as Sage documents, or in one named after ``jobFile``, as some clients send it.

    :raises ApiError: 400 for an invalid form or request. A file that is not a JSON array fails the job later.
    """
    needed = f"A bulk request is multipart/form-data with the parts {REQUEST} and file"
    if parts is None:
        raise invalid(f"{needed}; this body is not")
    if REQUEST not in parts:
        raise invalid(f"{needed}; the part {REQUEST} is missing")
    try:
        request = msgspec.json.decode(parts[REQUEST], type=JobRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The part {REQUEST} is not a bulk request: {error}") from None
    check_object_name(request.object_name, catalog)
    file = parts.get("file", parts.get(request.job_file))
    if file is None:
        raise invalid(f"{needed}; the part file, or {request.job_file[:100]}, is missing")
    return Order(request, (parts[REQUEST], file))


def create(conn: sqlite3.Connection, order: Order, author: Author, caller: str) -> dict[str, Any]:
    """Queue a job and return the result of the call."""
    records, problem = _read_records(order)
    job_id, request = str(uuid.uuid4()), order.request
    columns = (job_id, request.object_name, request.operation, caller, author.user, author.entity)
    sql = """INSERT INTO "ia::job" VALUES (NULL, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, 0, ?)"""
    number = conn.execute(sql, (*columns, author.now.timestamp(), len(records), problem)).lastrowid
    rows = ((number, position, bytes(record)) for position, record in enumerate(records))
    conn.executemany('INSERT INTO "ia::job record" VALUES (?, ?, ?)', rows)
    url = f"{STATUS_PATH}?jobId={job_id}"
    return {"jobId": job_id, "statusURL": url, "createdDateTime": stamp(author.now)}


def status(conn: sqlite3.Connection, query: Mapping[str, str], user: int) -> ApiResponse:
    """Return the status of a job, or its results if it has ended and ``download`` is ``true``.

    The results have one element per record, in the order of the file: the reference of the record or its error,
    and its status. A job that failed as a whole has a single element with the reason.

    :param user: key of the caller, who sees only their own jobs.
    :raises ApiError: 400 if ``jobId`` is missing, 404 if there is no such job.
    """
    if not query.get("jobId"):
        raise invalid("The query parameter jobId is required")
    if query.get("download", "false") not in ("true", "false"):
        raise invalid("The query parameter download must be true or false")
    sql = 'SELECT * FROM "ia::job" WHERE id = ? AND user = ?'
    row = conn.execute(sql, (query["jobId"], user)).fetchone()
    if row is None:
        raise ApiError(404, "notFound", f"There is no bulk job {query['jobId'][:100]}")
    job = Job(*row)
    ended = job.status not in NEXT
    file = f"{job.id}-response.json"
    if ended and query.get("download") == "true":
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        return ApiResponse(200, _read_results(conn, job), 1, headers)
    result: dict[str, Any] = {"jobId": job.id, "status": job.status, "percentComplete": job.percent}
    if job.status == "completed":
        result["downloadURL"] = f"{STATUS_PATH}?jobId={job.id}&download=true"
    if ended:
        result["jobStatusFile"] = file
    return one_result(200, result, 1)


def advance(state: State) -> None:
    """Bring every job up to date with the clock; this is cheap if there are no jobs."""
    while _step(state):
        pass


def _step(state: State) -> bool:
    """Take the step that has been due longest, in a transaction of its own; return whether there was one."""
    written = False
    with state.store.transaction() as conn:
        jobs = {job.number: job for job in (Job(*row) for row in conn.execute(_UNFINISHED))}
        timestamp, number = min(_next_steps(conn, jobs.values(), state), default=(math.inf, 0))
        if timestamp > state.store.now().timestamp():
            return False
        job = jobs[number]
        if job.status == "processing" and job.done < job.total:
            written = _write_record(conn, job, timestamp)
        else:
            _change_state(conn, job, timestamp)
    state.ledger.add(job.object, job.caller, int(written))
    return True


def _next_steps(conn: sqlite3.Connection, jobs: Collection[Job], state: State) -> Iterator[tuple[float, int]]:
    """Yield the time of the next step, and the number, of each job that can continue; the oldest starts first."""
    running = [job for job in jobs if job.status != "queued"]
    for job in running:
        yield job.next_time(state.faults), job.number
    if len(running) < min(len(jobs), state.tier.jobs):
        first = next(job for job in jobs if job.status == "queued")
        free = conn.execute(_LAST_FINISH).fetchone()[0] or 0.0
        yield max(first.next_time(state.faults), free), first.number


def _change_state(conn: sqlite3.Connection, job: Job, timestamp: float) -> None:
    """Put a job into its next state."""
    state = "failed" if job.status == "preprocessing" and job.problem else NEXT[job.status]
    conn.execute(
        'UPDATE "ia::job" SET status = ?, since = ? WHERE number = ?', (state, timestamp, job.number)
    )
    if state == "failed":
        element = msgspec.json.encode(with_status(0, invalid(job.problem or "")))
        conn.execute('INSERT INTO "ia::job record" VALUES (?, 0, ?)', (job.number, element))


def _write_record(conn: Database, job: Job, timestamp: float) -> bool:
    """Write the next record of a job as its author, store the outcome in its place, and return if it succeeded."""
    place = (job.number, job.done)
    sql = 'SELECT content FROM "ia::job record" WHERE job = ? AND number = ?'
    record = conn.execute(sql, place).fetchone()["content"]
    author = Author(job.user, job.entity, datetime.fromtimestamp(timestamp, UTC))
    conn.execute("SAVEPOINT record")
    try:
        calls = ObjectCalls(Records(conn, conn.catalog.objects[job.object], author))
        element = calls.write_job_record(job.operation, record)
    except Exception as error:  # else it would be raised again by every call
        log.error(
            "The sandbox itself failed on record %d of job %s: %s", job.done, job.id, type(error).__name__
        )
        conn.execute("ROLLBACK TO record")
        element = with_status(0, ApiError(500, "operationFailed", "The sandbox failed; see its log"))
    conn.execute("RELEASE record")
    sql = 'UPDATE "ia::job record" SET content = ? WHERE job = ? AND number = ?'
    conn.execute(sql, (msgspec.json.encode(element), *place))
    conn.execute('UPDATE "ia::job" SET done = done + 1 WHERE number = ?', (job.number,))
    return "ia::error" not in element


def _read_records(order: Order) -> tuple[list[msgspec.Raw], str | None]:
    """Return the undecoded records of a file, or why it cannot be read."""
    try:
        return msgspec.json.decode(order.content[1], type=list[msgspec.Raw]), None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [], f"The file {order.request.job_file[:100]} is not a JSON array: {error}"


def _read_results(conn: sqlite3.Connection, job: Job) -> msgspec.Raw:
    sql = 'SELECT content FROM "ia::job record" WHERE job = ? ORDER BY number'
    elements = [row["content"] for row in conn.execute(sql, (job.number,))]
    return msgspec.Raw(b"[" + b",".join(elements) + b"]")
