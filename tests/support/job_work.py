"""Attempts of one task with a bulk job, each in an operator of its own, as Airflow makes them."""

from contextlib import suppress
from dataclasses import dataclass, field

from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls

from intacct_provider.operators.jobs import IntacctBulkJobOperator

CUSTOMER = "accounts-receivable/customer"
CREATE = "/services/bulk/job/create"
STATUS = "/services/bulk/job/status"
#: Of a sandbox in which a job has ended as soon as anybody asks.
QUICK_JOBS = {"job_seconds": 0, "job_rate": 1e9}


@dataclass
class Task:
    """A task instance, as far as operators look at it, with the state store that its attempts share.

    :ivar died: makes the attempt end, as when its process is killed, at the first write whose text it returns True for;
        the text is kept.
    """

    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "job"
    map_index: int = -1
    max_tries: int = 0
    try_number: int = 0
    xcoms: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    died: object = None

    def xcom_push(self, key, value):
        self.xcoms[key] = value

    def get(self, key):
        return self.kept.get(key)

    def set(self, key, value):
        self.kept[key] = value
        if self.died and self.died(value):
            self.died = None
            raise Died

    def attempt(self, **arguments):
        """Run one attempt and return its XCom."""
        self.try_number += 1
        context = {"ti": self, "task_state_store": self}
        return make_operator(**arguments).execute(context)

    def clear(self):
        """Do what a person does who clears the task."""
        self.max_tries = self.try_number


class Died(BaseException):
    """The process of the attempt was killed."""


def make_operator(**arguments):
    """Return an operator that creates customers, unless the arguments say otherwise."""
    given = {"object_name": CUSTOMER, "operation": "create", "deferrable": False, **arguments}
    return IntacctBulkJobOperator(task_id="job", **given)


def customers(count, start=0):
    """Return new customers."""
    return [{"id": f"B-{n:05}", "name": f"Bulk {n}"} for n in range(start, start + count)]


def count_jobs(sandbox):
    """Return how many jobs Intacct took."""
    with sandbox.store.transaction() as conn:
        return conn.execute('SELECT count(*) FROM "ia::job"').fetchone()[0]


def count_submissions(sandbox):
    """Return how often a job was sent."""
    return len(calls(sandbox, CREATE))


def attempt_until_done(task, attempts=10, **arguments):
    """Run attempts as Airflow does: again after an error, unless a retry cannot help; return the XCom."""
    for _ in range(attempts):
        with suppress(_TemporaryError):
            return _attempt(task, arguments)
    raise AssertionError(f"{attempts} attempts failed")


class _TemporaryError(Exception):
    """An error after which Airflow runs another attempt."""


def _attempt(task, arguments):
    try:
        return task.attempt(**arguments)
    except AirflowFailException:
        raise
    except (Exception, Died) as err:
        raise _TemporaryError from err
