"""Run Airflow with the sandbox and the example DAGs, to try in a browser."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from company import HOME, ToolError, airflow, airflow_env, exit_on_signals, fresh_home, process, sandbox

START_SECONDS = 120


def main() -> None:
    """Start everything, print the addresses, and stop everything on a signal."""
    fresh_home()
    with ExitStack() as running:
        url, connection = running.enter_context(sandbox())
        address, child = running.enter_context(standalone(connection, login_env()))
        print(f"\n  Airflow   {address}   login admin / {password()}")
        print(f"  Intacct   {url}   (connection intacct_default)")
        print("\nCtrl-C ends both.", flush=True)
        if child.wait():
            raise ToolError(f"Airflow ended by itself; see {HOME / 'logs' / 'airflow.log'}.")


@contextmanager
def standalone(connection: str, login: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run Airflow with a connection to the sandbox; yield its address and its process once it answers."""
    port, worker_logs, trigger_logs = free_ports(3)
    env = airflow_env() | login | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        # Else a trigger that fires before its worker has reported the deferral loses its task.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }  # fmt: skip
    log = HOME / "logs" / "airflow.log"
    print("Starting Airflow (about half a minute) ...", flush=True)
    store_connection(connection, env)
    with process(airflow("standalone"), log, env, output=log.with_suffix(".out")) as child:
        wait_until_up(f"http://127.0.0.1:{port}/api/v2/monitor/health", child)
        yield f"http://127.0.0.1:{port}", child


def store_connection(connection: str, env: dict[str, str]) -> None:
    """Store the connection in the database, because Airflow's pages do not show those in environment variables."""
    parts = json.loads(connection)
    # The Test button of Airflow 3.3.2 refuses a connection saved without a port.
    parts["port"] = urllib.parse.urlsplit(parts["host"]).port
    file = HOME / "connections.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"intacct_default": parts}))
    for arguments in (
        ("db", "migrate"),
        ("connections", "import", str(file)),
        ("pools", "set", "intacct", "3", "Tasks that read from Intacct at the same time"),
    ):
        log = HOME / "logs" / f"{arguments[0]}.log"
        with process(airflow(*arguments), log, env, output=log.with_suffix(".out")) as child:
            if child.wait():
                raise ToolError(f"airflow {' '.join(arguments[:2])} failed; see {log}.")
    file.unlink()


def login_env() -> dict[str, str]:
    """Configure a login for Airflow's simple auth manager; its password is new at each start."""
    passwords = HOME / "passwords.json"
    passwords.write_text(json.dumps({"admin": secrets.token_urlsafe(9)}))
    passwords.chmod(0o600)
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }


def password() -> str:
    """Return the password of the login."""
    return str(json.loads((HOME / "passwords.json").read_text())["admin"])


def wait_until_up(url: str, child: object) -> None:
    """Wait until Airflow answers, or fail if it cannot."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if child.poll() is not None:  # type: ignore[attr-defined]
            raise ToolError(f"Airflow did not start; see {HOME / 'logs' / 'airflow.log'}.")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise ToolError(f"Airflow did not answer within {START_SECONDS} s; see {HOME / 'logs'}.")


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
