"""Which values of filters the model of an object rules out."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.client.model import find_reference, read_fields
from intacct_provider.client.query import Query, field
from intacct_provider.client.query.periods import PERIODS
from intacct_provider.client.query.values import (
    has_values_to_check,
    list_doubtful_values,
    rows_prove_values,
)

CUSTOMER = "accounts-receivable/customer"
MODEL = {
    "fields": {
        "key": {"type": "string"},
        "memo": {"type": "string"},
        "status": {"type": "string", "enum": ["active", "activeNonPosting", "inactive", None]},
        "match": {"type": "string", "enum": ["true", "false", "matched"]},
        "level": {"type": "integer", "enum": [1, 2, 3]},
        "days": {"type": "integer"},
        "limit": {"type": "number"},
        "due": {"type": "string", "format": "decimal-precision-2"},
        "hold": {"type": "boolean", "enum": [True, False]},
        "on": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
    },
    "groups": {"g": {"refs": {"ref": {"apiObject": "objects/a/b", "fields": {}}}}},
    "refs": {"owner": {"fields": {"x": {}}, "refs": {"boss": {"apiObject": "c/d"}}}},
}
FIELDS = read_fields(MODEL)


def doubts(filters, **parameters):
    query = Query.build(CUSTOMER, ["key"], filters=filters, filter_parameters=parameters)
    return list(list_doubtful_values(query, FIELDS.get))


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("status", "Active", "'active'"),
        ("status", "inactive ", "'inactive'"),
        ("status", "Active (non-posting)", "'activeNonPosting'"),
        ("match", True, "'true'"),
        ("level", 4, ""),
        ("days", "30 ", "'30'"),
        ("days", 1.5, ""),
        ("days", "1,000", "'1000'"),
        ("limit", "1 000", ""),
        ("limit", True, ""),
        ("limit", "1_000", ""),
        ("due", "12.50 EUR", ""),
        ("due", "", ""),
        ("hold", "True", "True"),
        ("hold", " no", "False"),
        ("hold", "maybe", ""),
        ("on", "2025-06-31", "'2025-06-30'"),
        ("on", dt.datetime(2025, 6, 30, 23, tzinfo=dt.UTC), "'2025-06-30'"),
        ("on", "priormonth", "'priorMonth'"),
        ("on", 20250630, "'2025-06-30'"),
        ("on", "2025-00-31", "'2025-01-31'"),
        ("on", "6/30/2025", "'2025-06-30'"),
        ("on", "6/5/2025", ""),
        ("at", "2026-02-30T25:00:00Z", ""),
        ("at", "2025-06-30T25:00:00Z", ""),
        ("at", "Today", "'today'"),
        ("at", "30.06.2025", "'2025-06-30'"),
        ("at", "2025-06-31T10:00:00Z", "'2025-06-30T10:00:00Z'"),
        ("memo", False, "'false'"),
        ("key", "C-1", "the field 'id'"),
    ],
)
def test_a_value_of_another_kind_is_doubtful_with_what_is_probably_meant(name, value, advice):
    for filters in (field(name) == value, field(name) != value, field(name).not_in([value])):
        [doubt] = doubts(filters)
        assert (doubt.name, doubt.advice) == (name, f" Did you mean {advice}?" if advice else "")
        assert list(doubt.lookup) == ["$eq"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("on", period) for period in PERIODS),
        *(("at", period) for period in PERIODS),
        ("at", dt.date(2025, 6, 30)),
        ("at", "2025-06-30T12:00:00.123+02:00"),
        ("on", dt.date(2025, 6, 30)),
        ("hold", "false"),
        ("hold", True),
        ("level", "2"),
        ("days", "7.0"),
        ("days", -7),
        ("due", Decimal("0.10")),
        ("due", "1e3"),
        ("status", "active"),
        ("status", None),
        ("match", "true"),
        ("memo", " anything"),
        ("memo", 7),
        ("nsp::CUSTOM", "unknown to the model"),
    ],
)
def test_a_value_that_fits_is_not_doubtful(name, value):
    assert doubts(field(name) == value) == doubts(field(name) != value) == []


def test_order_and_parts_of_text_are_checked_by_what_they_can_match():
    assert (
        doubts((field("status") > "Active") & (field("days") < 1.5) & field("status").endswith("Posting"))
        == []
    )
    assert [one.lookup for one in doubts(field("on") < "2025-06-30T00:00:00Z")] == [
        {"$lt": {"on": "2025-06-30T00:00:00Z"}}
    ]
    assert [one.lookup for one in doubts(field("at").between("2025-01-01", "now"))] == [
        {"$eq": {"at": "now"}}
    ]
    assert [one.lookup for one in doubts(field("status").not_startswith("Act"))] == [
        {"$startsWith": {"status": "Act"}}
    ]
    assert [one.lookup for one in doubts(field("limit").contains("5"))] == [{"$contains": {"limit": "5"}}]


@given(st.text(max_size=12), st.sampled_from([True, False, "false", "True"]))
def test_an_enumeration_is_compared_as_the_query_compares_text(value, sensitive):
    folded = sensitive in (False, "false")
    values = ["active", "activeNonPosting", "inactive"]
    known = value.casefold() in [one.casefold() for one in values] if folded else value in values
    found = doubts(field("status").in_(["active", value]), caseSensitiveComparison=sensitive)
    assert [one.value for one in found] == ([] if known else [value])


@given(
    st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False), st.dates(), st.datetimes())
)
def test_numbers_dates_and_times_of_python_fit_their_fields(value):
    name = "on" if type(value) is dt.date else "at" if isinstance(value, dt.datetime) else "due"
    if getattr(value, "year", 1000) < 1000:
        return  # strftime does not fill such years with zeros
    assert doubts((field(name) == value) | field(name).between(value, value)) == []


@pytest.mark.parametrize(
    ("filters", "proven"),
    [
        (field("status") == "x", True),
        ((field("status") == "x") & field("memo").contains("y") & (field("due") > "5"), True),
        (field("status").in_(["x"]), True),
        (field("status").in_(["x", "y"]), False),
        (field("status") != "x", False),
        ((field("status") == "x") | (field("memo") == "y"), False),
        (field("at") > "Yesterday", False),
        (field("at") > "yesterday", True),
        (field("at") > "2025-01-01", True),
        (field("at").between("2025-01-01", "2025-02-01T00:00:00Z"), True),
    ],
    ids=str,
)
def test_a_row_proves_what_it_cannot_be_without(filters, proven):
    assert rows_prove_values(Query.build(CUSTOMER, ["key"], filters=filters)) is proven
    assert not rows_prove_values(Query.build(CUSTOMER, ["count:key"], filters=filters))


def test_keys_ids_and_names_need_no_model():
    free = (
        (field("key").in_(["1", 2]))
        & (field("owner.id") == "x")
        & (field("name") != "y")
        & field("a").is_null()
    )
    assert not has_values_to_check(Query.build(CUSTOMER, ["key"], filters=free))
    assert has_values_to_check(Query.build(CUSTOMER, ["key"], filters=free & (field("key") != "C-1")))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("g.ref.status", ("a/b", "status")),
        ("g.ref.x.y", ("a/b", "x.y")),
        ("owner.boss.status", ("c/d", "status")),
        ("owner.status", None),
        ("status", None),
        ("nothing.at.all", None),
    ],
)
def test_a_name_leads_through_groups_and_references_to_another_object(name, found):
    assert find_reference(MODEL, name) == found
