"""Variants of the sandbox: how they are turned on, and that its answers differ in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_client import RawClient
from sandbox_client import running

from intacct_provider.sandbox import Faults, Sandbox
from intacct_provider.sandbox.__main__ import parse_arguments, start
from intacct_provider.sandbox.faults.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[3]
CUSTOMER = "accounts-receivable/customer"


def test_the_documentation_lists_every_variant():
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = dict(line.strip("| ").split(" | ", 1) for line in text.splitlines() if line.startswith("| `"))
    assert {name: rows.get(f"`{name}`") for name in VARIANTS} == {
        name: one.text for name, one in VARIANTS.items()
    }


def test_an_unknown_variant_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'nulls-left-out'"):
        Sandbox(variant="null-left-out")


@pytest.mark.parametrize(
    "given", [{"variants": ["pages-clamped-at-500"]}, Faults(variants=["pages-clamped-at-500"])]
)
def test_a_variant_brings_its_settings(given):
    faults = Sandbox(faults=given).faults
    assert (faults.max_size, faults.clamp) == (500, True)


def test_the_command_line_takes_several_variants():
    options = parse_arguments(
        ["--port", "0", "--seed", "empty", "--variant", "nulls-left-out, no-total-count"]
    )
    sandbox = start(options)
    try:
        assert sandbox.faults.variants == ["nulls-left-out", "no-total-count"]
        sandbox.seed(CUSTOMER, [{"id": "C1", "name": "One"}])
        query = {"object": CUSTOMER, "fields": ["id", "taxId"]}
        body = RawClient(sandbox)("POST", "/services/core/query", query).json()
        assert body["ia::result"] == [{"id": "C1"}]
        assert "totalCount" not in body["ia::meta"]
    finally:
        sandbox.stop()


def test_another_variant_takes_the_settings_of_the_first_away():
    with running(control=True, variant="pages-clamped-at-500") as sandbox:
        address = sandbox.site + "sandbox/faults"
        answer = (
            RawClient(sandbox).session.patch(address, json={"variants": ["no-web-url"]}, timeout=10).json()
        )
        assert (answer["max_size"], answer["clamp"], answer["variants"]) == (4000, False, ["no-web-url"])
