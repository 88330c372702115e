"""Airflow as it is deployed: scheduler, workers, DAG processor and API server in processes of their own.

What a test learns of it, it learns as an operator does: from the REST API, from the logs, from the process table.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from keeper import end_session
from log_audit import LogAudit
from stored_xcoms import read_xcoms

ROOT = Path(__file__).resolve().parents[2]
KEEPER = ROOT / "tests" / "support" / "keeper.py"
DAGS = ROOT / "tests" / "system" / "dags"
#: Commands of Airflow. Without a server for logs, which would listen on every address of the machine.
PARTS = ("api-server", "scheduler --skip-serve-logs", "dag-processor")
#: Seconds; far more than it takes, since only a defect should ever end the waiting.
PATIENCE = 240
PAUSE = 0.2
FINISHED = ("success", "failed")
#: What Airflow puts in the place of a secret that it knows.
MASK = "***"
#: What only looks like it: the address that :meth:`RealAirflow.pause` uses, of which Airflow masks the token
#: of a file, and the picture with which a Celery worker begins its log.
_NO_SECRETS = re.compile(r"/api/v2/parseDagFile/\S+|^-[-* ]+", re.MULTILINE)


class RealAirflow:
    """One running Airflow with a home and a metadata database of its own.

    :param home: an empty folder for all that it writes.
    :param dags: the folder of its DAGs.
    :param settings: more variables for the environment of its processes, which win.
    """

    def __init__(self, home: Path, dags: Path = DAGS, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.dags = dags
        self.settings = settings or {}
        self.logs = home / "logs"
        self.database = home / "airflow.db"
        self.port = quiet_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._api = requests.Session()
        self._api.trust_env = False
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything; returns when the DAGs can be run."""
        self.logs.mkdir()
        self._migrate()
        with (self.logs / "keeper.log").open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, str(KEEPER), str(self.logs), *PARTS],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env(),
                cwd=ROOT,
                start_new_session=True,
            )
        self.until("Airflow is up and has a scheduler", self._healthy)
        self._api.headers["Authorization"] = f"Bearer {self.fetch_token()}"
        expected = len(list(self.dags.glob("*.py")))
        self.until(f"the DAGs of {expected} files are known", lambda: self._files() == expected)

    def stop(self) -> None:
        """End every process, whatever it does."""
        self._api.close()
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._keeper.wait(60)

    def connect(self, conn_id: str, sandbox: Any, password: str | None = None, **extra: object) -> str:
        """Store a connection to a sandbox and return its id."""
        parts = json.loads(sandbox.connection(**extra))
        parts["password"] = password or parts["password"]
        body = {**parts, "connection_id": conn_id, "extra": json.dumps(parts["extra"])}
        self._post("/api/v2/connections", body)
        return conn_id

    def disconnect(self, conn_id: str) -> None:
        """Remove a connection."""
        self._api.delete(self._url(f"/api/v2/connections/{conn_id}"), timeout=60).raise_for_status()

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Pause a DAG, or let it run; the watchers of its assets end or begin soon."""
        path = f"/api/v2/dags/{dag_id}"
        token = self._get(path)["file_token"]
        self._checked(self._api.patch(self._url(path), json={"is_paused": paused}, timeout=60))
        # They do when its file is parsed, which happens every 30 seconds by itself.
        self._api.put(self._url(f"/api/v2/parseDagFile/{token}"), timeout=60).raise_for_status()

    def approve(self, run: Run, task_id: str) -> None:
        """Approve what a run asks for, once the scheduler has noticed that the task waits.

        Airflow 3.3.2 takes an answer before that for a task that was killed; a person is not that fast.
        """
        noticed = f"TaskInstance Finished: dag_id={run.dag_id}, task_id={task_id}, run_id={run.run_id},"
        log = self.logs / "scheduler.log"
        self.until("the scheduler knows that the task waits", lambda: noticed in log.read_text())
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/-1/hitlDetails"
        answer = {"chosen_options": ["Approve"], "params_input": {}}
        self._checked(self._api.patch(self._url(path), json=answer, timeout=60))

    def run(self, dag_id: str, **conf: object) -> Run:
        """Start a run of a DAG; ``conf`` goes to its params."""
        body = {"logical_date": None, "conf": conf}
        answer = self._post(f"/api/v2/dags/{dag_id}/dagRuns", body)
        return Run(self, dag_id, answer["dag_run_id"])

    def read(self, path: str, **params: object) -> Any:
        """Return what the REST API answers below ``/api/v2``."""
        return self._get(f"/api/v2{path}", **params)

    def until(self, what: str, happened: Callable[[], Any], about: Callable[[], str] | None = None) -> Any:
        """Wait for something and return what it is; fail with the ends of the logs when it does not happen.

        :param about: adds details of the failure.
        """
        end, problem = time.monotonic() + PATIENCE, ""
        while time.monotonic() < end:
            if self._keeper is not None and self._keeper.poll() is not None:
                problem = "Airflow ended by itself"
                break
            try:
                if found := happened():
                    return found
            except requests.RequestException as err:
                problem = f"the last question failed: {type(err).__name__}"
            time.sleep(PAUSE)
        more = about() if about else ""
        return pytest.fail(
            f"It did not happen within {PATIENCE} s that {what}. {problem}\n{more}\n{self.tails()}"
        )

    @contextmanager
    def triggerer(self) -> Iterator[Part]:
        """Run a triggerer, which can be killed, until the block ends."""
        with self.part("triggerer --skip-serve-logs") as one:
            yield one

    @contextmanager
    def part(self, command: str) -> Iterator[Part]:
        """Run a part of Airflow, which can be killed, until the block ends."""
        one = Part(command, self.logs, self._env())
        try:
            one.keep_running()
            yield one
        finally:
            one.kill()

    def owns(self, process: psutil.Process) -> bool:
        """Whether a process is one of this Airflow's."""
        return self._keeper is not None and os.getsid(process.pid) == self._keeper.pid

    def tails(self) -> str:
        """Return the ends of the logs of Airflow's parts."""
        files = [*self.logs.glob("*.log"), *self.logs.glob("*-*/*.log")]
        return "\n".join(f"--- {file.relative_to(self.logs)}\n{tail(file)}" for file in sorted(files))

    def leaks(self, secrets: set[str]) -> list[str]:
        """Return the places of all that it has written where a secret, a token or a body is, or was until Airflow
        masked it: not everybody's Airflow does.
        """
        audit = LogAudit()
        audit.secrets.update(secrets)
        for place, text in self.left_behind():
            audit.check(text, place)
            if MASK in _NO_SECRETS.sub("", text) and not place.startswith(self.database.name):
                audit.leaks.append(f"{place} (masked)")
        return audit.leaks

    def left_behind(self) -> Iterator[tuple[str, str]]:
        """Return each text that it has written, with its place: all logs, all XComs, and the database's raw bytes."""
        for file in sorted(self.logs.rglob("*.log")):
            yield str(file.relative_to(self.home)), file.read_text(errors="replace")
        yield from self._stored()

    def _stored(self) -> Iterator[tuple[str, str]]:
        """Return the texts of the database, with their places."""
        for *place, value in read_xcoms(self.database):
            yield f"XCom {place}", str(value)
        # The log of the database comes first: when it ends meanwhile, all of it is in the database.
        for name in (f"{self.database.name}-wal", self.database.name):
            with suppress(FileNotFoundError):
                yield name, (self.home / name).read_bytes().decode("latin-1")

    def fetch_token(self) -> str:
        """Return the token of somebody who may do everything."""
        return str(self._get("/auth/token")["access_token"])

    def _migrate(self) -> None:
        with (self.logs / "db-migrate.log").open("wb") as log:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env(),
                cwd=ROOT,
                timeout=PATIENCE,
                check=False,
            )
        assert done.returncode == 0, self.tails()
        self._prepare_database()

    def _prepare_database(self) -> None:
        with closing(sqlite3.connect(self.database)) as conn:
            # Readers do not keep others from writing then.
            conn.execute("PRAGMA journal_mode=WAL")

    def _env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return kept | {
            "HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "24",
            "AIRFLOW__CORE__PARALLELISM": "24",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}?timeout=60",
            # A pool of 15 connections, and 24 workers that ask at once, wait for each other for 30 s.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # The triggers of a triggerer that was killed are given to the next one after this many seconds.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            # A slow machine must not look like a broken one.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        } | self._keys() | self.settings  # fmt: skip

    def _keys(self) -> dict[str, str]:
        """Return the keys that all parts share; without a Fernet key connections would be stored as they are."""
        file = self.home / "keys.json"
        if not file.exists():
            fernet = urlsafe_b64encode(secrets.token_bytes(32)).decode()
            keys = {
                "AIRFLOW__CORE__FERNET_KEY": fernet,
                "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            }
            file.write_text(json.dumps(keys))
        return dict(json.loads(file.read_text()))

    def _healthy(self) -> bool:
        health = self._get("/api/v2/monitor/health")
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))

    def _files(self) -> int:
        broken = self.read("/importErrors")["import_errors"]
        assert not broken, broken[0]["stack_trace"]
        return len({dag["fileloc"] for dag in self.read("/dags")["dags"]})

    def _get(self, path: str, **params: object) -> Any:
        return self._checked(self._api.get(self._url(path), params=params, timeout=60))

    def _post(self, path: str, body: object) -> Any:
        return self._checked(self._api.post(self._url(path), json=body, timeout=60))

    def _checked(self, answer: requests.Response) -> Any:
        answer.raise_for_status()
        return answer.json()

    def _url(self, path: str) -> str:
        return f"{self.url}{path}"


