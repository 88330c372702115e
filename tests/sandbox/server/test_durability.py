"""A sandbox that is killed in the middle of its work keeps what it has acknowledged, and does nothing by halves.

Twenty writers create, change and delete customers while the process dies again and again. A write whose answer
was lost is either repeated under its idempotency key or given up. In the end every record must be as reported
to the writers, and the history must agree. ``INTACCT_SOAK_SECONDS`` says for how long (6).
"""

import contextlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import requests

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("INTACCT_SOAK_SECONDS", "6"))
WRITERS = 20
KILLS = 3  # at least, however slow the machine is
SEED = 20261121
PATIENCE = 60

CUSTOMER = "accounts-receivable/customer"
FIELDS = ("name", "creditLimit", "notes")
# Beside the kills, every 25th answer of a write is lost although the write was carried out.
FAULTS = {"concurrency": 50, "fail": [{"kind": "after", "every": 25, "path": "/objects"}]}


class Company:
    """A sandbox in a process of its own, always on the same file and the same port."""

    def __init__(self, db):
        self.db = db
        self.port = quiet_port()
        self.url = f"http://127.0.0.1:{self.port}/ia/api/v1"
        self.up = threading.Event()
        self.process = None

    def start(self):
        """Return when it answers."""
        command = [sys.executable, "-m", "intacct_provider.sandbox", "--db", str(self.db), "--seed", "empty"]
        command += ["--port", str(self.port), "--faults", json.dumps(FAULTS)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        assert "sandbox ready" in line, line
        self.up.set()

    def kill(self):
        """End it without any warning."""
        self.up.clear()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def token(self):
        """Return a new access token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "username": "airflow@SANDBOX",
        }
        answer = requests.post(f"{self.url}/oauth2/token", data=form, timeout=PATIENCE)
        return answer.json()["access_token"]


class GivenUpError(Exception):
    """A write whose answer was lost and that its writer does not repeat."""


class Writer(threading.Thread):
    """Writes customers of its own until told to stop, and remembers the answer about each."""

    def __init__(self, number, company, stop):
        super().__init__(daemon=True)
        self.number = number
        self.company = company
        self.stop = stop
        self.random = random.Random(SEED + number)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {company.token()}"
        self.count = 0
        self.live = {}  # by key: the values that were acknowledged
        self.updates = Counter()  # by key: how many changes were acknowledged
        self.gone = set()  # keys whose deletion was acknowledged
        self.unsure = {}  # by key: the values before and after a write that was given up
        self.unsure_names = set()  # of creations that were given up
        self.keys = set()  # idempotency keys of the writes that were acknowledged
        self.replayed = 0
        self.error = None

    def run(self):
        """Write, one call after the other."""
        try:
            while not self.stop.is_set():
                self.count += 1
                one = self.random.choice(sorted(self.live)) if len(self.live) > 3 else None
                action = self.random.choice((self.create, self.update, self.update, self.delete))
                with contextlib.suppress(GivenUpError):
                    self.create() if one is None or action == self.create else action(one)
        except BaseException as error:
            self.error = error
            raise

    def create(self):
        """Add a customer that Intacct numbers, so that nothing but the idempotency key prevents a second."""
        values = self.values()
        self.unsure_names.add(values["name"])
        answer = self.send("POST", f"/objects/{CUSTOMER}", values)
        assert answer.status_code == 201, answer.text
        self.unsure_names.remove(values["name"])
        self.live[answer.json()["ia::result"]["key"]] = values

    def update(self, key):
        """Change a customer."""
        before, values = self.live.pop(key), self.values()
        self.unsure[key] = (before, values)
        answer = self.send("PATCH", f"/objects/{CUSTOMER}/{key}", values)
        assert answer.status_code == 200, answer.text
        del self.unsure[key]
        self.live[key] = values
        self.updates[key] += 1

    def delete(self, key):
        """Delete a customer; when that is repeated, the customer may be gone already."""
        self.unsure[key] = (self.live.pop(key), None)
        answer = self.send("DELETE", f"/objects/{CUSTOMER}/{key}")
        assert answer.status_code == 204 or (answer.status_code == 404 and self.repeated), answer.text
        del self.unsure[key]
        self.gone.add(key)

    def send(self, method, path, body=None):
        """Return the answer to a write, repeating it when the answer is lost, or give it up."""
        key = f"{self.number}-{self.count}"
        self.repeated = False
        while True:
            assert self.company.up.wait(PATIENCE)
            try:
                answer = self.session.request(
                    method,
                    self.company.url + path,
                    json=body,
                    headers={"Idempotency-Key": key},
                    timeout=PATIENCE,
                )
            except requests.Timeout:
                raise  # not an answer that was lost, but a server that hangs
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self.repeated = True
                if self.random.random() < 0.25:
                    raise GivenUpError from None
                continue
            if method != "DELETE":
                self.keys.add(key)
            self.replayed += "x-ia-idempotency-cached-date" in answer.headers
            return answer

    def values(self):
        """Return the values of the next write, which no other write has."""
        name = f"{self.number:02d}-{self.count:06d}"
        return {"name": name, "creditLimit": self.random.randrange(1_000_000), "notes": f"{name} " * 20}


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    """The company after everything, and its writers; it was killed once more right after the last answer."""
    company = Company(tmp_path_factory.mktemp("company") / "company.db")
    stop, moments = threading.Event(), random.Random(SEED)
    try:
        company.start()
        writers = [Writer(number, company, stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        kills, end = 0, time.monotonic() + SECONDS
        while kills < KILLS or time.monotonic() < end:
            let_them_write(writers, moments.randint(30, 300))
            company.kill()
            kills += 1
            company.start()
        let_them_write(writers, 100)
        stop.set()
        for writer in writers:
            writer.join(PATIENCE)
        company.kill()
        print(
            f"killed {kills} times between {sum(len(writer.keys) for writer in writers)} acknowledged writes"
        )
        yield company, writers
    finally:
        stop.set()
        company.kill()


def let_them_write(writers, count):
    """Wait until this many more writes have begun."""
    target = sum(writer.count for writer in writers) + count
    end = time.monotonic() + PATIENCE
    while sum(writer.count for writer in writers) < target:
        assert time.monotonic() < end, "the writers are stuck"
        assert [writer.error for writer in writers if writer.error] == []
        time.sleep(0.002)


def quiet_port():
    """Return a free port below those that outgoing connections get: none takes it while the sandbox is down."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def rows(soaked):
    """Every customer by key, read over HTTP with a token from before the first kill."""
    company, writers = soaked
    company.start()
    found, start = {}, 1
    while start:
        query = {"object": CUSTOMER, "fields": ["key", *FIELDS], "orderBy": [{"key": "asc"}], "size": 4000}
        answer = writers[0].session.post(
            f"{company.url}/services/core/query", json={**query, "start": start}, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        found |= {row["key"]: {name: row[name] for name in FIELDS} for row in answer.json()["ia::result"]}
        start = answer.json()["ia::meta"]["next"]
    company.kill()
    return found


@pytest.fixture(scope="module")
def file(soaked, rows):
    """The company's file, while nobody else has it open."""
    connection = sqlite3.connect(soaked[0].db)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def history_kept(file):
    """What the history says: the customers as they are, and what was done to each customer there ever was."""
    live, actions = {}, {}
    sql = 'SELECT key, action, changes FROM "ia::history" WHERE object = ? ORDER BY number'
    for key, action, changes in file.execute(sql, (CUSTOMER,)):
        changed = json.loads(changes)
        before = live.setdefault(str(key), {})
        assert {path: before.get(path) for path in changed} == {
            path: old for path, (old, _) in changed.items()
        }
        before.update({path: new for path, (_, new) in changed.items()})
        actions.setdefault(str(key), []).append(action)
        if action == "deleted":
            del live[str(key)]
    return live, actions


def test_no_writer_met_anything_but_lost_answers(soaked):
    _, writers = soaked
    assert [writer.error for writer in writers if writer.error] == []
    assert [writer.number for writer in writers if writer.is_alive()] == []


def test_there_was_something_to_lose(soaked):
    _, writers = soaked
    assert sum(len(writer.keys) for writer in writers) > 100
    assert all(writer.live for writer in writers)
    assert any(writer.gone for writer in writers)
    assert any(writer.unsure or writer.unsure_names for writer in writers)
    assert any(writer.replayed for writer in writers)


def test_every_acknowledged_write_is_there_with_its_values(soaked, rows):
    for writer in soaked[1]:
        assert {key: rows.get(key) for key in writer.live} == writer.live
        assert writer.gone.isdisjoint(rows)


def test_a_write_that_was_given_up_happened_as_a_whole_or_not_at_all(soaked, rows):
    for writer in soaked[1]:
        for key, states in writer.unsure.items():
            assert rows.get(key) in states


def test_nothing_is_there_twice_and_nothing_that_nobody_wrote(soaked, rows):
    names = Counter(row["name"] for row in rows.values())
    assert [name for name, count in names.items() if count > 1] == []
    known = {key for writer in soaked[1] for key in (*writer.live, *writer.unsure)}
    given_up = {name for writer in soaked[1] for name in writer.unsure_names}
    assert {row["name"] for key, row in rows.items() if key not in known} <= given_up


def test_the_file_is_sound_and_writes_ahead(file):
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert file.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_the_history_tells_of_every_write_and_of_no_other(soaked, rows, history_kept):
    live, actions = history_kept
    assert {key: {name: values.get(name) for name in FIELDS} for key, values in live.items()} == rows
    for writer in soaked[1]:
        for key in writer.live:
            assert actions[key] == ["created"] + ["modified"] * writer.updates[key]
        for key in writer.gone:
            assert actions[key] == ["created"] + ["modified"] * writer.updates[key] + ["deleted"]


def test_every_acknowledged_write_keeps_its_idempotency_key(soaked, file):
    kept = {key for (key,) in file.execute('SELECT key FROM "ia::idempotency"')}
    assert {key for writer in soaked[1] for key in writer.keys} <= kept
