"""Desired records: read from files, checked, typed; every mistake is named with its place."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.errors import IntacctArgumentError
from intacct_provider.sync.desired import check_desired, coerce, parse_desired

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


def read(text: str | bytes, name: str = "customers.csv", match_on: str = "id") -> list[dict]:
    return parse_desired(name, text.encode() if isinstance(text, str) else text, match_on=match_on)


def refusal(text: str | bytes, name: str = "customers.csv", match_on: str = "id") -> str:
    with pytest.raises(IntacctArgumentError) as caught:
        read(text, name, match_on)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    return message


def typed(record: dict, *, from_text: bool = False, match_on: str = "id") -> dict:
    [result] = coerce([record], MODEL, source="customers.csv", from_text=from_text, match_on=match_on)
    return result


def untyped(record: dict, *, from_text: bool = False) -> str:
    with pytest.raises(IntacctArgumentError) as caught:
        coerce([{"id": "C-0"}, {"id": "C-7"} | record], MODEL, source="customers.csv", from_text=from_text)
    message = str(caught.value)
    assert message.startswith("customers.csv: record 2 ('C-7'): ")
    return message


# --- CSV that can be read


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_takes_the_separator_of_its_header(separator):
    text = "id,name,term.id\nC-1,North,N30\n".replace(",", separator)
    assert read(text) == [{"id": "C-1", "name": "North", "term": {"id": "N30"}}]


def test_csv_separator_inside_a_quoted_header_does_not_count():
    assert read('id;"nsp::A,B"\nC-1;x\n') == [{"id": "C-1", "nsp::A,B": "x"}]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_takes_any_line_ending_and_a_byte_order_mark(ending, mark):
    assert read(mark + f"id,name{ending}C-1,Zoë{ending}".encode()) == [{"id": "C-1", "name": "Zoë"}]


def test_csv_empty_cell_leaves_the_field_out_and_blank_lines_are_skipped():
    text = "\nid,name,contacts.default.email1\n\nC-1,,a@b.example\n , ,\nC-2,South,\n,,\n"
    assert read(text) == [
        {"id": "C-1", "contacts": {"default": {"email1": "a@b.example"}}},
        {"id": "C-2", "name": "South"},
    ]


def test_csv_lists_of_objects_and_of_text_keep_their_order():
    text = "id,groupMembers[].id,tags[]\nG-1,C-2 | C-1,a|b\nG-2,,\nG-3,C-9,c\n"
    assert read(text) == [
        {"id": "G-1", "groupMembers": [{"id": "C-2"}, {"id": "C-1"}], "tags": ["a", "b"]},
        {"id": "G-2"},
        {"id": "G-3", "groupMembers": [{"id": "C-9"}], "tags": ["c"]},
    ]


def test_csv_parallel_list_columns_make_one_list():
    text = "id,accountRanges[].rangeFrom,accountRanges[].group.id\nA,1000|2000,|X\n"
    assert read(text) == [
        {"id": "A", "accountRanges": [{"rangeFrom": "1000"}, {"rangeFrom": "2000", "group": {"id": "X"}}]}
    ]


def test_csv_json_cell_is_json_and_other_braces_are_text():
    text = (
        'id,memberFilter,name\nG-1,"{""filters"": [{""$gt"": {""totalDue"": 1.10}}]}",[draft\nG-2,[1],{x}\n'
    )
    assert read(text) == [
        {
            "id": "G-1",
            "memberFilter": {"filters": [{"$gt": {"totalDue": Decimal("1.10")}}]},
            "name": "[draft",
        },
        {"id": "G-2", "memberFilter": [1], "name": "{x}"},
    ]


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
IDS = st.text("abcXYZ019-_", min_size=1, max_size=8)


@settings(derandomize=True, deadline=None)
@given(
    rows=st.dictionaries(IDS, st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    separator=st.sampled_from(",;\t"),
)
def test_csv_written_by_any_writer_reads_back(rows, separator):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["id", "name", "term.id"])
    writer.writerows([match, f"x{name}", f"y{term}"] for match, (name, term) in rows.items())
    assert read(out.getvalue()) == [
        {"id": match, "name": f"x{name}", "term": {"id": f"y{term}"}} for match, (name, term) in rows.items()
    ]


# --- CSV that is refused


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["line 1", "empty"]),
        ("\n \n", ["line 1", "empty"]),
        ("id,name\n", ["no records", "empty desired state is refused", "mirror"]),
        ("idd,name\nC-1,x\n", ["line 1", "no column 'id'", "Did you mean 'idd'?"]),
        ("id,name,id\nC-1,x,y\n", ["line 1, column 3", "'id' is in column 1"]),
        ("id,,name\nC-1,x,y\n", ["line 1, column 2", "blank"]),
        ("id,term..id\nC-1,x\n", ["line 1, column 2", "'term..id' is not a field path"]),
        ("id,a[].b[].c\nC-1,x\n", ["line 1, column 2", "'a[].b[].c' is not a field path"]),
        ("id,term,term.id\nC-1,x,y\n", ["line 1, column 3", "'term.id' and 'term' set the same field"]),
        ("id,m[].id,m\nC-1,x,y\n", ["line 1, column 3", "'m' and 'm[].id' set the same field"]),
        ("id,m[].id,m.key\nC-1,x,y\n", ["line 1, column 3", "'m.key' and 'm[].id'"]),
        ("id;name,x\nC-1,x,y\n", ["line 1", "comma and semicolon", "use commas"]),
        ("\nid;na\tme\nC-1;x\n", ["line 2", "semicolon and tab"]),
        ("id,name\nC-1,x,y\n", ["line 2", "3 cells under a header of 2", "double quotes"]),
        ("id,name\nC-1,x\nC-2\n", ["line 3", "1 cells under a header of 2"]),
        ('id,name\nC-1,"two\nlines"\nC-2\n', ["line 4", "1 cells"]),
        ('id,name\nC-1,"open\n', ["line 2", "not valid CSV", "double quotes"]),
        ("id,name\nC-1,x\nC-2,y\nC-1,z\n", ["id 'C-1' is given more than once", "line 2, line 4"]),
        ("id,name\nC-1,x\n,y\n", ["line 3", "there is no id"]),
        ("id,name\nC-1 ,x\n", ["line 2", "id 'C-1 ' starts or ends with a space"]),
        ("id,m[].id,m[].n\nC-1,a|b,x\n", ["line 2", "column 'm[].n'", "1 parts", "'m[].id' has 2"]),
        ("id,m[].id\nC-1,a||b\n", ["line 2", "column 'm[].id'", "empty part"]),
    ],
)
def test_csv_refusals_name_the_place_and_the_remedy(text, parts):
    message = refusal(text)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_bytes_that_are_not_utf8_are_named_by_line_and_offset(encoding):
    message = refusal("id,name\nC-1,x\nC-2,Zoë\n".encode(encoding))
    assert "line 3" in message
    assert "offset 20" in message
    assert "UTF-8" in message


def test_utf16_is_refused_at_its_first_byte():
    assert "line 1: the byte at offset 0" in refusal("id,name\nC-1,x\n".encode("utf-16"))


def test_many_problems_come_in_one_message_of_ten():
    message = refusal("id,name\n" + "".join(f"C-{n}\n" for n in range(14)))
    assert "14 problems" in message
    assert "line 11:" in message
    assert "line 12:" not in message
    assert message.endswith("and 4 more")


def test_many_duplicates_name_at_most_ten_places():
    message = refusal("id,name\n" + "C-1,x\n" * 13)
    assert "line 11 and 3 more" in message


# --- JSON


def test_json_keeps_nulls_digits_and_order_and_nests_dotted_names():
    text = '[{"id": "C-1", "term.id": null, "creditLimit": 10.50, "m": [{"id": "b"}, {"id": "a"}]}]'
    [record] = read("\ufeff" + text, "x.json")
    assert record == {
        "id": "C-1",
        "term": {"id": None},
        "creditLimit": Decimal("10.50"),
        "m": [{"id": "b"}, {"id": "a"}],
    }
    assert str(record["creditLimit"]) == "10.50"


@pytest.mark.parametrize("name", ["s3://bucket/x.jsonl", "x.ndjson", "X.NDJSON"])
def test_json_lines(name):
    assert read('{"id": "C-1"}\r\n\n{"id": "C-2"}\n', name) == [{"id": "C-1"}, {"id": "C-2"}]


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("x.json", '[{"id": "C-1",\n "name" secret}]', ["line 2, column 9", "not valid JSON"]),
        ("x.json", "", ["line 1, column 1", "not valid JSON"]),
        ("x.json", '{"id": "C-1"}', ["line 1", "array of objects", ".jsonl"]),
        ("x.json", "[]", ["no records", "mirror"]),
        ("x.json", '["C-1"]', ["record 1", "must be an object", "str"]),
        ("x.json", '[{"id": NaN}]', ["line 1", "NaN", "use null"]),
        ("x.json", '[{"id": "C-1", "name": "a", "name": "b"}]', ["'name' twice"]),
        ("x.json", '[{"ID": "C-1"}]', ["record 1", "there is no id", "Did you mean 'ID'?"]),
        ("x.json", '[{"id": null}]', ["record 1", "id is blank"]),
        ("x.json", '[{"id": true}]', ["record 1", "id is True", "must be text"]),
        (
            "x.json",
            '[{"id": "C-1", "term": "a", "term.id": "b"}]',
            ["record 1", "term.id and term are both given"],
        ),
        ("x.json", '[{"id": "C-1", "t": {"id": "a"}, "t.id": "b"}]', ["record 1", "t.id is given twice"]),
        ("x.json", "[" * 100_000, ["line 1", "nested too deeply"]),
        ("x.jsonl", '{"id": "C-1"}\n{"id": secret}\n', ["line 2, column 8", "not valid JSON"]),
        ("x.jsonl", '{"id": "C-1"}\n[1]\n', ["line 2", "must be an object", "list"]),
        ("x.jsonl", '{"id": "C-1"}\n{"id": "C-1"}\n', ["id 'C-1' is given more than once: line 1, line 2"]),
        ("x.jsonl", "\n", ["no records"]),
    ],
)
def test_json_refusals_name_the_place_and_not_the_content(name, text, parts):
    message = refusal(text, name)
    for part in parts:
        assert part in message
    assert "secret" not in message


@pytest.mark.parametrize("name", ["customers.xlsx", "customers", "customers.cvs"])
def test_another_suffix_names_the_formats(name):
    message = refusal("id\nC-1\n", name)
    assert "use .csv, .json or .jsonl" in message
    assert ("Did you mean '.csv'?" in message) == name.endswith("cvs")


def test_match_on_may_be_dotted():
    assert read("vendor.id,name\nV-1,x\n", match_on="vendor.id") == [{"vendor": {"id": "V-1"}, "name": "x"}]


# --- lists from upstream tasks


@pytest.mark.parametrize(
    ("records", "parts"),
    [
        ({"id": "C-1"}, ["list of objects", "dict"]),
        ("C-1", ["list of objects", "str"]),
        (None, ["list of objects", "NoneType"]),
        ([], ["no records", "mirror"]),
        ([{"id": "C-1"}, None], ["record 2", "NoneType"]),
        ([{"id": "C-1"}, {1: "x"}], ["record 2", "field name 1 is not text"]),
        ([{"id": "C-1"}, {"name": "x", "i_d": "C-2"}], ["record 2", "no id", "Did you mean 'i_d'?"]),
        ([{"id": "15"}, {"id": 15}], ["'15' is given more than once: record 1, record 2"]),
        ([{"id": "  "}], ["record 1", "id is blank"]),
        ([{"id": 1.0}], ["record 1", "id is 1.0"]),
    ],
)
def test_check_desired_refuses(records, parts):
    with pytest.raises(IntacctArgumentError) as caught:
        check_desired(records, match_on="id", source="desired")
    assert str(caught.value).startswith("desired: ")
    for part in parts:
        assert part in str(caught.value)


def test_check_desired_accepts_dotted_and_nested():
    check_desired([{"term.id": "a"}, {"term": {"id": "b"}}], match_on="term.id", source="desired")


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
        ({"groupMembers": "C-1"}, ["groupMembers is 'C-1'", "groupMembers[].id"]),
        ({"accountRanges": [{"sortOrder": "a"}]}, ["accountRanges[].sortOrder is 'a'", "whole number"]),
        ({"isOnHold": "true"}, ["isOnHold is 'true'", "true or false"]),
        ({"isOnHold": 1}, ["isOnHold is 1", "true or false"]),
        ({"creditLimit": "1,000.00"}, ["creditLimit is '1,000.00'", "without thousands separators"]),
        ({"creditLimit": float("nan")}, ["creditLimit is nan", "number"]),
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
        ({"name": {"first": "x"}}, ["name is {'first': 'x'}", "must be text"]),
    ],
)
def test_coerce_refusals_name_record_field_value_and_the_nearest(record, parts):
    message = untyped(record)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("word", ["yes", "no", "1", "0", "on"])
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
    [record] = read(json.dumps([{"id": "x"}])[:-2] + f', "n": {number:f}}}]', "x.json")
    assert str(record["n"]) == format(number, "f")
