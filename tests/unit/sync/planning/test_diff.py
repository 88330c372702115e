"""What counts as a difference, and the body that removes it."""

from __future__ import annotations

import copy
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.plan import FieldChange
from intacct_provider.sync.planning.diff import build_patch, compare, select_fields
from intacct_provider.sync.records import flatten, is_blank, unflatten

MODEL = {
    "fields": {
        "id": {"type": "string"},
        "creditLimit": {"type": "number"},
        "totalDue": {"type": "string", "format": "decimal-precision-2"},
        "startDate": {"type": "string", "format": "date"},
        "reviewedAt": {"type": "string", "format": "date-time"},
        "isOnHold": {"type": "boolean"},
        "graceDays": {"type": "integer"},
    },
    "groups": {"contacts": {"fields": [], "groups": {"default": {"fields": {"email1": {"type": "string"}}}}}},
    "refs": {
        "term": {"fields": {"key": {"type": "string"}, "id": {"type": "string"}, "href": {"type": "string"}}}
    },
    "lists": {"lines": {"fields": {"sortOrder": {"type": "integer"}}}, "members": {"apiObject": "x"}},
}
TYPES = collect_types(MODEL)
GROUP_FILTER = {
    "object": "accounts-receivable/customer",
    "filters": [{"$eq": {"status": "active"}}, {"$gt": {"totalDue": "1000"}}],
    "filterExpression": "1 and 2",
}


def fields_to_read(desired, types, **match):
    return select_fields(map(flatten, desired), types, **match)[0]


def needs_full_records(desired, types=None):
    return select_fields(map(flatten, desired), types or {})[1]


def differs(desired: dict, live: dict) -> bool:
    return bool(compare(desired, live, TYPES))


def merged(live: dict, body: dict) -> dict:
    """Apply a PATCH as Intacct does: objects merge, everything else is replaced."""
    result = copy.deepcopy(live)
    for name, value in body.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else copy.deepcopy(value)
    return result


# --- paths


def test_flatten_stops_at_lists_and_keeps_empty_objects_and_dotted_names():
    record = {"term": {"id": "N30"}, "lines": [{"a": {"b": 1}}], "empty": {}, "contacts.default.email1": "x"}
    assert flatten(record) == {
        "term.id": "N30",
        "lines": [{"a": {"b": 1}}],
        "empty": {},
        "contacts.default.email1": "x",
    }


def test_flatten_refuses_a_path_given_twice():
    with pytest.raises(IntacctArgumentError, match=r"term\.id is given twice"):
        flatten({"term": {"id": "a"}, "term.id": "b"})


@pytest.mark.parametrize(
    "flat", [{"term": "a", "term.id": "b"}, {"term.id": "b", "term": "a"}, {"a.b.c": 1, "a.b": 2}]
)
def test_unflatten_refuses_a_value_that_is_also_a_parent(flat):
    with pytest.raises(IntacctArgumentError, match="both given"):
        unflatten(flat)


def test_unflatten_never_writes_into_what_it_was_given():
    flat = {"a": {}, "a.b": 1}
    assert unflatten(flat) == {"a": {"b": 1}}
    assert flat == {"a": {}, "a.b": 1}


NAMES = st.text("abc", min_size=1, max_size=2)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xy", max_size=2) | st.just({})
RECORDS = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda inner: st.dictionaries(NAMES, SCALARS | inner | st.lists(inner, max_size=2), max_size=3),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None)
@given(RECORDS)
def test_unflatten_is_the_inverse_of_flatten(record):
    assert unflatten(flatten(record)) == record


@pytest.mark.parametrize("value", [None, "", [], {}, {"key": None, "id": "", "x": {"y": None}}])
def test_what_is_blank(value):
    assert is_blank(value)


@pytest.mark.parametrize("value", [0, False, " ", [None], {"id": 0}])
def test_what_is_not_blank(value):
    assert not is_blank(value)


# --- types and fields


def test_types_of_walks_every_part_of_the_model():
    assert TYPES == {
        "id": "string",
        "creditLimit": "number",
        "totalDue": "decimal",
        "startDate": "date",
        "reviewedAt": "date-time",
        "isOnHold": "boolean",
        "graceDays": "integer",
        "contacts.default.email1": "string",
        "term.key": "string",
        "term.id": "string",
        "term.href": "string",
        "lines": "list",
        "lines[].sortOrder": "integer",
        "members": "list",
    }


