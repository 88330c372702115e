"""Columns have the types that the model service reports, and values fit them exactly or are refused."""

import datetime as dt
import json
from decimal import Context, Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.client.model import read_fields
from intacct_provider.exceptions import IntacctColumnError, IntacctNotFoundError
from intacct_provider.export.schema.columns import (
    REST,
    Column,
    detail_columns,
    query_columns,
)
from intacct_provider.export.schema.values import convert_values, converter, find_rest

MODEL = {
    "fields": {
        "name": {"type": "string"},
        "key": {"type": "string"},
        "isOnHold": {"type": "boolean"},
        "lines": {"type": "integer"},
        "totalDue": {"type": "string", "format": "decimal-precision-2"},
        "rate": {"type": "number", "format": "decimal-precision-10"},
        "creditLimit": {"type": "number"},
        "startDate": {"type": "string", "format": "date"},
        "secret": {"type": "string", "writeOnly": True},
        "matched": {"type": "string", "enum": ["true", "false", "matched"]},
        "newKind": {"type": "geometry", "format": "wkt"},
        "picture": {"type": "string", "format": "outbound-binary"},
        "unknown": {},
    },
    "groups": {
        "audit": {
            "fields": {"modifiedDateTime": {"type": "string", "format": "date-time"}},
            "groups": [],
            "refs": {"createdByUser": {"fields": {"id": {"type": "string"}, "key": {"type": "string"}}}},
            "lists": [],
        },
        "dimensions": {"fields": [], "groups": [], "refs": [], "lists": []},
    },
    "refs": {"term": {"apiObject": "objects/accounts-receivable/term", "fields": {"id": {"type": "string"}}}},
    "lists": {
        "lines": {"apiObject": "objects/ledger/line"},
        "members": {"apiObject": "objects/ledger/customer"},
        "tags": {"type": "string"},
        "filters": {"type": "object"},
    },
}
LINE = {
    "type": "ownedObject",
    "fields": {"key": {"type": "string"}, "amount": {"type": "string", "format": "decimal-precision-2"}},
    "lists": {"parts": {"apiObject": "objects/ledger/part"}},
}


def model_of(path):
    known = {"ledger/line": LINE, "ledger/customer": {**MODEL, "type": "rootObject"}}
    if path not in known:
        raise IntacctNotFoundError(path)
    return known[path]


def by_name(columns):
    return {column.name: column for column in columns}


DETAIL = by_name(detail_columns(MODEL, model_of))


@pytest.mark.parametrize(
    ("field", "type", "scale"),
    [
        ("name", "string", None),
        ("isOnHold", "boolean", None),
        ("totalDue", "decimal", 2),
        ("rate", "decimal", 10),
        ("creditLimit", "decimal", 10),
        ("startDate", "date", None),
        ("audit.modifiedDateTime", "timestamp", None),
        ("audit.createdByUser.id", "string", None),
        ("matched", "string", None),
        ("newKind", "string", None),
        ("picture", "string", None),
        ("unknown", "string", None),
        ("customField", "string", None),
        ("nsp::r10007.name", "string", None),
        ("tags", "json", None),
    ],
)
def test_a_field_has_the_type_that_the_model_tells(field, type, scale):  # noqa: A002
    [column] = query_columns({field: "called"}, read_fields(MODEL))
    assert column == Column("called", field, type, scale)


def test_columns_come_in_the_order_asked_for_and_under_the_names_asked_for():
    columns = query_columns({"totalDue": "due", "key": "key", "name": "Name"}, read_fields(MODEL))
    assert [(column.name, column.field) for column in columns] == [
        ("due", "totalDue"),
        ("key", "key"),
        ("Name", "name"),
    ]


def test_whole_records_have_a_column_for_each_member_and_one_for_the_rest():
    assert next(iter(DETAIL)) == "key"
    assert list(DETAIL)[-1] == REST
    assert set(DETAIL) == (
        {*MODEL["fields"], *MODEL["groups"], *MODEL["refs"], *MODEL["lists"], REST} - {"secret"}
    )


