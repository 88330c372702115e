"""The probe on each variant of the sandbox: it distinguishes them all, within its budget, and repeats no record."""

from __future__ import annotations

import pytest
from probe_run import run_on_sandbox
from sandbox_client import running

from intacct_provider.sandbox.faults.variants import VARIANTS

CUSTOMER = "accounts-receivable/customer"
#: A value of each kind that only records of the company have.
MARKERS = ("Quetzal Marker", "QZ-MARK-1", "7654321.98")
#: What each variant contradicts. Those that need writes are in test_writes.py.
CONTRADICTED = {
    "keys-order-as-text": {"key-orders-as-number"},
    "keys-filter-as-text": {"key-filters-as-number"},
    "key-filter-refused": {"key-filters-as-number"},
    "pages-clamped-at-500": {"page-size-limit"},
    "pages-clamped-at-1000": {"page-size-limit"},
    "pages-clamped-at-4000": set(),
    "pages-refused-above-500": {"page-size-limit"},
    "pages-refused-above-2000": {"page-size-limit"},
    "no-total-count": {"total-count"},
    "nulls-left-out": {"null-members"},
    "nested-related-fields": {"related-fields-dotted"},
    "unknown-fields-ignored": {"unknown-field-refused"},
    "errors-without-ids": {"errors-have-ids", "gateway-errors-have-ids"},
    "customer-ids-required": {"id-not-required"},
    "text-ignores-case": {"case-sensitive"},
    "no-aggregates": {"aggregates"},
    "no-date-macros": {"date-macros"},
    "no-include-private": {"include-private"},
    "other-entity-header": {"entity-header"},
    "no-throttle-headers": set(),
    "no-idempotency": {"idempotence-supported"},
    "no-web-url": set(),
    "no-audit-history": {"audit-history-deletions"},
}
#: The largest page and what larger ones come to.
PAGES = {
    "": (4000, "refused"),
    "pages-clamped-at-500": (500, "clamped"),
    "pages-clamped-at-1000": (1000, "clamped"),
    "pages-clamped-at-4000": (4000, "clamped"),
    "pages-refused-above-500": (500, "refused"),
    "pages-refused-above-2000": (2000, "refused"),
}


@pytest.fixture(scope="module")
def company():
    """The demo company with a record of markers."""
    with running("demo") as sandbox:
        sandbox.seed(CUSTOMER, [{"id": "QZ-MARK-1", "name": "Quetzal Marker", "creditLimit": 7654321.98}])
        yield sandbox


@pytest.fixture
def probe(company, monkeypatch, tmp_path):
    """Return a function that runs the probe on a variant of the company."""

    def run(variant="", *options):
        company.faults = {"variants": [variant] if variant else []}
        before = len(company.requests)
        found = run_on_sandbox(monkeypatch, tmp_path, company, *options)
        assert found.report["requests"] == len(company.requests) - before <= 40
        assert [one for one in (*MARKERS, "SANDBOX", "airflow", "sandbox-client") if one in found.text] == []
        assert [one for one in MARKERS if one in found.terminal] == []
        return found

    return run


def test_the_sandbox_contradicts_nothing_by_default(probe):
    found = probe()
    assert found.list("contradicted") == set()
    assert found.list("unknown") <= {
        "audit-history-deletions",
        "audit-history-delay",
        "id-not-required",
        "refresh-token-single-use",
    }
    assert found.answers["throttle-headers"]["tier"] == 1
    assert found.code == 0


@pytest.mark.parametrize("variant", CONTRADICTED)
def test_the_probe_finds_what_a_variant_changes(variant, probe):
    found = probe(variant)
    assert found.list("contradicted") == CONTRADICTED[variant]
    assert found.code == bool(CONTRADICTED[variant])
    limit = found.answers["page-size-limit"]
    assert (limit["limit"], limit["beyond"]) == PAGES.get(variant, PAGES[""])
    # Nothing depends on these two, so they contradict nothing.
    assert found.answers["web-url"]["present"] is (variant != "no-web-url")
    assert (found.answers["throttle-headers"]["tier"] is None) is (variant == "no-throttle-headers")


def test_every_variant_is_asked():
    with_writes = {
        *("null-keeps-values", "batch-answers-reversed", "batches-all-or-nothing"),
        *("unknown-fields-rest-1043", "invalid-records-422"),
    }
    # The provider reads errors in each form, and always names fields.
    without_effect = {"gateway-ia-errors", "details-with-corrections", "queries-without-fields"}
    assert {*CONTRADICTED, *with_writes, *without_effect} == {*VARIANTS}


def test_more_than_twelve_variants_have_different_answers():
    outcomes = {(*sorted(ids), *PAGES.get(name, PAGES[""])) for name, ids in CONTRADICTED.items()}
    assert len(outcomes) > 12