def test_types_of_an_empty_model_written_with_lists():
    assert collect_types({"fields": [], "groups": [], "refs": [], "lists": []}) == {}


def test_fields_to_read_are_key_match_and_what_is_given():
    desired = [{"id": "a", "name": "x", "unused": {}}, {"id": "b", "contacts": {"default": {"email1": None}}}]
    assert fields_to_read(desired, TYPES) == ["key", "id", "contacts.default.email1", "name"]


def test_a_reference_to_clear_is_read_by_its_fields():
    assert fields_to_read([{"id": "a", "term": None}], TYPES) == ["key", "id", "term.id", "term.key"]
    assert fields_to_read([{"n": "a", "other": None}], TYPES, match_on="n") == ["key", "n", "other"]


@pytest.mark.parametrize(
    ("record", "full"), [({"id": "a"}, False), ({"memberFilter": {"filters": []}}, True), ({"m": [1]}, True)]
)
def test_lists_need_full_records(record, full):
    assert needs_full_records([{"id": "z"}, record]) is full


# --- compare


@pytest.mark.parametrize("desired", [None, ""])
@pytest.mark.parametrize("live", [{}, {"name": None}, {"name": ""}])
def test_null_empty_and_absent_are_the_same(desired, live):
    assert not differs({"name": desired}, live)


@pytest.mark.parametrize(
    ("desired", "live", "different"),
    [
        ({"totalDue": "10"}, {"totalDue": "10.00"}, False),
        ({"totalDue": "10"}, {"totalDue": "10.01"}, True),
        ({"creditLimit": 10}, {"creditLimit": "10.00"}, False),
        ({"creditLimit": Decimal("0.1")}, {"creditLimit": 0.1}, False),
        ({"creditLimit": Decimal("0.10")}, {"creditLimit": Decimal("0.11")}, True),
        ({"graceDays": "7"}, {"graceDays": 7}, False),
        ({"unlisted": 10}, {"unlisted": "10.0"}, False),
        ({"unlisted": "10"}, {"unlisted": 10}, False),
        ({"name": "10"}, {"name": "10.00"}, True),
        ({"name": "A"}, {"name": "a"}, True),
        ({"name": "A"}, {"name": "A "}, True),
        ({"creditLimit": 0}, {"creditLimit": None}, True),
        ({"creditLimit": 5}, {"creditLimit": "n/a"}, True),
        ({"creditLimit": None}, {"creditLimit": 5}, True),
        ({"reviewedAt": "2026-05-31T07:55:09Z"}, {"reviewedAt": "2026-05-31T09:55:09+02:00"}, False),
        ({"reviewedAt": "2026-05-31T07:55:09.250Z"}, {"reviewedAt": "2026-05-31T07:55:09Z"}, False),
        ({"reviewedAt": "2026-05-31T07:55:09Z"}, {"reviewedAt": "2026-05-31T07:55:10Z"}, True),
        ({"reviewedAt": "2026-05-31T07:55:09"}, {"reviewedAt": "2026-05-31T07:55:09Z"}, True),
        ({"name": "2026-05-31T07:55:09Z"}, {"name": "2026-05-31T09:55:09+02:00"}, True),
        ({"isOnHold": True}, {"isOnHold": True}, False),
        ({"isOnHold": True}, {"isOnHold": 1}, True),
        ({"isOnHold": 1}, {"isOnHold": True}, True),
        ({"isOnHold": True}, {"isOnHold": "true"}, True),
        ({"isOnHold": False}, {}, True),
        ({"isOnHold": False}, {"isOnHold": None}, True),
        ({}, {"name": "x"}, False),
        ({"name": {}}, {"name": "x"}, False),
    ],
)
def test_scalars(desired, live, different):
    assert differs(desired, live) is different


def test_references_are_compared_by_what_is_given_and_live_may_be_nested_or_dotted():
    nested = {"term": {"key": "3", "id": "N30", "href": "/x"}}
    dotted = {"term.key": "3", "term.id": "N30"}
    for live in (nested, dotted):
        assert not differs({"term": {"id": "N30"}}, live)
        assert not differs({"term.key": "3"}, live)
        assert compare({"term": {"id": "N60"}}, live, TYPES) == [FieldChange("term.id", "N30", "N60")]