def test_groups_and_references_are_structs():
    audit = DETAIL["audit"]
    assert (audit.type, [(m.name, m.type) for m in audit.members]) == (
        "struct",
        [("modifiedDateTime", "timestamp"), ("createdByUser", "struct")],
    )
    assert [m.name for m in audit.members[1].members] == ["key", "id"]
    assert DETAIL["term"].type == "struct"


def test_a_group_of_no_members_is_json():
    assert DETAIL["dimensions"].type == "json"


def test_elements_of_a_list_have_the_types_of_their_own_model():
    model = {**MODEL, "fields": {}, "lists": {"lines": MODEL["lists"]["lines"]}}
    lines = by_name(detail_columns(model, model_of))["lines"]
    [element] = lines.members
    assert (lines.type, element.type) == ("list", "struct")
    assert [(m.name, m.type, m.scale) for m in element.members] == [
        ("key", "string", None),
        ("amount", "decimal", 2),
        ("parts", "list", None),
        (REST, "json", None),
    ]


@pytest.mark.parametrize("model", [None, model_of])
def test_elements_that_are_other_records_or_unknown_are_references_with_a_rest(model):
    for path in ("objects/ledger/customer", "objects/ledger/unknown"):
        [column, _rest] = detail_columns({"lists": {"found": {"apiObject": path}}}, model)
        assert [m.name for m in column.members[0].members] == ["key", "id", "href", REST]


def test_lists_of_plain_values_are_lists_of_them():
    assert DETAIL["tags"].members == (Column("item", "item", "string"),)
    assert DETAIL["filters"].members == (Column("item", "item", "json"),)


def test_columns_go_to_a_manifest_and_come_back():
    columns = (*detail_columns(MODEL, model_of), Column("due", "totalDue", "decimal", 2))
    content = msgspec.json.encode(columns)
    assert msgspec.json.decode(content, type=tuple[Column, ...]) == columns
    assert json.loads(content)[-1] == {"name": "due", "field": "totalDue", "type": "decimal", "scale": 2}


def test_a_column_of_an_unknown_type_is_refused():
    with pytest.raises(msgspec.ValidationError, match="'point'"):
        msgspec.json.decode(b'{"name": "a", "field": "a", "type": "point"}', type=Column)


GOOD = [
    ("boolean", True, True),
    ("boolean", "false", False),
    ("integer", 7, 7),
    ("integer", "-7", -7),
    ("integer", "7.00", 7),
    ("integer", -(2**63), -(2**63)),
    ("decimal", "-12.5", Decimal("-12.50")),
    ("decimal", Decimal("1E+3"), Decimal("1000.00")),
    ("decimal", 3, Decimal("3.00")),
    ("decimal", "9" * 36 + ".99", Decimal("9" * 36 + ".99")),
    ("decimal", "1.2000", Decimal("1.20")),
    ("date", "2024-02-29", dt.date(2024, 2, 29)),
    ("timestamp", "2026-11-21T10:00:00Z", dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)),
    ("timestamp", "2026-11-21T10:00:00.123456+02:00", dt.datetime(2026, 11, 21, 8, 0, 0, 123456, dt.UTC)),
    ("string", "", ""),
    ("string", Decimal("1.10"), "1.10"),
    ("string", True, "true"),
    ("string", {"a": Decimal("1.10")}, '{"a":1.10}'),
    ("json", "text", '"text"'),
]
BAD = [
    ("boolean", "yes"),
    ("boolean", 1),
    ("integer", "7.5"),
    ("integer", Decimal("7.5")),
    ("integer", "0x10"),
    ("integer", True),
    ("integer", 2**63),
    ("decimal", "12.505"),
    ("decimal", Decimal("0.001")),
    ("decimal", "9" * 37),
    ("decimal", "1,000.00"),
    ("decimal", "1_000"),
    ("decimal", " 1"),
    ("decimal", "NaN"),
    ("decimal", "Infinity"),
    ("decimal", "１２"),  # noqa: RUF001 -- digits that Python takes for digits
    ("decimal", True),
    ("decimal", "1e9999"),
    ("date", "2026-02-29"),
    ("date", "20260228"),
    ("date", "2026-02-28T00:00:00Z"),
    ("date", "02/28/2026"),
    ("date", 20260228),
    ("timestamp", "2026-11-21T10:00:00"),
    ("timestamp", "2026-11-21"),
    ("timestamp", "2026-11-21T10:00:00.1234567Z"),
    ("timestamp", "2026-11-21T25:00:00Z"),
]


