"""Desired records are typed as the model says, exactly; every mistake is named with its place."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.desired.typed_records import convert_records as typed_desired
from intacct_provider.sync.problems import raise_problems

TEXT = {"type": "string", "readOnly": False}
MODEL = {
    "fields": {
        "key": {"type": "string", "readOnly": True},
        "id": {"type": "string", "readOnly": False, "mutable": False},
        "name": TEXT,
        "status": {"type": "string", "enum": ["active", "activeNonPosting", "inactive"]},
        "advanceBillByType": {"type": "string", "enum": [None, "", "days", "months"]},
        "matching": {"type": "string", "enum": ["true", "false", "matched"]},
        "isOnHold": {"type": "boolean"},
        "creditLimit": {"type": "number"},
        "graceDays": {"type": "integer"},
        "discountAmount": {"type": "string", "format": "decimal-precision-2"},
        "totalDue": {"type": "string", "format": "decimal-precision-2", "readOnly": True},
        "startDate": {"type": "string", "format": "date"},
        "reviewedAt": {"type": "string", "format": "date-time"},
        "settings": {"type": "object"},
    },
    "groups": {
        "contacts": {
            "fields": [],
            "groups": {"default": {"fields": {"email1": TEXT, "isTaxable": {"type": "boolean"}}, "refs": []}},
        }
    },
    "refs": {
        "term": {
            "apiObject": "accounts-receivable/term",
            "fields": {"key": TEXT, "id": TEXT, "name": {"type": "string", "readOnly": True}},
        }
    },
    "lists": {
        "groupMembers": {"apiObject": "accounts-receivable/customer"},
        "accountRanges": {
            "fields": {"sortOrder": {"type": "integer"}, "rangeFrom": TEXT},
            "refs": {"group": {"fields": {"id": TEXT}}},
        },
        "filters": {"apiObject": "none"},
    },
}


def coerce(records, model, *, source, from_text, match_on="id"):
    desired = read_desired_records(records, Layout(match_on=match_on), source=source, from_text=from_text)
    made, problems = typed_desired(desired, model, match_on=match_on)
    assert len(made) == len(records)
    if problems:
        raise_problems(source, problems)
    return made


def typed(record: dict, *, from_text: bool = False, match_on: str = "id") -> dict:
    [result] = coerce([record], MODEL, source="customers.csv", from_text=from_text, match_on=match_on)
    return result


def untyped(record: dict, *, from_text: bool = False) -> str:
    with pytest.raises(IntacctArgumentError) as caught:
        coerce([{"id": "C-0"}, {"id": "C-7"} | record], MODEL, source="customers.csv", from_text=from_text)
    message = str(caught.value)
    assert message.startswith("customers.csv: record 2 ('C-7'): ")
    return message


# --- types


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("isOnHold", "TRUE", True),
        ("isOnHold", "false", False),
        ("creditLimit", "1000", 1000),
        ("creditLimit", "0.10", Decimal("0.10")),
        ("creditLimit", "12345678901234567890", Decimal("12345678901234567890")),
        ("graceDays", " -7 ", -7),
        ("discountAmount", "10.50", "10.50"),
        ("matching", "true", "true"),
        ("status", "inactive", "inactive"),
        ("startDate", "2024-02-29", "2024-02-29"),
        ("reviewedAt", "2025-03-16T13:26:56Z", "2025-03-16T13:26:56Z"),
        ("name", "true", "true"),
        ("nsp::REGION", "EU", "EU"),
        ("somethingNew", "1", "1"),
    ],
)
def test_text_is_typed_by_the_model(field, text, value):
    result = typed({"id": "C-1", field: text}, from_text=True)[field]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("field", "given", "value"),
    [
        ("creditLimit", 0.1, Decimal("0.1")),
        ("creditLimit", Decimal("1.10"), Decimal("1.10")),
        ("graceDays", 10.0, 10),
        ("discountAmount", Decimal("1.10"), "1.10"),
        ("discountAmount", 7, "7"),
        ("discountAmount", "", ""),
        ("name", 15, "15"),
        ("status", None, None),
        ("advanceBillByType", "", ""),
        ("startDate", dt.date(2025, 1, 2), "2025-01-02"),
        ("reviewedAt", dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2025-01-02T03:04:05Z"),
        ("isOnHold", True, True),
        ("settings", {"a": 1}, {"a": 1}),
        ("settings", None, None),
    ],
)
def test_values_that_are_typed_already_are_kept_exact(field, given, value):
    result = typed({"id": "C-1", field: given})[field]
    assert result == value
    assert type(result) is type(value)


def test_nested_parts_are_typed_and_dotted_names_nested():
    record = {
        "id": "C-1",
        "contacts.default.isTaxable": "true",
        "term": {"id": "N30"},
        "accountRanges": [{"sortOrder": "0", "group.id": "A"}],
    }
    assert typed(record, from_text=True) == {
        "id": "C-1",
        "contacts": {"default": {"isTaxable": True}},
        "term": {"id": "N30"},
        "accountRanges": [{"sortOrder": 0, "group": {"id": "A"}}],
    }


def test_filter_conditions_are_left_as_they_are():
    filters = [{"$eq": {"term.id": "N30"}}, {"term.id": "asc"}]
    assert typed({"id": "C-1", "filters": filters})["filters"] == filters


def test_clearing_a_reference_or_giving_none_of_its_fields_is_kept():
    assert typed({"id": "C-1", "term": None, "contacts": {}}) == {"id": "C-1", "term": None, "contacts": {}}


def test_the_field_to_match_on_may_be_read_only():
    assert typed({"key": "12", "name": "x"}, match_on="key") == {"key": "12", "name": "x"}


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        (
            {"status": "actve"},
            ["status is 'actve'", "Did you mean 'active'?", "Allowed: active, activeNonPosting, inactive"],
        ),
        ({"status": "x" * 200}, ["status is 'xxx", "…", "Allowed"]),
        (
            {"advanceBillByType": "day"},
            ["advanceBillByType is 'day'", "Did you mean 'days'?", "Allowed: '', days, months"],
        ),
        ({"totalDue": "1.00"}, ["totalDue (value '1.00') is read-only"]),
        ({"key": "5"}, ["key (value '5') is read-only"]),
        ({"href": "/x"}, ["href (value '/x') is read-only"]),
        ({"audit": {"createdBy": "1"}}, ["audit", "is read-only"]),
        ({"term": {"name": "Net 30"}}, ["term.name (value 'Net 30') is read-only"]),
        ({"term": {"id": "a", "href": "/x"}}, ["term.href (value '/x') is read-only"]),
        ({"Status": "active"}, ["Status (value 'active')", "Did you mean 'status'?"]),
        (
            {"contacts.default.emial1": "a"},
            ["contacts.default.emial1 (value 'a')", "Did you mean 'contacts.default.email1'?"],
        ),
        ({"term": "N30"}, ["term is 'N30'", "give term.id or term.key"]),
        ({"contacts": "x"}, ["contacts is 'x'", "group of fields"]),
        ({"groupMembers": "C-1"}, ["groupMembers is 'C-1'", "groupMembers.1.id"]),
        ({"accountRanges": [{"sortOrder": "a"}]}, ["accountRanges.1.sortOrder is 'a'", "whole number"]),
        ({"isOnHold": "true"}, ["isOnHold is 'true'", "true or false"]),
        ({"isOnHold": 1}, ["isOnHold is 1", "true or false"]),
        ({"creditLimit": "1,000.00"}, ["creditLimit is '1,000.00'", "without thousands separators"]),
        ({"creditLimit": float("inf")}, ["creditLimit is inf", "number"]),
        ({"creditLimit": Decimal("1e999999")}, ["creditLimit is 1E+999999", "number"]),
        ({"creditLimit": True}, ["creditLimit is True", "number"]),
        ({"graceDays": "1.5"}, ["graceDays is '1.5'", "whole number"]),
        ({"graceDays": 1.5}, ["graceDays is 1.5", "whole number"]),
        ({"graceDays": Decimal("1e999999")}, ["graceDays is 1E+999999", "whole number"]),
        ({"discountAmount": "ten"}, ["discountAmount is 'ten'", "number"]),
        ({"startDate": "31/12/2025"}, ["startDate is '31/12/2025'", "YYYY-MM-DD"]),
        ({"startDate": "2025-02-30"}, ["startDate is '2025-02-30'", "YYYY-MM-DD"]),
        ({"reviewedAt": "2025-01-01"}, ["reviewedAt is '2025-01-01'", "YYYY-MM-DDThh:mm:ssZ"]),
        ({"name": 1.5}, ["name is 1.5", "must be text"]),
        ({"name": Decimal("15.0")}, ["name is 15.0", "must be text"]),
        ({"name": {"first": "x"}}, ["name is {'first': 'x'}", "must be text"]),
    ],
)
def test_coerce_refusals_name_record_field_value_and_the_nearest(record, parts):
    message = untyped(record)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("word", ["yes", "no", "2", "on"])
def test_other_words_for_booleans_are_refused_in_text_too(word):
    assert f"isOnHold is {word!r}" in untyped({"isOnHold": word}, from_text=True)


def test_custom_fields_pass_however_close_they_are():
    model = MODEL | {"fields": MODEL["fields"] | {"nsp::REGION": TEXT}}
    assert (
        coerce([{"id": "a", "nsp::REGIO": "x"}], model, source="s", from_text=False)[0]["nsp::REGIO"] == "x"
    )


def test_coerce_collects_problems_over_records():
    records = [{"id": f"C-{n}", "status": "gone"} for n in range(12)]
    with pytest.raises(IntacctArgumentError) as caught:
        coerce(records, MODEL, source="customers.csv", from_text=True)
    message = str(caught.value)
    assert message.startswith("customers.csv: 12 problems")
    assert "record 10 ('C-9')" in message
    assert "record 11" not in message
    assert message.endswith("and 2 more")


def test_a_model_with_empty_maps_as_lists_passes_everything():
    model = {"fields": [], "groups": [], "refs": [], "lists": []}
    record = {"id": "C-1", "a": {"b": [1]}}
    assert coerce([record], model, source="s", from_text=False) == [record]


@settings(derandomize=True, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_numbers_keep_every_digit_from_text(number):
    assert str(
        typed({"id": "x", "creditLimit": format(number, "f")}, from_text=True)["creditLimit"]
    ) == format(number, "f")


@settings(derandomize=True, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_numbers_keep_every_digit_in_every_format(number):
    text = f"{number:f}"
    files = {
        "x.json": f'[{{"id": "x", "creditLimit": {text}}}]',
        "x.yaml": f"- id: x\n  creditLimit: {text}\n",
        "x.csv": f"id,creditLimit\nx,{text}\n",
    }
    for name, content in files.items():
        desired = read_desired_file(name, content.encode(), Layout(match_on="id"))
        [record], problems = typed_desired(desired, MODEL, match_on="id")
        assert problems == []
        assert str(record["creditLimit"]) == text