def test_clearing_a_reference_shows_what_is_lost():
    dotted = {"term.key": "3", "term.id": "N30"}
    assert compare({"term": None}, dotted, TYPES) == [FieldChange("term", {"key": "3", "id": "N30"}, None)]
    for live in (
        {"term": {"key": None, "id": None}},
        {"term": None},
        {},
        {"term.key": None, "term.id": None},
    ):
        assert not differs({"term": None}, live)


def test_setting_a_reference_that_is_null():
    assert compare({"term": {"id": "N30"}}, {"term": None}, TYPES) == [FieldChange("term.id", None, "N30")]


LIVE_MEMBERS = [{"key": "6", "id": "C1", "sortOrder": "0"}, {"key": "7", "id": "C2", "sortOrder": "1"}]


@pytest.mark.parametrize(
    ("members", "different"),
    [
        ([{"id": "C1"}, {"id": "C2"}], False),
        ([{"key": "6"}, {"id": "C2", "sortOrder": 1}], False),
        ([{"id": "C2"}, {"id": "C1"}], True),
        ([{"id": "C1"}], True),
        ([{"id": "C1"}, {"id": "C2"}, {"id": "C3"}], True),
        ([{"id": "C1"}, {"id": "C2", "note": "x"}], True),
        (["C1", "C2"], True),
        ([], True),
        (None, True),
    ],
)
def test_lists_compare_in_order_by_the_names_given(members, different):
    assert differs({"members": members}, {"members": LIVE_MEMBERS}) is different


def test_list_elements_use_the_types_of_the_model():
    assert not differs({"lines": [{"sortOrder": "1"}]}, {"lines": [{"sortOrder": "01"}]})
    assert differs({"members": [{"sortOrder": "1"}]}, {"members": [{"sortOrder": "01"}]})


@pytest.mark.parametrize("live", [None, [], "absent"])
def test_an_empty_list_is_blank(live):
    assert not differs({"members": []}, {} if live == "absent" else {"members": live})


def test_a_list_where_something_else_is_live():
    assert differs({"members": [{"id": "a"}]}, {"members": "a"})
    assert differs({"members": [{"id": "a"}]}, {"members": ["a"]})


def test_a_member_filter_is_compared_by_the_names_given():
    live = GROUP_FILTER | {"orderBy": [{"id": "asc"}], "size": 100}
    assert not differs({"memberFilter": GROUP_FILTER}, {"memberFilter": live})


@pytest.mark.parametrize(
    ("filters", "different"),
    [
        ([{"$eq": {"status": "active"}}, {"$gt": {"totalDue": 1000}}], False),
        (
            [{"$gt": {"totalDue": "1000"}}, {"$eq": {"status": "active"}}],
            True,
        ),  # the live expression counts them
        ([{"$eq": {"status": "active"}}], True),
        ([{"$eq": {"status": "active"}}, {"$gte": {"totalDue": "1000"}}], True),
    ],
)
def test_filter_conditions_must_be_equal(filters, different):
    assert differs({"memberFilter": {"filters": filters}}, {"memberFilter": GROUP_FILTER}) is different


A, B, C = {"$eq": {"status": "active"}}, {"$gt": {"totalDue": "1000"}}, {"$ne": {"id": "x"}}


@pytest.mark.parametrize("expression", [None, "", "and", " AND ", "or"])
@pytest.mark.parametrize(
    ("wanted", "live", "different"),
    [
        ([A, B], [B, A], False),
        ([A, A, B], [B, A], False),
        ([A, B], [A, C], True),
        ([A], [A, B], True),
        ([A, B], [A], True),
        ([A, B], [], True),
        ([], [A], True),
        ([A, B], None, True),
    ],
)
def test_conditions_that_nothing_numbers_are_a_set(expression, wanted, live, different):
    given = {"memberFilter": {"filters": wanted}}
    stored = {"memberFilter": {"filters": live, "filterExpression": expression}}
    assert differs(given, stored) is different


