"""The page about the client: its examples run as they stand, one after the other, in a plain Python process."""

import re
import subprocess
import sys
from pathlib import Path

from sandbox_client import running, stored

PAGE = Path(__file__).resolve().parents[3] / "docs" / "client.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
CHECKS = """
assert (reference["id"], record["id"]) == ("C-00001",) * 2
assert len(page.rows) == 10
assert page.total_count > 10
assert fields["totalDue"].read_only
[row] = everything
assert len(row) > 50
assert [one.ok for one in done] == [True, True]
assert [one.unprocessed for one in results] == [True, False]
assert client.transactions > 1200
import sys
assert "airflow" not in sys.modules
"""


def test_the_examples_run_in_a_plain_script():
    with running("demo", faults={"job_seconds": 0.1}) as sandbox:
        identity = sandbox.identity
        environment = {
            "INTACCT_CLIENT_ID": identity.client_id,
            "INTACCT_CLIENT_SECRET": identity.client_secret,
            "INTACCT_COMPANY_ID": identity.company,
            "INTACCT_USER_ID": identity.user,
            "INTACCT_URL": sandbox.url,
        }
        done = subprocess.run(
            [sys.executable, "-c", "\n".join([*BLOCKS, CHECKS])],
            env=environment, cwd=PAGE.parents[1], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        lines = done.stdout.splitlines()
        customers = stored(sandbox, "accounts-receivable/customer")
        groups = stored(sandbox, "accounts-receivable/customer-group")
    assert lines[0].startswith("NEW-7: ")
    assert lines[1:3] == ["1 written", "2 written"]
    assert lines[3].startswith("REST-1106 ")
    assert lines[3].endswith("Did you mean 'totalDue'?")
    assert len([id_ for id_ in customers if id_.startswith("NEW-")]) == 1199
    assert "ROE" in customers
    assert "WEST" not in groups
    assert not {"GOOD", "BAD"}.intersection(customers)
