"""Every situation ends in the same way in each mode; the table of docs/sensors.md is built from these tests.

``INTACCT_WRITE_PARITY=1`` writes the table; without it, a difference fails the last test.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from contrary_server import contrary
from sandbox_client import client_of, running
from sensor_modes import MODES, run_sensor

from intacct_provider.client.http import transport
from intacct_provider.sensors import base
from intacct_provider.sensors.jobs import IntacctBulkJobSensor
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.triggers import intervals, polling

PAGE = Path(__file__).parents[3] / "docs" / "sensors.md"
BEGIN, END = "<!-- parity -->", "<!-- /parity -->"
CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
#: Failed requests of a poll that has failed: the client has sent each three times.
EACH = 3
WORDS = {
    "success": "succeeds",
    "skipped": "skipped",
    "failed": "fails at once",
    "retried": "fails, may be retried",
}


class World:
    """A company, and what happens between two polls.

    :ivar pause: seconds between polls.
    :ivar created: key of the record that was created.
    """

    def __init__(self, company, monkeypatch):
        self.company = company
        self.monkeypatch = monkeypatch
        self.between = lambda _poll: None
        self.polls = 0
        self.pause = 0.0
        self.created = None

    def at(self, poll, act):
        """Do something after this poll."""
        self.between = lambda number: act() if number == poll else None

    def next_wait(self, *_args, **_how):
        """Let something happen after a poll that was not the last one."""
        self.polls += 1
        self.between(self.polls)
        return self.pause

    def connect(self, connection, **changes):
        """Set the connection."""
        given = {**json.loads(connection), **changes}
        self.monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(given))


@dataclass(frozen=True)
class Case:
    """A row of the table.

    :ivar what: the situation.
    :ivar ends: how the task ends, in every mode.
    :ivar prepare: sets up the company.
    :ivar sensor: class and arguments of the sensor.
    :ivar options: of the sensor, which the table names.
    :ivar error: type of the exception.
    :ivar xcom: what it returns.
    :ivar polls: that do not end the wait; None for any number.
    :ivar contrary: whether the server is the small one, whose responses are bent.
    """

    what: str
    ends: str
    prepare: Any
    sensor: tuple[Any, dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    xcom: Any = None
    polls: int | None = None
    contrary: bool = False

    def __str__(self):
        return " ".join([self.what, *(f"{name}={value}" for name, value in self.options.items())])


def query(**arguments):
    return IntacctQuerySensor, {"object_name": CUSTOMER, **arguments}


def record(**arguments):
    return IntacctRecordSensor, {"object_name": CUSTOMER, **arguments}


def job(**arguments):
    return IntacctBulkJobSensor, {"job_id": "950bf10d-f119-41c9-a352-1b68b34498c3", **arguments}


# --- what happens at the sandbox


def nothing(_world):
    pass


def never(world):
    world.pause = 3600.0


def create(world):
    with client_of(world.company) as client:
        world.created = client.create(CUSTOMER, {"id": "W-1", "name": "Waited for"})["key"]


def create_later(world):
    world.at(2, lambda: create(world))


def wrong_secret(world):
    world.connect(world.company.connection(), password="not-the-secret")


def no_connection(world):
    world.monkeypatch.delenv("AIRFLOW_CONN_INTACCT_DEFAULT")


def server_down(world):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    world.connect(world.company.connection(), host=f"http://127.0.0.1:{port}/ia/api/v1")


def lose_permission(world):
    world.at(1, lambda: setattr(world.company.faults, "denied", [CUSTOMER]))


def lose_credentials(world):
    def lose():
        world.company.expire_tokens()
        world.company.fail(path="/oauth2/token", times=0, status=401, body={"error": "invalid_client"})

    world.at(1, lose)


def fail(world, polls=5, **how):
    """Let polls fail."""
    world.company.fail(**{"path": QUERY, "times": polls * EACH, "status": 500, **how})


def down_for_good(world):
    never(world)
    fail(world, 1000)


def failing(polls=5, **how):
    return lambda world: fail(world, polls, **how)


def overloaded(world):
    # An hour is longer than a poll waits, so each is sent once.
    fail(world, status=429, headers={"Retry-After": "3600"}, times=5)


def answer_job(*states):
    """Return what lets the job be in these states, one after another."""

    def prepare(world):
        for state in states:
            body = {"ia::result": {"status": state, "percentComplete": 40}}
            world.company.fail(path="/services/bulk/job/status", status=200, body=body)

    return prepare


def fail_four_and_four(world):
    """Let four polls fail, one find nothing, four more fail, and the next one find the record."""

    def go_on():
        create(world)
        fail(world, 4)

    fail(world, 4)
    world.at(5, go_on)


# --- what happens at the contrary server


def bend_first(world, change):
    """Change the first page of a query."""
    left = [1]

    def bend(_method, path, status, body):
        if path.endswith(QUERY) and left[0]:
            left[0] -= 1
            return status, change(body)
        return status, body

    world.company.bend = bend


def say_nothing(body):
    return {"ia::result": [], "ia::meta": {**body["ia::meta"], "totalCount": 0}}


def count_nothing(world):
    def bend(_method, path, status, body):
        if path.endswith(QUERY):
            body["ia::meta"].pop("totalCount")
        return status, body

    world.company.bend = bend


def count_what_is_not_sent(world):
    bend_first(world, lambda body: {"ia::result": [], "ia::meta": {**body["ia::meta"], "totalCount": 9}})
    world.at(1, world.company.company.add)


def hide_once(world):
    bend_first(world, say_nothing)
    world.at(1, lambda: world.company.company.remove(7))


def send_another_once(world):
    bend_first(
        world, lambda body: {**body, "ia::result": [{**one, "id": "C8"} for one in body["ia::result"]]}
    )


def add_later(world):
    world.at(1, world.company.company.add)


def deactivate_later(world):
    world.at(1, lambda: world.company.company.set(7, status="inactive"))


def remove_later(world):
    world.at(1, lambda: world.company.company.remove(7))


NAMED = [{"$eq": {"name": "Waited for"}}]
COUNTED = {"object_name": CUSTOMER, "count": 1}
MET = query(filters=[{"$eq": {"id": "C-00001"}}])
WAITING = query(filters=[{"$eq": {"id": "NEVER"}}])
NEVER = query(filters=[{"$eq": {"id": "NEVER"}}], timeout=0.05)
SOFT, NEVER_FAIL = {"soft_fail": True}, {"never_fail": True}
REFUSED = ((SOFT, "failed"), (NEVER_FAIL, "skipped"))
TROUBLE = ((SOFT, "retried"), (NEVER_FAIL, "skipped"))


def with_options(case, *ends):
    """Return a case, and the same with each of the options."""
    return [case, *(replace(case, options=options, ends=end) for options, end in ends)]


CASES = [
    Case("The condition is met at the first poll", "success", nothing, MET, xcom=COUNTED, polls=0),
    Case("It is met at the third poll", "success", create_later, query(filters=NAMED), xcom=COUNTED, polls=2),
    *with_options(
        Case("It is not met before the timeout", "failed", never, NEVER, error="AirflowSensorTimeout"),
        (SOFT, "skipped"),
        (NEVER_FAIL, "skipped"),
    ),
    *with_options(
        Case(
            "A filter names a wrong field",
            "failed",
            nothing,
            query(filters=[{"$eq": {"statsu": "active"}}]),
            error="IntacctValidationError",
        ),
        *REFUSED,
    ),
    *with_options(
        Case(
            "A condition has a value that no record can have",
            "failed",
            nothing,
            record(record_id="C-00001", conditions={"status": "Active"}),
            error="IntacctArgumentError",
        ),
        *REFUSED,
    ),
    Case(
        "The object does not exist",
        "failed",
        nothing,
        query(object_name="accounts-receivable/custmer"),
        error="IntacctValidationError",
    ),
    Case("An argument is wrong", "failed", nothing, query(at_least="many"), error="IntacctArgumentError"),
    Case(
        "The interval is below a second",
        "failed",
        nothing,
        query(poke_interval=0.9),
        error="IntacctArgumentError",
    ),
    *with_options(
        Case("The credentials are wrong", "failed", wrong_secret, MET, error="IntacctAuthenticationError"),
        *REFUSED,
    ),
    *with_options(
        Case(
            "They are rejected after the first poll",
            "failed",
            lose_credentials,
            WAITING,
            error="IntacctAuthenticationError",
            polls=1,
        ),
        *REFUSED,
    ),
    *with_options(
        Case(
            "The permission is lost after the first poll",
            "failed",
            lose_permission,
            WAITING,
            error="IntacctPermissionError",
            polls=1,
        ),
        *REFUSED,
    ),
    *with_options(
        Case("The connection is not defined", "failed", no_connection, MET),
        ({"silent_fail": True}, "failed"),
    ),
    *with_options(
        Case("Polls fail until the timeout", "failed", down_for_good, NEVER, error="AirflowSensorTimeout"),
        (SOFT, "skipped"),
        ({**SOFT, "silent_fail": True}, "skipped"),
    ),
    Case("Four polls in a row fail", "success", failing(4), MET, xcom=COUNTED, polls=4),
    Case(
        "Four polls fail, one does not, four fail",
        "success",
        fail_four_and_four,
        query(filters=NAMED),
        xcom=COUNTED,
        polls=9,
    ),
    *with_options(
        Case("Five polls in a row fail", "retried", failing(), MET, error="IntacctServerError", xcom=COUNTED),
        *TROUBLE,
        ({"silent_fail": True}, "success"),
        ({"max_consecutive_failures": 6}, "success"),
    ),
    Case(
        "Five polls in a row fail after the first one",
        "retried",
        failing(skip=1, status=502),
        WAITING,
        error="IntacctServerError",
        polls=5,
    ),
    Case(
        "Five responses are web pages",
        "retried",
        failing(kind="html", status=200),
        MET,
        error="IntacctResponseError",
    ),
    Case(
        "Five polls lose their connection",
        "retried",
        failing(kind="reset"),
        MET,
        error="IntacctConnectionError",
    ),
    Case("Five polls exceed the rate limit", "retried", overloaded, MET, error="IntacctRateLimitError"),
    Case("The server is down", "retried", server_down, MET, error="IntacctConnectionError"),
    Case(
        "A bulk job is completed",
        "success",
        answer_job("queued", "processing", "completed"),
        job(),
        xcom={"job_id": job()[1]["job_id"], "state": "completed", "percent": 40},
        polls=2,
    ),
    *with_options(
        Case(
            "It fails as a whole",
            "failed",
            answer_job("processing", "failed"),
            job(),
            error="IntacctBulkJobError",
            polls=1,
        ),
        *REFUSED,
    ),
    Case("It does not exist", "failed", nothing, job(), error="IntacctNotFoundError"),
    Case(
        "Responses have no `totalCount`",
        "success",
        count_nothing,
        query(at_least=4),
        xcom={"object_name": CUSTOMER, "count": 4},
        polls=0,
        contrary=True,
    ),
    Case(
        "A response counts records that it does not send",
        "success",
        count_what_is_not_sent,
        query(at_least=5),
        xcom={"object_name": CUSTOMER, "count": 5},
        polls=1,
        contrary=True,
    ),
    Case(
        "A response has no records, falsely, when few are waited for",
        "success",
        hide_once,
        query(at_most=3),
        xcom={"object_name": CUSTOMER, "count": 3},
        polls=1,
        contrary=True,
    ),
    Case(
        "A response does not have the record, falsely, that is to be gone",
        "success",
        hide_once,
        record(record_id="C7", gone=True),
        xcom={"object_name": CUSTOMER, "exists": False, "id": "C7"},
        polls=1,
        contrary=True,
    ),
    Case(
        "A response has another record than was asked for",
        "success",
        send_another_once,
        record(record_id="C7"),
        xcom={"object_name": CUSTOMER, "exists": True, "id": "C7", "key": "7", "values": {}},
        polls=1,
        contrary=True,
    ),
    Case(
        "A sum reaches an amount",
        "success",
        add_later,
        query(aggregate="sum:totalDue", at_least="44.99"),
        xcom={"object_name": CUSTOMER, "aggregate": "sum:totalDue", "value": "45.00"},
        polls=1,
        contrary=True,
    ),
    Case(
        "A record gets a value",
        "success",
        deactivate_later,
        record(record_id="C7", conditions={"status": ["inactive"]}),
        xcom={
            "object_name": CUSTOMER,
            "exists": True,
            "id": "C7",
            "key": "7",
            "values": {"status": "inactive"},
        },
        polls=1,
        contrary=True,
    ),
    Case(
        "A record is created",
        "success",
        add_later,
        record(key="11"),
        xcom={"object_name": CUSTOMER, "exists": True, "key": "11", "values": {}},
        polls=1,
        contrary=True,
    ),
    Case(
        "A record is deleted",
        "success",
        remove_later,
        record(key="7", gone=True),
        xcom={"object_name": CUSTOMER, "exists": False, "key": "7"},
        polls=1,
        contrary=True,
    ),
]


@pytest.fixture(scope="module")
def results():
    """The outcomes that the tests of this module have shown so far, by case and mode."""
    return {}


@pytest.fixture(scope="module")
def demo():
    with running("demo") as company:
        yield company


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait no longer than is needed: the first wait is for a race of Airflow's executors."""
    monkeypatch.setattr(intervals, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(polling, "SPREAD", 0.0)
    monkeypatch.setattr(transport.random, "random", lambda: 0.0)


@contextmanager
def open_world(case, demo, monkeypatch):
    """Yield the company of a case in the state that its test begins with."""
    if case.contrary:
        with contrary() as (served, client):
            world = World(served, monkeypatch)
            world.connect(describe_connection(client.config))
            yield world
        return
    world = World(demo, monkeypatch)
    try:
        world.connect(demo.connection())
        yield world
    finally:
        demo.clear_faults()
        demo.faults.denied = []
        if world.created:
            with client_of(demo) as client:
                client.delete(CUSTOMER, world.created)


def describe_connection(config):
    return json.dumps(
        {
            "conn_type": "intacct",
            "host": config.base_url,
            "login": config.client_id,
            "password": config.client_secret,
            "extra": {"company_id": config.company_id, "user_id": config.user_id},
        }
    )


def run_case(case, mode, demo, monkeypatch):
    """Return the outcome, and the number of polls that did not end the wait."""
    kind, arguments = case.sensor
    with open_world(case, demo, monkeypatch) as world:
        case.prepare(world)
        monkeypatch.setattr(base, "next_wait", world.next_wait)
        monkeypatch.setattr(polling, "next_wait", world.next_wait)
        outcome = run_sensor(lambda **how: kind(task_id="t", **{**arguments, **case.options, **how}), mode)
    return outcome, world.polls


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_ends_in_the_same_way_in_each_mode(case, demo, monkeypatch, results):
    ends = {}
    for mode in MODES:
        outcome, polls = run_case(case, mode, demo, monkeypatch)
        assert outcome.state == case.ends, f"{mode}: {outcome}"
        assert outcome.xcom == case.xcom or case.ends != "success", mode
        if case.error and case.ends in ("failed", "retried"):
            assert outcome.error == case.error, f"{mode}: {outcome}"
        assert case.polls is None or polls == case.polls, mode
        ends[mode] = WORDS[outcome.state]
    results[str(case)] = ends


def test_the_table_in_the_documentation_has_these_results(results):
    if set(results) != {str(case) for case in CASES}:
        pytest.skip("The table needs the results of all tests of this module.")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    expected = f"{before}{BEGIN}\n{render(results)}\n{END}{after}"
    if os.environ.get("INTACCT_WRITE_PARITY"):
        PAGE.write_text(expected, encoding="utf-8")
    else:
        assert page == expected, "run: make parity"


def render(results):
    """Return the table as Markdown."""
    lines = ["| situation | argument | poke | reschedule | deferrable |", "| --- | --- | --- | --- | --- |"]
    for case in CASES:
        options = ", ".join(f"`{name}={value}`" for name, value in case.options.items())
        cells = " | ".join(results[str(case)][mode] for mode in MODES)
        lines.append(f"| {case.what} | {options} | {cells} |")
    return "\n".join(lines)