@pytest.mark.parametrize(("type", "value", "expected"), GOOD, ids=repr)
def test_a_value_that_fits_is_taken(type, value, expected):  # noqa: A002
    made = converter(Column("c", "c", type, 2))(value)
    assert (made, repr(made)) == (expected, repr(expected))


@pytest.mark.parametrize(("type", "value"), BAD, ids=repr)
def test_a_value_that_does_not_fit_is_never_made_to_fit(type, value):  # noqa: A002
    with pytest.raises(IntacctColumnError) as caught:
        convert_values(Column("due", "c", type, 2), [None, value], ["41", "42"])
    for words in ("'due'", type, "record 42", "Leave the field out"):
        assert words in str(caught.value)


@pytest.mark.parametrize("type", ["boolean", "integer", "decimal", "date", "timestamp"])
def test_empty_text_is_null_where_no_text_can_be(type):  # noqa: A002
    assert convert_values(Column("due", "c", type, 2), [None, ""], ["41", "42"]) == [None, None]


@pytest.mark.parametrize("type", ["boolean", "integer", "decimal", "date", "timestamp", "string", "json"])
def test_null_stays_null(type):  # noqa: A002
    assert converter(Column("c", "c", type, 2))(None) is None


def test_the_error_names_the_value_unless_it_is_long():
    with pytest.raises(IntacctColumnError, match=r"has '12.505' in it.* jsonl or csv"):
        convert_values(Column("due", "due", "decimal", 2), ["12.505"], ["7"])
    with pytest.raises(IntacctColumnError, match=r"decimal\(38, 2\), and record 7 has a str in it"):
        convert_values(Column("due", "due", "decimal", 2), ["x" * 100], ["7"])
    with pytest.raises(IntacctColumnError, match="has a dict in it"):
        convert_values(Column("due", "due", "decimal", 2), [{"secret": 1}], ["7"])


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 12))
def test_decimals_are_exact_or_refused(number, scale):
    convert = converter(Column("c", "c", "decimal", scale))
    try:
        made = convert(format(number, "f"))
    except ValueError:
        digits = number.normalize(Context(prec=1000)).as_tuple()
        assert -digits.exponent > scale or len(digits.digits) + max(digits.exponent, 0) + scale > 38
    else:
        assert made == number
        assert made.as_tuple().exponent == -scale


def test_what_no_column_has_a_place_for_is_kept():
    columns = tuple(DETAIL.values())
    record = {
        "key": "1",
        "surprise": 1,
        "audit": {"modifiedDateTime": None, "extra": {"deep": [1]}},
        "term": {"id": "N30"},
        "lines": 7,
        "tags": ["a"],
    }
    assert find_rest(record, columns) == {"surprise": 1, "audit": {"extra": {"deep": [1]}}}


def test_elements_keep_their_own_rest():
    [column, _rest] = detail_columns({"lists": {"lines": {"apiObject": "objects/ledger/line"}}}, model_of)
    [made] = convert_values(column, [[{"key": "1", "amount": "2.50", "memo": "x"}, None]], ["9"])
    assert made == [
        {"key": "1", "amount": Decimal("2.50"), "parts": None, REST: '{"memo":"x"}'},
        None,
    ]


@pytest.mark.parametrize("value", ["text", 7, ["list"]])
def test_what_is_no_object_is_no_struct(value):
    with pytest.raises(IntacctColumnError, match="Column 'term' is struct"):
        convert_values(DETAIL["term"], [value], ["9"])


@pytest.mark.parametrize("value", ["text", 7, {"key": "1"}])
def test_what_is_no_list_is_no_list(value):
    with pytest.raises(IntacctColumnError, match="Column 'tags' is a list"):
        convert_values(DETAIL["tags"], [value], ["9"])
