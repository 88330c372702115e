"""Bulk jobs: many records of one object in one file, written while nobody waits.

A job goes through its states by the store's clock, and at most so many run at a time as the tier allows; others
stay queued. There is no thread behind it: :func:`advance` brings every job to where it must be by now, and is
called before every call of the API. So a job's records are there at their time although nobody asked for it,
and a job goes on after a restart. Each record is a transaction of its own.

The sandbox calls nobody: a callback URL is taken and has no effect.
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

from intacct_provider.sandbox.api.batch import Answer, ObjectCalls, one_result, with_status
from intacct_provider.sandbox.api.incoming import named_object
from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.records.validation import Author
from intacct_provider.sandbox.state import State
from intacct_provider.sandbox.store import stamp

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


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What the part ``ia::requestBody`` says.

    :param job_file: name of the file, and perhaps of the part that holds it
    :param callback_url: where Sage would report the end; nothing is ever sent there
    """

    object_name: str
    operation: Literal["create", "update", "delete"]
    job_file: str
    file_content_type: Literal["json"]
    callback_url: str | None = msgspec.field(name="callbackURL", default=None)


@dataclass(frozen=True, slots=True)
class Order:
    """A job as a client sent it.

    :param content: the two parts of the form, byte for byte
    """

    request: Request
    content: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the table of jobs.

    :param user: key of who sent it; ``caller`` is the same as the ledger names them
    :param entity: key of the entity to write in
    :param since: when it came into its state
    :param done: how many of ``total`` records are written or refused
    :param problem: why it will fail
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

    def next_moment(self, faults: Faults) -> float:
        """Return when it can take its next step: a record, or the next state."""
        if self.status != "processing":
            return self.since + faults.job_seconds
        return self.since + min(self.done + 1, self.total) / faults.job_rate

    @property
    def percent(self) -> int:
        """How much of it is processed."""
        if self.status in ("postprocessing", "completed"):
            return 100
        return 100 * self.done // max(1, self.total) if self.status == "processing" else 0