class Part:
    """A part of Airflow that is started and killed by itself, such as a triggerer, with all of its processes.

    :param command: of Airflow.
    :param env: its environment.
    :ivar starts: how often it was started.
    """

    def __init__(self, command: str, logs: Path, env: dict[str, str]) -> None:
        self.starts = 0
        self._command = command
        self._logs = logs
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start it unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.starts += 1
        # Each start of each part has a folder of its own.
        folder = Path(tempfile.mkdtemp(prefix=f"{self._command.split()[0]}-", dir=self._logs))
        with (folder / "keeper.log").open("wb") as log:
            # It ends with the tests, however they end.
            self._process = subprocess.Popen(
                [sys.executable, str(KEEPER), str(folder), self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=ROOT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill all of its processes at once, as a crash of the machine would."""
        # Another thread may start the next one as soon as this one has ended.
        if (killed := self._process) is not None and killed.poll() is None:
            killed.kill()
            end_session(killed.pid)
            killed.wait(60)

    def owns(self, process: psutil.Process) -> bool:
        """Whether a process is one of this part's."""
        return self._process is not None and os.getsid(process.pid) == self._process.pid


class Run:
    """One run of a DAG."""

    def __init__(self, airflow: RealAirflow, dag_id: str, run_id: str) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = run_id
        self._path = f"/dags/{dag_id}/dagRuns/{run_id}"

    def wait(self) -> list[dict[str, Any]]:
        """Wait for the end, whichever it is, and return the task instances in order of task id and map index."""
        what = f"the run of {self.dag_id} ended"
        self.airflow.until(what, lambda: self.airflow.read(self._path)["state"] in FINISHED, self.describe)
        return self.tasks()

    def succeed(self) -> list[dict[str, Any]]:
        """Wait for a good end; fail with the logs of the tasks for any other."""
        tasks = self.wait()
        if bad := [task["task_id"] for task in tasks if task["state"] != "success"]:
            pytest.fail(f"Of the run of {self.dag_id} did not succeed: {bad}\n{self.describe()}")
        return tasks

    def until(self, what: str, happened: Callable[[], Any]) -> Any:
        """Wait for something that this run does; it has failed as soon as one of its tasks has."""

        def happened_or_failed() -> Any:
            if found := happened():
                return found
            failed = self.airflow.read(f"{self._path}/taskInstances", state="failed")["task_instances"]
            if failed:
                pytest.fail(f"A task failed before {what}.\n{self.describe()}")
            return None

        return self.airflow.until(what, happened_or_failed, self.describe)

    def tasks(self) -> list[dict[str, Any]]:
        """Return the task instances in order of task id and map index."""
        tasks = self.airflow.read(f"{self._path}/taskInstances")["task_instances"]
        return sorted(tasks, key=lambda task: (task["task_id"], task["map_index"]))

    def tries(self, task_id: str) -> list[dict[str, Any]]:
        """Return the attempts of a task, the first one first."""
        tries = self.airflow.read(f"{self._path}/taskInstances/{task_id}/tries")["task_instances"]
        return sorted(tries, key=lambda one: one["try_number"])

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """Return what a task has pushed."""
        return self.airflow.read(f"{self._path}/taskInstances/{task_id}/xcomEntries/{key}")["value"]

    def log(self, task_id: str, try_number: int) -> str:
        """Return the log of one try as Airflow keeps it."""
        return (self._folder / f"task_id={task_id}" / f"attempt={try_number}.log").read_text(errors="replace")

    def process(self, task_id: str) -> psutil.Process:
        """Return the process that runs the code of a task: not its supervisor, and not the scheduler."""
        [task] = [task for task in self.tasks() if task["task_id"] == task_id]
        assert task["state"] == "running", f"{task_id} is {task['state']}\n{self.describe()}"
        process = psutil.Process(task["pid"])
        assert self.airflow.owns(process)
        # Airflow names the process after the attempt; the supervisor, its parent, is named after the executor.
        assert task["id"] in " ".join(process.cmdline())
        assert "LocalExecutor" in " ".join(process.parent().cmdline())
        return process

    def describe(self) -> str:
        """Return where the tasks stand, and the ends of their logs."""
        files = sorted(self._folder.rglob("*.log"), key=lambda file: file.stat().st_mtime)
        logs = [f"--- {file.relative_to(self._folder)}\n{tail(file)}" for file in files[-5:]]
        try:
            stand = [
                f"{t['task_id']}[{t['map_index']}] {t['state']}, try {t['try_number']}" for t in self.tasks()
            ]
        except requests.RequestException as err:
            stand = [f"the tasks are unknown ({type(err).__name__})"]
        return "\n".join([*stand, *logs])

    @property
    def _folder(self) -> Path:
        return self.airflow.logs / f"dag_id={self.dag_id}" / f"run_id={self.run_id}"


def tail(file: Path, lines: int = 30) -> str:
    """Return the end of a log."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


def quiet_port() -> int:
    """Return a free port below those that outgoing connections get, so that none of them takes it meanwhile."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")
