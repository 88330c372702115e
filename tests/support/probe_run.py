"""Runs the probe as a command and returns what it says."""

import contextlib
import io
import json

from raw_server import SECRET

from intacct_provider.client.http import auth
from intacct_provider.probe.__main__ import main


class Run:
    """One run.

    :ivar code: exit code.
    :ivar terminal: everything that was printed.
    :ivar text: the report as it was written; empty without one.
    :ivar answers: the report's assumptions by id.
    """

    def __init__(self, code, terminal, text):
        self.code, self.terminal, self.text = code, terminal, text
        self.report = json.loads(text) if text else {}
        self.answers = {one["id"]: one for one in self.report.get("assumptions", ())}

    def list(self, answer):
        """Return the ids of the assumptions with an answer."""
        return {name for name, one in self.answers.items() if one["answer"] == answer}


def run_probe(monkeypatch, folder, url, *options, client_id="app", secret=SECRET, company="Acme", user="ws"):
    """Run the probe on a company, without Airflow."""
    auth.forget_tokens()
    monkeypatch.setenv("INTACCT_CLIENT_SECRET", secret)
    report = folder / "probe.json"
    report.unlink(missing_ok=True)
    source = ["--client-id", client_id, "--host", url, "--company-id", company, "--user-id", user]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main([*source, "--report", str(report), *options])
    return Run(code, printed.getvalue(), report.read_text(encoding="utf-8") if report.exists() else "")


def run_on_sandbox(monkeypatch, folder, sandbox, *options):
    """Run the probe on a sandbox."""
    one = sandbox.identity
    known = {
        "client_id": one.client_id,
        "secret": one.client_secret,
        "company": one.company,
        "user": one.user,
    }
    return run_probe(monkeypatch, folder, sandbox.url, *options, **known)
