"""What attempts remember of a bulk job: it is submitted once for each decision of a person, whatever happens."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.bulk.memory import JobMemory, submit_once
from intacct_provider.bulk.records import Order
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.exceptions import (
    IntacctBulkJobError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)
from intacct_provider.hooks.job_store import ProcessStore

ORDER = Order("accounts-receivable/customer", "create", [{"id": "A"}], "0" * 64)
OTHER = Order("accounts-receivable/customer", "create", [{"id": "B"}], "1" * 64)


class Died(BaseException):
    """The process ended."""


def unknown(kind):
    error = kind("lost")
    error.retryable = False
    return error


def not_sent():
    error = IntacctConnectionError("could not connect")
    error.maybe_done = False
    return error


#: By name: whether Intacct takes the job, and what the attempt gets to know.
ANSWERS = {
    "taken": (True, None),
    "lost, taken": (True, lambda: unknown(IntacctConnectionError)),
    "lost, not taken": (False, lambda: unknown(IntacctServerError)),
    "token rejected, taken": (True, lambda: unknown(IntacctResponseError)),
    "died, taken": (True, Died),
    "died, not taken": (False, Died),
    "overload": (False, lambda: IntacctRateLimitError("later")),
    "known key": (False, lambda: IntacctIdempotencyError("The key was used before", status=409)),
    "refused": (False, lambda: IntacctValidationError("no")),
    "not connected": (False, not_sent),
}


@dataclass
class Company:
    """Intacct, as far as it takes jobs."""

    jobs: list = field(default_factory=list)
    sent: int = 0
    answer: str = "taken"
    idempotency: IdempotencyKeys = field(default_factory=IdempotencyKeys)

    def submit_job(self, _object_name, _operation, records, *, before_sending):
        before_sending()
        self.sent += 1
        takes, error = ANSWERS[self.answer]
        if takes:
            self.jobs.append(records)
        if error:
            raise error()
        return f"job-{len(self.jobs)}"


@dataclass
class Attempts:
    """The attempts of a task, with the times that a person has cleared it after a report."""

    company: Company = field(default_factory=Company)
    store: ProcessStore = field(default_factory=ProcessStore)
    clears: int = 0

    def run(self, order=ORDER, *, finish=False):
        """Run an attempt and return the id of the job that it follows."""
        memory = JobMemory(self.store, self.clears)
        job_id = memory.find_job(order) or submit_once(self.company, order, memory, lambda: None)
        if finish:
            memory.finish()
        return job_id


def test_a_clear_counts_also_when_it_lowers_the_number():
    """As in Airflow after ``retries`` was lowered."""
    attempts = Attempts(clears=5)
    attempts.company.answer = "lost, not taken"
    for _ in range(2):
        with pytest.raises(IntacctBulkJobError):
            attempts.run()
    assert attempts.company.sent == 1
    attempts.company.answer, attempts.clears = "taken", 1
    assert attempts.run() == "job-1"


actions = st.one_of(
    st.tuples(st.sampled_from(sorted(ANSWERS)), st.sampled_from([ORDER, OTHER]), st.booleans()),
    st.just("clear"),
)


@given(st.lists(actions, max_size=12))
def test_a_job_is_sent_again_only_after_a_report_and_a_clear(steps):
    attempts, reported, allowed = Attempts(), False, True
    for step in steps:
        if step == "clear":
            attempts.clears += 1
            allowed = allowed or reported
            continue
        attempts.company.answer, order, finish = step
        before, error = attempts.company.sent, None
        try:
            attempts.run(order, finish=finish)
        except (IntacctError, Died) as err:
            error = err
        sent = attempts.company.sent - before
        assert sent <= allowed, "a job was sent although an earlier one may have been taken"
        certain = sent and isinstance(
            error, IntacctRateLimitError | IntacctValidationError | IntacctConnectionError
        )
        if sent:
            allowed, reported = bool(certain), False
        if isinstance(error, IntacctBulkJobError) or (finish and error is None):
            reported = True


@pytest.mark.parametrize(
    "answer", [name for name in ANSWERS if name not in ("taken", "died, taken", "died, not taken")]
)
def test_a_doubtful_answer_is_reported_and_a_certain_one_leaves_no_note(answer):
    attempts = Attempts(Company(answer=answer))
    doubtful = "lost" in answer or "token" in answer or answer == "known key"
    with pytest.raises(IntacctError) as caught:
        attempts.run()
    assert isinstance(caught.value, IntacctBulkJobError) is doubtful
    attempts.company.answer = "taken"
    if doubtful:
        with pytest.raises(IntacctBulkJobError, match="An earlier attempt ended while it was sending"):
            attempts.run()
        attempts.clears += 1
    assert attempts.run() == f"job-{len(attempts.company.jobs)}"


@pytest.mark.parametrize("answer", ["overload", "refused", "not connected", "known key"])
def test_what_an_earlier_attempt_left_unknown_stays_unknown_and_keeps_its_key(answer):
    attempts = Attempts(Company(answer="lost, taken"))
    with pytest.raises(IntacctBulkJobError):
        attempts.run()
    first, scopes = JobMemory(attempts.store, 0).note, attempts.company.idempotency.scopes
    attempts.clears += 1
    attempts.company.answer = answer
    with pytest.raises(IntacctError):
        attempts.run()
    note = JobMemory(attempts.store, 0).note
    assert (note.since, note.job_id, note.round) == (first.since, "", 0)
    attempts.clears += 1
    attempts.company.answer = "taken"
    attempts.run()
    assert attempts.company.idempotency.scopes == scopes


def test_nothing_is_kept_if_nothing_is_to_be_sent_any_more():
    attempts = Attempts()
    memory = JobMemory(attempts.store, 0)

    def killed():
        raise Died

    with pytest.raises(Died):
        submit_once(attempts.company, ORDER, memory, killed)
    assert attempts.store.load() is None
    assert attempts.run() == "job-1"


def test_an_intention_is_kept_before_the_job_is_sent_and_the_id_after():
    attempts = Attempts(Company(answer="died, taken"))
    with pytest.raises(Died):
        attempts.run()
    note = JobMemory(attempts.store, 0).note
    assert (note.digest, note.records, note.job_id, note.reported) == (ORDER.digest, 1, "", None)
    assert str(note) == "create of 1 records of accounts-receivable/customer, SHA-256 0000000000000000"


def test_a_clear_before_any_report_does_not_submit_again():
    attempts = Attempts(Company(answer="died, taken"))
    with pytest.raises(Died):
        attempts.run()
    attempts.clears += 1
    for _ in range(2):
        with pytest.raises(IntacctBulkJobError, match="Check in Intacct whether its records were written"):
            attempts.run()
    attempts.clears += 1
    attempts.company.answer = "taken"
    assert attempts.run() == "job-2"


def test_the_id_of_a_job_that_cannot_be_kept_is_in_the_log(caplog):
    class Full(ProcessStore):
        def save(self, text):
            if '"job_id"' in text:
                raise OSError("full")
            super().save(text)

    attempts = Attempts(store=Full())
    with pytest.raises(OSError, match="full"):
        attempts.run()
    assert "Submitted the bulk job job-1, whose id could not be kept: create of 1 records of" in caplog.text
    with pytest.raises(IntacctBulkJobError, match="An earlier attempt ended while it was sending"):
        attempts.run()
