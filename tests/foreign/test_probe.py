"""The probe on a company that is not the sandbox and differs in one behavior: it says which, and nothing more."""

from __future__ import annotations

import pytest
from foreign_company import ACCOUNT_GROUP, COUNTS, CUSTOMER, GROUP, HISTORY, MARKERS, PURPOSE, ForeignCompany
from probe_run import run_probe
from raw_server import SECRET, TOKEN, raw_server

from intacct_provider.probe.objects import DEFAULT_OBJECTS


@pytest.fixture
def probe(monkeypatch, tmp_path):
    """Return a function that runs the probe on a company."""

    def run(*options, **how):
        company = ForeignCompany(**how)
        with raw_server(company.answer) as server:
            found = run_probe(monkeypatch, tmp_path, server.url, *options)
            assert found.report.get("requests") == len(server.requests)
        assert not [one for one in (*MARKERS, "Acme", SECRET, TOKEN) if one in found.text + found.terminal]
        return found

    return run


def test_a_company_as_assumed_contradicts_nothing(probe):
    found = probe()
    assert found.code == 0, found.terminal
    assert found.list("contradicted") == set()
    assert found.list("unknown") == {
        "audit-history-delay", "audit-history-deletions", "id-not-required", "refresh-token-single-use",
    }  # fmt: skip
    assert found.answers["throttle-headers"]["tier"] == 2
    assert found.answers["dead-token-refused"]["place"] == "ia::error"
    assert found.answers["page-size-limit"] | {"calls": 0, "evidence": "", "consequence": ""} == {
        "id": "page-size-limit", "answer": "holds", "evidence": "", "consequence": "", "calls": 0,
        "limit": 4000, "beyond": "refused",
    }  # fmt: skip
    assert found.answers["key-orders-as-number"]["objects"][PURPOSE] == "unknown"
    assert found.report["requests"] <= 40


@pytest.mark.parametrize(
    ("how", "contradicted"),
    [
        ({"text_order": [ACCOUNT_GROUP]}, "key-orders-as-number"),
        ({"text_filter": [GROUP]}, "key-filters-as-number"),
        ({"nulls": False}, "null-members"),
        ({"lenient": True}, "unknown-field-refused"),
        ({"refused": ["strange", "stranger"]}, "model-fields-queryable"),
    ],
)
def test_one_difference_is_one_contradiction(how, contradicted, probe):
    found = probe(**how)
    assert found.list("contradicted") == {contradicted}
    assert found.code == 1
    by_object = found.answers[contradicted].get("objects", {})
    differing = [*how.get("text_order", ()), *how.get("text_filter", ())]
    assert [name for name, answer in by_object.items() if answer == "contradicted"] == (
        differing or [*by_object]
    )


def test_without_throttle_headers_the_tier_is_unknown(probe):
    answer = probe(headers={}).answers["throttle-headers"]
    assert (answer["answer"], answer["tier"]) == ("unknown", None)


def test_errors_without_ids_are_recognized_all_the_same(probe):
    found = probe(ids=False)
    assert found.list("contradicted") >= {"gateway-errors-have-ids", "errors-have-ids"}
    assert found.answers["dead-token-refused"]["answer"] == "holds"
    assert found.answers["unknown-field-refused"]["answer"] == "holds"


@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        ({"id": {"required": True}}, "contradicted"),
        ({"id": {"readOnly": True}}, "holds"),
        ({"name": {"required": True}}, "holds"),
        ({"name": {"required": False}}, "unknown"),
    ],
)
def test_whether_a_record_needs_an_id_is_read_from_the_model(flags, answer, probe):
    found = probe("--objects", CUSTOMER, flags=flags)
    assert found.answers["id-not-required"]["answer"] == answer
    assert found.code == (answer == "contradicted")


@pytest.mark.parametrize("size_said", [True, False])
@pytest.mark.parametrize(
    ("how", "limit", "beyond"),
    [
        ({"clamp": 1000}, 1000, "clamped"),
        ({"clamp": 700}, 500, "clamped"),
        ({"refuse": 2500}, 2000, "refused"),
        ({"refuse": 500}, 500, "refused"),
    ],
)
def test_the_largest_page_is_found(how, limit, beyond, size_said, probe):
    found = probe("--objects", CUSTOMER, counts={CUSTOMER: 2600}, size_said=size_said, **how)
    answer = found.answers["page-size-limit"]
    assert (answer["answer"], answer["limit"], answer["beyond"]) == ("contradicted", limit, beyond)


def test_with_too_few_records_and_no_page_size_the_limit_is_unknown(probe):
    answer = probe(size_said=False).answers["page-size-limit"]
    assert (answer["answer"], answer["limit"], answer["beyond"]) == ("unknown", None, "refused")


@pytest.mark.parametrize("how", [{}, {"text_order": DEFAULT_OBJECTS}])
@pytest.mark.parametrize(("first_key", "count"), [(1, 9), (100, 60), (1000, 150), (1, 0)])
def test_keys_that_cannot_show_it_leave_the_order_unknown(how, first_key, count, probe):
    counts = dict.fromkeys(COUNTS, count)
    found = probe("--max-requests", "13", counts=counts, first_key=first_key, **how)
    objects = {**found.answers["key-orders-as-number"]["objects"]}
    objects.pop(CUSTOMER)  # the private one has a longer key
    assert set(objects.values()) == {"unknown"}


@pytest.mark.parametrize(("text_order", "answer"), [((), "holds"), ((CUSTOMER,), "contradicted")])
def test_the_first_and_the_last_page_together_show_the_order(text_order, answer, probe):
    found = probe("--objects", CUSTOMER, counts={CUSTOMER: 400}, first_key=9800, text_order=text_order)
    assert found.answers["key-orders-as-number"]["answer"] == answer


def test_one_record_shows_how_keys_are_filtered(probe):
    for text_filter, answer in ((), "holds"), ([PURPOSE], "contradicted"):
        found = probe(
            "--objects", PURPOSE, counts={CUSTOMER: 0, PURPOSE: 1}, first_key=7, text_filter=text_filter
        )
        assert found.answers["key-filters-as-number"]["answer"] == answer


def test_an_object_that_answers_404_is_skipped(probe):
    found = probe(missing=[PURPOSE])
    assert found.code == 0
    assert found.answers["key-orders-as-number"]["objects"][PURPOSE] == "skipped"
    assert "404" in found.answers["key-orders-as-number"]["evidence"]


def test_without_any_object_everything_about_records_is_unknown(probe):
    found = probe(missing=[*DEFAULT_OBJECTS, HISTORY])
    assert found.list("holds") == {
        "grant-works",
        "dead-token-refused",
        "gateway-errors-have-ids",
        "throttle-headers",
    }
    assert found.code == 0


def test_refused_fields_are_named(probe):
    found = probe(refused=["strange", "nsp::ZZ_MARK"])
    assert "refuses strange, 1 custom field;" in found.answers["model-fields-queryable"]["evidence"]
    assert "ZZ_MARK" not in found.text + found.terminal
