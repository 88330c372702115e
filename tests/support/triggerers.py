"""Triggerers of a real Airflow that a test starts, and kills at once as the machine would."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

#: The next triggerer takes over the triggers of one that was killed after a few seconds instead of 30.
QUICK = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
}


class Triggerer:
    """One triggerer, with the process that runs its triggers.

    :param airflow: whose triggers it runs.
    """

    def __init__(self, airflow):
        with (airflow.logs / "triggerer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=airflow._env() | QUICK,
                start_new_session=True,
            )

    def kill(self):
        """End it at once, with ``kill -9``."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)


@contextmanager
def triggerer(airflow):
    """Run a triggerer until the end of the block."""
    one = Triggerer(airflow)
    try:
        yield one
    finally:
        one.kill()
