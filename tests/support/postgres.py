"""A private PostgreSQL on loopback, or a reason why there is none.

The cluster lives in a temporary folder and is gone with it. PostgreSQL does not run as root, so root hands it to the
user ``postgres``, which the Debian package makes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from required import lack

USER = "warehouse"
#: Settings for data that may be lost.
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB"


@dataclass(frozen=True)
class Postgres:
    """A running server; each test makes a database of its own.

    :param port: on 127.0.0.1, without a password.
    """

    port: int

    def connect(self, database: str = "postgres"):
        """Return a connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=database, autocommit=True, connect_timeout=10
        )

    def dump(self, database: str) -> str:
        """Return all that a database holds, as text."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, database]
        done = subprocess.run([program("pg_dump"), *where], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def connection(self, database: str, **extra: str) -> str:
        """Return the Airflow connection, as JSON."""
        return json.dumps(
            {
                "conn_type": "postgres",
                "host": "127.0.0.1",
                "port": self.port,
                "login": USER,
                "schema": database,
                "extra": extra,
            }
        )


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(installed[-1]) if installed else shutil.which(name)


@contextmanager
def cluster() -> Iterator[Postgres]:
    """Run a new PostgreSQL; skip the test, or fail it where one is required, when it is not installed."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if initdb is None or pg_ctl is None:
        lack(
            "POSTGRES", "no PostgreSQL: initdb and pg_ctl are neither in the PATH nor in /usr/lib/postgresql"
        )
    try:
        import psycopg  # noqa: F401
    except ImportError:
        lack("POSTGRES", "no PostgreSQL: psycopg is not installed")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="intacct-postgres-") as home:
        if as_user:
            shutil.chown(home, "postgres")
        data = f"{home}/data"

        def run(*command: str) -> None:
            # The log goes to a file: a pipe would stay open for as long as the server runs.
            with Path(home, "setup.log").open("ab") as log:
                done = subprocess.run(
                    [*as_user, *command],
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=120,
                )
            assert done.returncode == 0, Path(home, "setup.log").read_text()

        run(initdb, "-D", data, "-A", "trust", "-U", USER, "-E", "UTF8", "--no-locale", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} {FAST}"
        run(pg_ctl, "-D", data, "-l", f"{home}/server.log", "-o", settings, "-w", "start")
        try:
            yield Postgres(port)
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
