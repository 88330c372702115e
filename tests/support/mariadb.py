"""A private MariaDB on loopback, or a reason why there is none.

Its data lives in a temporary folder and is gone with it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from required import lack

USER = "warehouse"
#: Settings for data that may be lost, and a server as contrary as users have them: not strict, not UTF-8, MyISAM
#: unless a table says otherwise, far from UTC.
SETTINGS = (
    "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--performance-schema=off",
    "--skip-name-resolve", "--sql-mode=", "--character-set-server=latin1", "--default-storage-engine=MyISAM",
    "--default-time-zone=+09:00",
)  # fmt: skip


@dataclass(frozen=True)
class MariaDb:
    """A running server; each test makes a database of its own.

    :param port: on 127.0.0.1, without a password.
    """

    port: int

    def connect(self, database: str = ""):
        """Return a connection that commits each statement and takes names in double quotes."""
        import MySQLdb

        conn = MySQLdb.connect(host="127.0.0.1", port=self.port, user=USER, db=database, charset="utf8mb4")
        conn.autocommit(True)
        conn.cursor().execute(
            "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+00:00', default_storage_engine = 'InnoDB'"
        )
        return conn

    def connection(self, database: str, **extra: str) -> str:
        """Return the Airflow connection, as JSON."""
        given = {
            "conn_type": "mysql",
            "host": "127.0.0.1",
            "port": self.port,
            "login": USER,
            "schema": database,
        }
        return json.dumps(given | {"extra": extra})


@contextmanager
def mariadb() -> Iterator[MariaDb]:
    """Run a new MariaDB; skip the test, or fail it where one is required, when it is not installed."""
    install, server = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if install is None or server is None:
        lack("MARIADB", "no MariaDB: mariadb-install-db and mariadbd are not in the PATH")
    try:
        import MySQLdb  # noqa: F401
        from airflow.providers.mysql.hooks.mysql import MySqlHook  # noqa: F401
    except ImportError:
        lack(
            "MARIADB",
            "no MariaDB: apache-airflow-providers-mysql is not installed; "
            "it needs libmariadb-dev and a C compiler",
        )
    with tempfile.TemporaryDirectory(prefix="intacct-mariadb-") as home:
        # A server that starts removes all temporary tables of its folder, those of another one that runs there, too.
        own_tmp = {**os.environ, "TMPDIR": home}
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        setup = [
            install, "--no-defaults", f"--datadir={home}/data", *as_root, "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]  # fmt: skip
        with Path(home, "setup.log").open("wb") as log:
            done = subprocess.run(
                setup, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120, env=own_tmp
            )
        assert done.returncode == 0, Path(home, "setup.log").read_text()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        init = Path(home, "init.sql")
        init.write_text(f"CREATE USER {USER}@'127.0.0.1';\nGRANT ALL ON *.* TO {USER}@'127.0.0.1';\n")
        command = [
            server, "--no-defaults", f"--datadir={home}/data", *as_root, "--bind-address=127.0.0.1",
            f"--port={port}", f"--socket={home}/socket", f"--init-file={init}", *SETTINGS,
        ]  # fmt: skip
        with (
            Path(home, "log").open("wb") as log,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=own_tmp
            ) as process,
        ):
            try:
                running = MariaDb(port)
                _wait(running, process, Path(home, "log"))
                yield running
            finally:
                process.kill()


def _wait(server: MariaDb, process: subprocess.Popen, log: Path) -> None:
    """Wait until a server takes connections."""
    import MySQLdb

    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.connect().close()
            return
        except MySQLdb.OperationalError:
            time.sleep(0.05)
    pytest.fail(log.read_text())
