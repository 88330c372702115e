"""The command that captures a company, run in this process."""

import os
from pathlib import Path
from unittest import mock

from intacct_provider.capture.__main__ import main

SECRET = "INTACCT_SECRET_OF_A_TEST"


def run_capture(sandbox, path, *options, objects="*", command=main):
    """Capture a sandbox into a file; return the exit code."""
    identity = sandbox.identity
    application = ("--client-id", identity.client_id, "--client-secret-env", SECRET, "--host", sandbox.url)
    user = ("--company-id", identity.company, "--user-id", identity.user)
    with mock.patch.dict(os.environ, {SECRET: identity.client_secret}):
        return command([*application, *user, "--objects", objects, "--out", str(path), *options])


def capture(sandbox, path: Path, *options, objects="*") -> Path:
    """Capture a sandbox into a file, and return its path."""
    assert run_capture(sandbox, path, *options, objects=objects) == 0
    return path