def test_the_expression_that_is_wanted_decides_whether_conditions_have_an_order():
    live = {"memberFilter": {"filters": [B, A], "filterExpression": "and"}}
    wanted = {"memberFilter": {"filters": [A, B], "filterExpression": "1 and 2"}}
    assert [change.path for change in compare(wanted, live, TYPES)] == [
        "memberFilter.filters",
        "memberFilter.filterExpression",
    ]


def test_a_condition_with_more_in_it_is_another_condition():
    live = {"memberFilter": {"filters": [{"$in": {"id": ["a", "b"], "extra": 1}}]}}
    assert differs({"memberFilter": {"filters": [{"$in": {"id": ["a", "b"]}}]}}, live)
    assert differs({"memberFilter": {"filters": [{"$in": {"id": ["a"], "extra": 1}}]}}, live)
    assert not differs({"memberFilter": {"filters": [{"$in": {"extra": 1, "id": ["a", "b"]}}]}}, live)


@pytest.mark.parametrize(
    ("wanted", "different"),
    [
        ({"accountGroup": {"id": "A"}}, False),
        ({"accountGroup.id": "A"}, False),
        ({"accountGroup": {"id": "B"}}, True),
        ({"accountGroup": {"id": "A"}, "formula": None}, False),
        ({"accountGroup": {"id": "A"}, "formula": {"constant": None}}, False),
        ({"accountGroup": {"id": "A"}, "formula": {"constant": "1"}}, True),
        ({"accountGroup": {"id": None}}, True),
    ],
)
def test_references_in_elements_are_compared_by_what_is_given(wanted, different):
    live = {"key": "46", "id": "46", "accountGroup": {"key": "1", "id": "A", "href": "/x"}}
    assert differs({"members": [wanted]}, {"members": [live]}) is different


def test_what_can_only_be_written_is_neither_read_nor_compared():
    types = collect_types(
        {"fields": {"secret": {"type": "string", "writeOnly": True}, "name": {"type": "string"}}}
    )
    assert compare({"secret": "s", "name": "x"}, {"name": "x"}, types) == []
    assert fields_to_read([{"id": "a", "secret": "s"}], types) == ["key", "id"]


def test_clearing_a_list_needs_full_records_too():
    assert needs_full_records([{"id": "a", "members": None}], TYPES)
    assert not needs_full_records([{"id": "a", "term": None}], TYPES)


def test_filters_are_read_with_the_expression_that_joins_them():
    fields = fields_to_read([{"id": "a", "memberFilter": {"filters": []}}], TYPES)
    assert fields == ["key", "id", "memberFilter.filterExpression", "memberFilter.filters"]


@pytest.mark.parametrize("order", [1, -1])
def test_one_empty_object_among_records_hides_no_field(order):
    desired = [{"id": "a", "name": {}}, {"id": "b", "name": "x"}][::order]
    assert fields_to_read(desired, TYPES) == ["key", "id", "name"]


# --- the body of an update


def owned(key, **values):
    return {"key": key, "id": key, "audit": {"modifiedBy": "1"}, "glAccountGroup": {"id": "G"}} | values


RANGES = [owned("7", rangeFrom="1"), owned("8", rangeFrom="2"), owned("9", rangeFrom="3")]


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (["1", "5", "3"], [{"rangeFrom": "5", "key": "8"}]),
        (["1", "3"], [{"key": "8", "ia::operation": "delete"}]),
        (["1", "2", "3", "4"], [{"rangeFrom": "4"}]),
        (["3"], [{"key": "7", "ia::operation": "delete"}, {"key": "8", "ia::operation": "delete"}]),
        (
            ["2", "9"],
            [
                {"key": "7", "ia::operation": "delete"},
                {"key": "9", "ia::operation": "delete"},
                {"rangeFrom": "9"},
            ],
        ),
        ([], [{"key": key, "ia::operation": "delete"} for key in "789"]),
    ],
)
def test_records_that_a_record_owns_are_merged_element_by_element(wanted, sent):
    desired = {"id": "G", "ranges": [{"rangeFrom": value} for value in wanted]}
    changes = compare(desired, {"id": "G", "ranges": RANGES}, TYPES)
    assert build_patch(changes, desired) == {"ranges": sent}


def test_clearing_owned_records_names_each():
    changes = compare({"ranges": None}, {"ranges": RANGES[:1]}, TYPES)
    assert build_patch(changes, {"ranges": None}) == {"ranges": [{"key": "7", "ia::operation": "delete"}]}


