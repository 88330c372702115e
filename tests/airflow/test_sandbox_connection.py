"""What the sandbox's command line prints is pasted into a terminal: Airflow must understand all three forms."""

import json
import os
import shlex
import subprocess
import sys
import time

import pytest

from intacct_provider.hooks.intacct import IntacctHook


@pytest.fixture(scope="module")
def printed():
    """Run the command as a user does; return the lines that follow its first."""
    began = time.monotonic()
    command = [sys.executable, "-m", "intacct_provider.sandbox", "--port", "0", "--seed", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline()]
        print(f"ready after {time.monotonic() - began:.2f} s")
        while not lines[-1].startswith("Stop"):
            lines.append(process.stdout.readline())
        try:
            yield [line.strip() for line in lines]
        finally:
            process.terminate()


@pytest.mark.parametrize("form", ["{", "intacct://"])
def test_the_exported_connection_works_as_pasted(printed, form, monkeypatch):
    [line] = [line for line in printed if line.startswith(f"export AIRFLOW_CONN_INTACCT_DEFAULT='{form}")]
    [_, assignment] = shlex.split(line)
    monkeypatch.setenv(*assignment.split("=", 1))
    assert IntacctHook().test_connection()[0] is True


@pytest.mark.slow
def test_the_connection_command_works_as_pasted(printed, tmp_path):
    [line] = [line for line in printed if line.startswith("airflow connections add")]
    airflow = [sys.executable, "-m", "airflow"]
    home = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    subprocess.run([*airflow, "db", "migrate"], env=home, check=True, capture_output=True)
    subprocess.run([*airflow, *shlex.split(line)[1:]], env=home, check=True, capture_output=True)
    export = [*airflow, "connections", "export", "-", "--file-format", "json"]
    answer = subprocess.run(export, env=home, check=True, capture_output=True, text=True).stdout
    stored = json.loads(answer[answer.index("{") :])["intacct_default"]
    [exported] = [line for line in printed if "='{" in line]
    expected = json.loads(shlex.split(exported)[1].split("=", 1)[1])
    extra = stored["extra"]
    assert {name: stored[name] for name in ("conn_type", "host", "login", "password")} == {
        name: expected[name] for name in ("conn_type", "host", "login", "password")
    }
    assert (json.loads(extra) if isinstance(extra, str) else extra) == expected["extra"]
