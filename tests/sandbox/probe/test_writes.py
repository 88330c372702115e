"""The probe with ``--write``: what it finds out, what it asks first, and that it leaves nothing behind."""

from __future__ import annotations

import re

import pytest
from probe_run import run_on_sandbox
from sandbox_client import calls, running, stored

from intacct_provider.probe.assumptions import ASSUMPTIONS

CUSTOMER = "accounts-receivable/customer"
WRITTEN = {one.id for one in ASSUMPTIONS if one.write}


@pytest.fixture(scope="module")
def company():
    """A company with a few customers and what they refer to."""
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture
def probe(company, monkeypatch, tmp_path):
    """Return a function that runs the probe with answers to its two questions."""

    def run(*options, variant="", answers=("SANDBOX", CUSTOMER)):
        company.faults = {"variants": [variant] if variant else []}
        waiting = iter(answers)
        monkeypatch.setattr("builtins.input", lambda _question: next(waiting))
        before = stored(company, CUSTOMER)
        found = run_on_sandbox(monkeypatch, tmp_path, company, "--objects", CUSTOMER, *options)
        assert stored(company, CUSTOMER) == before
        return found

    return run


def test_everything_is_answered_and_deleted(probe):
    found = probe("--write", CUSTOMER)
    assert {found.answers[name]["answer"] for name in WRITTEN} == {"holds"}, found.terminal
    assert found.report["cleanedUp"] is True
    assert "a query finds none of it" in found.terminal
    assert found.answers["audit-history-deletions"]["answer"] == "holds"
    assert "PRB" not in found.text
    assert re.findall(r"/objects/[^/ ]+/[^/ ]+/\d", found.terminal) == []
    assert found.code == 0


@pytest.mark.parametrize(
    ("variant", "contradicted"),
    [
        ("no-idempotency", ["idempotence-supported", "idempotency-batch-replay", "idempotency-replay"]),
        ("null-keeps-values", ["null-clears-field", "null-clears-reference"]),
        ("batch-answers-reversed", ["batch-answer-order"]),
        ("batches-all-or-nothing", ["batch-partial-failure"]),
    ],
)
def test_the_probe_finds_what_a_variant_changes(variant, contradicted, probe):
    found = probe("--write", CUSTOMER, variant=variant)
    assert sorted(found.list("contradicted")) == contradicted


@pytest.mark.parametrize(
    ("variant", "status", "error_id"),
    [
        ("", 400, "REST-1064"),
        ("unknown-fields-rest-1043", 400, "REST-1043"),
        ("invalid-records-422", 422, "REST-1064"),
        ("errors-without-ids", 400, ""),
    ],
)
def test_the_report_says_how_a_record_with_an_unknown_field_is_rejected(variant, status, error_id, probe):
    answer = probe("--write", CUSTOMER, variant=variant).answers["batch-partial-failure"]
    assert (answer["answer"], answer["status"], answer["errorId"]) == ("holds", status, error_id)


@pytest.mark.parametrize("answers", [("SANDBOX", "yes"), ("sandbox", CUSTOMER), ("", "")])
def test_nothing_is_sent_unless_both_answers_match(answers, probe, company):
    before = len(company.requests)
    found = probe("--write", CUSTOMER, answers=answers)
    assert (found.code, len(company.requests)) == (1, before)
    assert "nothing was sent" in found.terminal


def test_without_write_nothing_is_written(probe, company):
    company.faults.variants = []
    before = len(company.requests)
    found = probe()
    methods = {(one.method, one.path) for one in company.requests[before:]}
    assert methods == {
        ("POST", "/oauth2/token"),
        ("POST", "/services/core/query"),
        ("GET", "/services/core/model"),
    }
    assert not WRITTEN & {*found.answers}


def test_what_was_created_is_deleted_when_the_budget_is_spent(probe):
    for limit in (26, 32):
        found = probe("--write", CUSTOMER, "--max-requests", str(limit))
        assert "POST /objects" in found.terminal
        assert found.report["complete"] is False
        assert found.report["cleanedUp"] is True


def test_what_was_created_is_deleted_when_responses_are_lost(probe, company, monkeypatch):
    def lose(sandbox):
        sandbox.fail(kind="after", method="POST", path=f"/objects/{CUSTOMER}", skip=1)

    import probe_run

    run = probe_run.run_probe

    def losing(*args, **how):
        lose(company)
        return run(*args, **how)

    monkeypatch.setattr(probe_run, "run_probe", losing)
    found = probe("--write", CUSTOMER)
    assert found.report["cleanedUp"] is True
    assert calls(company, f"/objects/{CUSTOMER}", "POST")