def test_clearing_a_list_of_references_is_sent_as_it_is():
    for empty in ([], None):
        changes = compare({"members": empty}, {"members": LIVE_MEMBERS}, TYPES)
        assert build_patch(changes, {"members": empty}) == {"members": empty}


def test_the_order_of_a_filter_is_no_list_of_owned_records():
    desired = {"memberFilter": {"orderBy": [{"name": "asc"}]}}
    changes = compare(desired, {"memberFilter": {"orderBy": [{"id": "asc"}]}}, TYPES)
    assert build_patch(changes, desired) == desired


def test_patch_nests_just_the_changes():
    desired = {"id": "a", "name": "x", "contacts": {"default": {"email1": "n@x.example", "phone1": "1"}}}
    live = {"id": "a", "name": "x", "contacts": {"default": {"email1": "o@x.example", "phone1": "1"}}}
    changes = compare(desired, live, TYPES)
    assert build_patch(changes, desired) == {"contacts": {"default": {"email1": "n@x.example"}}}


def test_patch_sends_a_changed_list_whole_and_leaves_an_equal_one_out():
    desired = {"name": "x", "members": [{"id": "C1"}, {"id": "C9"}], "lines": [{"sortOrder": 0}]}
    live = {"name": "y", "members": LIVE_MEMBERS, "lines": [{"sortOrder": "0", "key": "1"}]}
    body = build_patch(compare(desired, live, TYPES), desired)
    assert body == {"name": "x", "members": [{"id": "C1"}, {"id": "C9"}]}


def test_patch_sends_a_member_filter_whole_because_its_parts_belong_together():
    desired = {"id": "g", "memberFilter": GROUP_FILTER}
    live = {"id": "g", "memberFilter": GROUP_FILTER | {"filterExpression": "1 or 2"}}
    changes = compare(desired, live, TYPES)
    assert [change.path for change in changes] == ["memberFilter.filterExpression"]
    assert build_patch(changes, desired) == {"memberFilter": GROUP_FILTER}


def test_patch_of_nothing_is_empty():
    assert build_patch([], {"id": "a", "memberFilter": GROUP_FILTER}) == {}


def test_patch_clears_with_null():
    desired = {"term": None, "name": None}
    assert build_patch(compare(desired, {"term": {"id": "a"}, "name": "b"}, TYPES), desired) == {
        "term": None,
        "name": None,
    }


# One shape of record, every value of which may be given, null or absent on either side.
TEXTS = st.none() | st.sampled_from(["", "a", "b", "10", "10.00"])
MEMBERS = st.none() | st.lists(st.fixed_dictionaries({"id": st.sampled_from("ab")}), max_size=2)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS,
        "totalDue": TEXTS,
        "isOnHold": st.none() | st.booleans(),
        "creditLimit": st.none() | st.integers(0, 2) | st.decimals(0, 2, places=2),
        "term": st.none() | st.fixed_dictionaries({}, optional={"id": TEXTS, "key": TEXTS}),
        "contacts": st.fixed_dictionaries(
            {"default": st.fixed_dictionaries({}, optional={"email1": TEXTS, "phone1": TEXTS})}
        ),
        "members": MEMBERS,
        "memberFilter": st.fixed_dictionaries(
            {},
            optional={
                "object": TEXTS,
                "filters": st.lists(st.sampled_from(GROUP_FILTER["filters"]), max_size=2),
                "filterExpression": TEXTS,
            },
        ),
    },
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(desired=SHAPES, live=SHAPES)
def test_applying_the_patch_leaves_nothing_to_change(desired, live):
    body = build_patch(compare(desired, live, TYPES), desired)
    after = merged(live, body)
    assert compare(desired, after, TYPES) == []
    untouched = set(flatten(live)) - set(flatten(desired))
    assert {path for path in untouched if path in flatten(after)} >= {
        path for path in untouched if path.split(".")[0] not in body
    }


@settings(derandomize=True, deadline=None)
@given(SHAPES)
def test_a_record_never_differs_from_itself_nested_or_dotted(record):
    assert compare(record, record, TYPES) == []
    assert compare(record, flatten(record), TYPES) == []
    assert compare(flatten(record), record, TYPES) == []
