"""Variants of the sandbox: how they are turned on, and that its answers differ in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_client import RawClient, error_of
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


def write(sandbox, record):
    return RawClient(sandbox)("POST", f"/objects/{CUSTOMER}", record)


def test_the_gateway_reports_its_errors_in_either_member():
    with running(variant="gateway-ia-errors") as sandbox:
        call = RawClient(sandbox)
        sandbox.faults.denied = [CUSTOMER]
        sandbox.fail(status=429, path="/objects")
        limited = call("GET", f"/objects/{CUSTOMER}").json()
        denied = call("POST", "/services/core/query", {"object": CUSTOMER, "fields": ["id"]}).json()
        sandbox.expire_tokens()
        expired = call("GET", f"/objects/{CUSTOMER}").json()
    assert [body["ia::error"]["code"] for body in (limited, denied, expired)] == [
        "GW-0010",
        "GW-0042",
        "GW-0040",
    ]
    assert not any("error" in body for body in (limited, denied, expired))


def test_an_unknown_field_is_reported_by_its_id():
    with running(variant="unknown-fields-rest-1043") as sandbox:
        answer = write(sandbox, {"id": "C1", "name": "One", "colour": 1})
    [detail] = error_of(answer)["details"]
    assert (detail["errorId"], detail["target"]) == ("REST-1043", "/colour")
    assert detail["additionalInfo"]["placeholders"] == {"FIELD": "/colour"}


def test_invalid_records_have_the_status_422():
    with running(variant="invalid-records-422") as sandbox:
        one = write(sandbox, {"id": "C1"})
        mixed = write(sandbox, [{"id": "C1", "name": "One"}, {"id": "C2"}])
        failed = write(sandbox, [{"id": "C2"}, {"id": "C3"}])
        broken = RawClient(sandbox)("POST", f"/objects/{CUSTOMER}", data=b"{")
    assert (one.status_code, mixed.status_code, failed.status_code, broken.status_code) == (
        422,
        207,
        422,
        400,
    )
    assert [element["ia::status"] for element in mixed.json()["ia::result"]] == [201, 422]


def test_corrections_are_apart_from_what_is_wrong():
    with running(variant="details-with-corrections") as sandbox:
        answer = write(sandbox, {"id": "C1", "name": "One", "status": "asleep"})
    [detail] = error_of(answer)["details"]
    assert (detail["code"], detail["message"]) == ("invalidParameter", "Not a valid status")
    assert detail["correction"].startswith('/status must be one of "active"')


def test_a_query_without_fields_has_references():
    query = {"object": CUSTOMER}
    with running(variant="queries-without-fields") as sandbox:
        write(sandbox, {"id": "C1", "name": "One"})
        found = RawClient(sandbox)("POST", "/services/core/query", query).json()["ia::result"]
        empty = RawClient(sandbox)("POST", "/services/core/query", query | {"fields": []}).status_code
    assert [{name: row[name] for name in ("key", "id", "href")} for row in found] == [
        {"key": "1", "id": "C1", "href": f"/objects/{CUSTOMER}/1"}
    ]
    assert empty == 400


def test_customers_need_ids():
    with running(variant="customer-ids-required") as sandbox:
        answers = [write(sandbox, one).status_code for one in ({"name": "One"}, {"id": "C1", "name": "One"})]
        model = RawClient(sandbox)("GET", f"/services/core/model?name={CUSTOMER}").json()["ia::result"]
    assert answers == [400, 201]
    assert model["fields"]["id"]["required"] is True
