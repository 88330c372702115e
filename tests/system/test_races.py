"""The short form of ``make races``: processes that export to one destination at once, while a reader looks."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    "options", [[], ["--s3"], ["--pause"]], ids=lambda options: " ".join(options) or "disk"
)
def test_a_reader_finds_a_matching_pair_or_no_manifest(options):
    command = [sys.executable, str(ROOT / "tools" / "races.py"), "--races", "20", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert "20 races in" in done.stdout
    assert ": 0 wrong" in done.stdout
