"""A private Redis on loopback, which keeps nothing on the disk, or a reason why there is none."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_airflow import quiet_port
from required import lack

START_SECONDS = 60


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a new Redis and yield its URL, without a database; skip the test, or fail it, when it is not installed.

    :param folder: for its log.
    """
    program = shutil.which("redis-server")
    if program is None:
        lack("REDIS", "no Redis: redis-server is not in the PATH")
    port = quiet_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(
            [program, *options], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not answers(port):
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"Redis did not start:\n{(folder / 'redis.log').read_text()}")
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(60)


def answers(port: int) -> bool:
    """Whether it takes commands."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