def read_order(parts: Mapping[str, bytes] | None) -> Order:
    """Return the order of a form.

    The file is in the part ``file``, as Sage documents, or in one named like ``jobFile``, as some clients send it.

    :raises ApiError: 400 for another body, and for whatever is wrong with the request; a file that is no JSON
        array is found later, and fails the job
    """
    needed = f"A bulk request is multipart/form-data with the parts {REQUEST} and file"
    if parts is None:
        raise invalid(f"{needed}; this body is not")
    if REQUEST not in parts:
        raise invalid(f"{needed}; the part {REQUEST} is missing")
    try:
        request = msgspec.json.decode(parts[REQUEST], type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise invalid(f"The part {REQUEST} is not a bulk request: {wrong}") from None
    named_object(request.object_name)
    file = parts.get("file", parts.get(request.job_file))
    if file is None:
        raise invalid(f"{needed}; the part file, or {request.job_file[:100]}, is missing")
    return Order(request, (parts[REQUEST], file))


def create(conn: sqlite3.Connection, order: Order, author: Author, caller: str) -> dict[str, Any]:
    """Queue a job and return the result of the call that sent it."""
    records, problem = _records(order)
    job_id, request = str(uuid.uuid4()), order.request
    facts = (job_id, request.object_name, request.operation, caller, author.user, author.entity)
    sql = """INSERT INTO "ia::job" VALUES (NULL, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, 0, ?)"""
    number = conn.execute(sql, (*facts, author.now.timestamp(), len(records), problem)).lastrowid
    rows = ((number, position, bytes(record)) for position, record in enumerate(records))
    conn.executemany('INSERT INTO "ia::job record" VALUES (?, ?, ?)', rows)
    url = f"{STATUS_PATH}?jobId={job_id}"
    return {"jobId": job_id, "statusURL": url, "createdDateTime": stamp(author.now)}


def status(conn: sqlite3.Connection, query: Mapping[str, str], user: int) -> Answer:
    """Answer where a job is; with ``download=true`` and when it has ended, its results.

    These are one element per record, in the order of the file: the reference of the record, or its error, and
    its status. A job that failed as a whole has one element, which says why.

    :param user: who asks; there are only jobs of their own
    :raises ApiError: 400 without ``jobId``, 404 when there is no such job
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
        return Answer(200, _results(conn, job), 1, headers)
    result: dict[str, Any] = {"jobId": job.id, "status": job.status, "percentComplete": job.percent}
    if job.status == "completed":
        result["downloadURL"] = f"{STATUS_PATH}?jobId={job.id}&download=true"
    if ended:
        result["jobStatusFile"] = file
    return one_result(200, result, 1)


def advance(state: State) -> None:
    """Bring every job to where the clock says that it is by now; next to nothing when there is none."""
    while _step(state):
        pass


def _step(state: State) -> bool:
    """Take the step that is due the longest, in a transaction of its own, and say whether there was one."""
    written = False
    with state.store.transaction() as conn:
        jobs = {job.number: job for job in (Job(*row) for row in conn.execute(_UNFINISHED))}
        moment, number = min(_moments(conn, jobs.values(), state), default=(math.inf, 0))
        if moment > state.store.now().timestamp():
            return False
        job = jobs[number]
        if job.status == "processing" and job.done < job.total:
            written = _write(conn, job, moment)
        else:
            _move(conn, job, moment)
    state.ledger.add(job.object, job.caller, int(written))
    return True


def _moments(conn: sqlite3.Connection, jobs: Collection[Job], state: State) -> Iterator[tuple[float, int]]:
    """Yield when each job that can go on takes its next step, and its number; the oldest leaves the queue first."""
    running = [job for job in jobs if job.status != "queued"]
    for job in running:
        yield job.next_moment(state.faults), job.number
    if len(running) < min(len(jobs), state.tier.jobs):
        first = next(job for job in jobs if job.status == "queued")
        free = conn.execute(_LAST_FINISH).fetchone()[0] or 0.0
        yield max(first.next_moment(state.faults), free), first.number


def _move(conn: sqlite3.Connection, job: Job, moment: float) -> None:
    """Bring a job into its next state."""
    state = "failed" if job.status == "preprocessing" and job.problem else NEXT[job.status]
    conn.execute('UPDATE "ia::job" SET status = ?, since = ? WHERE number = ?', (state, moment, job.number))
    if state == "failed":
        why = msgspec.json.encode(with_status(0, invalid(job.problem or "")))
        conn.execute('INSERT INTO "ia::job record" VALUES (?, 0, ?)', (job.number, why))


def _write(conn: sqlite3.Connection, job: Job, moment: float) -> bool:
    """Write the next record of a job as its creator, put what came of it in its place, and say if it succeeded."""
    place = (job.number, job.done)
    sql = 'SELECT content FROM "ia::job record" WHERE job = ? AND number = ?'
    record = conn.execute(sql, place).fetchone()["content"]
    author = Author(job.user, job.entity, datetime.fromtimestamp(moment, UTC))
    conn.execute("SAVEPOINT record")
    try:
        element = ObjectCalls(conn, OBJECTS[job.object], author).one_of_job(job.operation, record)
    except Exception as wrong:  # it would come again at every call
        log.error(
            "The sandbox itself failed on record %d of job %s: %s", job.done, job.id, type(wrong).__name__
        )
        conn.execute("ROLLBACK TO record")
        element = with_status(0, ApiError(500, "operationFailed", "The sandbox failed; see its log"))
    conn.execute("RELEASE record")
    sql = 'UPDATE "ia::job record" SET content = ? WHERE job = ? AND number = ?'
    conn.execute(sql, (msgspec.json.encode(element), *place))
    conn.execute('UPDATE "ia::job" SET done = done + 1 WHERE number = ?', (job.number,))
    return "ia::error" not in element


def _records(order: Order) -> tuple[list[msgspec.Raw], str | None]:
    """Return the records of a file, not decoded yet, or why there are none."""
    try:
        return msgspec.json.decode(order.content[1], type=list[msgspec.Raw]), None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return [], f"The file {order.request.job_file[:100]} is not a JSON array: {wrong}"


def _results(conn: sqlite3.Connection, job: Job) -> msgspec.Raw:
    sql = 'SELECT content FROM "ia::job record" WHERE job = ? ORDER BY number'
    elements = [row["content"] for row in conn.execute(sql, (job.number,))]
    return msgspec.Raw(b"[" + b",".join(elements) + b"]")
