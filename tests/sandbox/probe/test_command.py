"""The command: its budget, its connection, and what it says when a company cannot be reached."""

from __future__ import annotations

import pytest
from probe_run import run_on_sandbox
from sandbox_client import running

from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.probe import __main__ as command
from intacct_provider.probe.__main__ import main

CUSTOMER = "accounts-receivable/customer"


@pytest.fixture(scope="module")
def company():
    """The demo company."""
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(command, "_RETRY", RetryPolicy(attempts=3, base=0.001, budget=10))


@pytest.fixture
def probe(company, monkeypatch, tmp_path):
    """Return a function that runs the probe and counts the requests that the company gets."""

    def run(*options, **fault):
        company.clear_faults()
        if fault:
            company.fail(**fault)
        before = len(company.requests)
        found = run_on_sandbox(monkeypatch, tmp_path, company, *options)
        assert found.report["requests"] == len(company.requests) - before
        return found

    return run


@pytest.mark.parametrize("limit", [1, 2, 7, 20])
def test_no_request_is_sent_beyond_the_budget(limit, probe):
    found = probe("--max-requests", str(limit))
    assert (found.report["requests"], found.report["complete"], found.code) == (limit, False, 0)
    assert found.answers["audit-history-deletions"]["evidence"].startswith("the budget")
    assert found.terminal.count(f"/{limit} ") == limit


def test_retries_and_further_tokens_count(probe):
    options = ("--objects", "general-ledger/account-group-purpose")
    quiet = probe(*options).report["requests"]
    assert probe(*options, status=503, path="/services/core/query", times=2).report["requests"] == quiet + 2
    assert probe(*options, kind="expire", path="/services/core/model").report["requests"] == quiet + 2


def test_a_service_that_fails_leaves_its_answers_unknown(probe):
    found = probe(status=500, path="/services/core/model", times=0)
    assert found.list("contradicted") == set()
    assert found.answers["web-url"]["answer"] == "unknown"
    assert found.answers["key-orders-as-number"]["answer"] == "holds"


def test_an_object_that_the_user_may_not_see_is_unknown(probe, company):
    company.faults.denied = [CUSTOMER]
    try:
        found = probe()
    finally:
        company.faults.denied = []
    assert found.list("contradicted") == set()
    assert found.answers["key-orders-as-number"]["objects"][CUSTOMER] == "unknown"
    assert "403" in found.answers["key-orders-as-number"]["evidence"]


def test_a_company_that_cannot_be_reached_is_an_error(company, monkeypatch, tmp_path):
    found = run_on_sandbox(monkeypatch, tmp_path, company, "--user-id", "nobody")
    assert (found.code, found.text) == (1, "")
    assert "intacct probe:" in found.terminal


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--conn-id", "x", "--max-requests", "0"],
        ["--conn-id", "x", "--objects", "customer"],
        ["--conn-id", "x", "--write", "customer"],
        ["--conn-id", "x", "--host", "https://example.com"],
    ],
)
def test_invalid_options_end_with_2(options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
