"""Run Airflow with the sandbox and the example DAGs, to try in a browser."""

from __future__ import annotations

import json
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from company import (
    EXAMPLES,
    ROOT,
    ToolError,
    airflow,
    airflow_env,
    exit_on_signals,
    fresh_home,
    link_examples,
    process,
    sandbox,
)

#: Everything that this Airflow writes; removed at each start.
HOME = ROOT / ".airflow"
#: The user's own DAGs, which stay.
OWN_DAGS = ROOT / "dags"
LOG = "logs/airflow.log"
START_SECONDS = 240
#: Seconds until Airflow finds a new DAG file.
NEW_FILE_SECONDS = 10
#: Reaches this machine whatever proxy the environment names.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Examples that are left out here, and what they need.
CLOUDS = {
    "intacct_companies_to_one_table": "BigQuery",
    "intacct_general_ledger_for_dbt": "PostgreSQL, and a sandbox with --company shipped",
    "intacct_to_bigquery": "BigQuery",
    "intacct_to_databricks": "Databricks",
    "intacct_to_redshift": "Redshift",
    "intacct_to_snowflake": "Snowflake",
}
#: Accounts of a CRM, which the example intacct_sync_from_sql makes customers of.
ACCOUNTS = [
    ("CRM-001", "Ada's Bakery", "Net 30", "From the CRM", "east"),
    ("CRM-002", "Brandt and Sons", "Net 60", "From the CRM", "west"),
    ("CRM-003", "Cormorant Books", None, "From the CRM", "west"),
]


def main(home: Path = HOME, own_dags: Path = OWN_DAGS) -> None:
    """Start everything, print what a user needs, and stop everything on a signal.

    :param home: folder for everything that Airflow and the sandboxes write; its contents are removed.
    :param own_dags: folder for the user's own DAGs.
    """
    fresh_home(home)
    own_dags.mkdir(exist_ok=True)
    examples = sorted(file.stem for file in EXAMPLES.glob("*.py") if file.stem not in CLOUDS)
    folders = {"examples": link_examples(home / "examples", examples), "own": own_dags}
    make_warehouse(home / "warehouse.db")
    with ExitStack() as running:
        print("Starting two Intacct companies (sandboxes) ...", flush=True)
        _, company = running.enter_context(sandbox(home))
        _, staging = running.enter_context(sandbox(home, "staging"))
        settings = login_env(home) | bundle_env(folders)
        address, child = running.enter_context(standalone(home, settings))
        login = {"username": "admin", "password": password(home)}
        token = ask(f"{address}/auth/token", login)["access_token"]
        connections = {
            "intacct_default": connection(company),
            "intacct_staging": connection(staging),
            "warehouse": {"conn_type": "sqlite", "host": str(home / "warehouse.db")},
        }
        store(address, token, connections)
        wait_for_dags(address, token, len(examples))
        print(describe(address, password(home), json.loads(company), home, own_dags), flush=True)
        if child.wait():
            raise ToolError(f"Airflow ended by itself; see {home / LOG}.")


def describe(address: str, password: str, company: Mapping[str, Any], home: Path, own_dags: Path) -> str:
    """Return what a user needs to know: pages, logins, folders and files."""
    site = urllib.parse.urlsplit(company["host"])
    rows = [
        ("Airflow", f"{address}/   log in as admin, password {password}"),
        ("Intacct", f"{site.scheme}://{site.netloc}/   the sandbox's page: its records, calls and bill"),
        ("Your DAGs", f"{own_dags}   found within {NEW_FILE_SECONDS} seconds, and kept"),
        ("Log", str(home / LOG)),
        ("Connections", "intacct_default, intacct_staging (another company), warehouse (SQLite)"),
        ("To add one", f"type Sage Intacct, API base URL {company['host']}, port {site.port},"),
        ("", f"client ID {company['login']}, client secret {company['password']},"),
        ("", f"company ID {company['extra']['company_id']}, user ID {company['extra']['user_id']}"),
        ("Left out", "examples that load another warehouse:"),
        *(("", f"{name} (needs {need})") for name, need in CLOUDS.items()),
    ]
    return "\n".join(["", *(f"  {name:<12} {text}" for name, text in rows), "", "Ctrl-C ends everything."])


@contextmanager
def standalone(home: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run Airflow; yield its address and its process once it answers."""
    port, worker_logs, trigger_logs = free_ports(3)
    database = home / "airflow" / "airflow.db"
    env = airflow_env(home) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}?timeout=60",
        # The connections of a pool wait for each other.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        # A slow machine must not look like a broken one.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        # Else a trigger that fires before its worker has reported the deferral loses its task.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "PYTHONUNBUFFERED": "1",
    } | settings  # fmt: skip
    log = home / LOG
    print("Starting Airflow (about half a minute) ...", flush=True)
    database.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(database)) as file:
        file.execute("PRAGMA journal_mode=WAL")  # readers do not keep others from writing
    with process(airflow("standalone"), log, env, piped=False) as child:
        wait_until_up(f"http://127.0.0.1:{port}/api/v2/monitor/health", child, log)
        yield f"http://127.0.0.1:{port}", child


def connection(sandbox_connection: str) -> dict[str, Any]:
    """Return a connection to a sandbox as the connection form would store it."""
    parts = dict(json.loads(sandbox_connection))
    # The Test button of Airflow 3.3.2 refuses a connection saved without a port.
    parts["port"] = urllib.parse.urlsplit(parts["host"]).port
    # As the example with many workers wants it: 3 tasks with 2 calls in flight are the 6 that Intacct allows.
    parts["extra"] = {**parts["extra"], "max_concurrency": 2}
    return parts


def store(address: str, token: str, connections: Mapping[str, Mapping[str, Any]]) -> None:
    """Store the connections, which Airflow's pages show then, and the pool of the example with many workers."""
    for name, parts in connections.items():
        extra = json.dumps(parts.get("extra", {}))
        ask(f"{address}/api/v2/connections", {**parts, "connection_id": name, "extra": extra}, token)
    pool = {"name": "intacct", "slots": 3, "description": "Tasks that read from Intacct at the same time"}
    ask(f"{address}/api/v2/pools", pool, token)


def make_warehouse(file: Path) -> None:
    """Create a SQLite database with the table that an example reads."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TABLE crm_accounts (account_no, account_name, payment_term, remarks, region)"
        )
        database.executemany("INSERT INTO crm_accounts VALUES (?, ?, ?, ?, ?)", ACCOUNTS)


def bundle_env(folders: Mapping[str, Path]) -> dict[str, str]:
    """Configure the folders of DAGs, which are searched for new files often."""
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {
            "name": name,
            "classpath": local,
            "kwargs": {"path": str(path), "refresh_interval": NEW_FILE_SECONDS},
        }
        for name, path in folders.items()
    ]
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}


def login_env(home: Path) -> dict[str, str]:
    """Configure a login for Airflow's simple auth manager; its password is new at each start."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"admin": secrets.token_urlsafe(9)}))
    passwords.chmod(0o600)
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }


def password(home: Path) -> str:
    """Return the password of the login."""
    return str(json.loads((home / "passwords.json").read_text())["admin"])


def wait_until_up(url: str, child: subprocess.Popen[str], log: Path) -> None:
    """Wait until Airflow answers, or fail if it cannot."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if child.poll() is not None:
            raise ToolError(f"Airflow did not start; see {log}.")
        if answers(url):
            return
        time.sleep(0.5)
    raise ToolError(f"Airflow did not answer within {START_SECONDS} s; see {log}.")


def answers(url: str) -> bool:
    """Return whether a page is there."""
    try:
        with LOOPBACK.open(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def wait_for_dags(address: str, token: str, count: int) -> None:
    """Wait until Airflow's page lists the example DAGs."""
    end = time.monotonic() + START_SECONDS
    while ask(f"{address}/api/v2/dags?limit=1", token=token)["total_entries"] < count:
        if time.monotonic() > end:
            raise ToolError(f"Airflow did not find the example DAGs within {START_SECONDS} s.")
        time.sleep(0.5)


def ask(url: str, body: object = None, token: str | None = None, method: str | None = None) -> Any:
    """Return what Airflow's REST API answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback only
    with LOOPBACK.open(request, timeout=60) as answer:
        return json.load(answer)


def is_free(port: int) -> bool:
    """Return whether nothing listens on a loopback port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as problem:
        sys.exit(f"\nFailed. {problem}")
    except KeyboardInterrupt:
        print("\nStopping ... done.")
