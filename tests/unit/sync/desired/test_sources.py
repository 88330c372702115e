"""Desired records: read from files, checked, typed; every mistake is named with its place."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.problems import raise_problems


def read(text: str | bytes, name: str = "customers.csv", match_on: str = "id", **arguments) -> list[dict]:
    desired = read_desired_file(name, encoded(text), Layout(match_on=match_on, **arguments))
    assert desired.problems == ()
    return list(desired.records)


def refusal(text: str | bytes, name: str = "customers.csv", match_on: str = "id", **arguments) -> str:
    """Return the message of what is wrong, whether reading fails or some records are reported."""
    with pytest.raises(IntacctArgumentError) as caught:
        raise_problems(
            name, read_desired_file(name, encoded(text), Layout(match_on=match_on, **arguments)).problems
        )
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    return message


def encoded(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


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


def test_csv_columns_without_a_header_and_without_values_do_not_count():
    assert read("id,,name,,\nC-1,,x,, \n") == [{"id": "C-1", "name": "x"}]


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
        ("id,name\n", ["no records", "empty desired state is rejected", "mirror"]),
        ("idd,name\nC-1,x\n", ["line 1", "id is not a column", "Did you mean 'idd'?"]),
        ("id,name,id\nC-1,x,y\n", ["line 1, column 3", "'id' is also in column 1"]),
        ("id,,name\nC-1,x,y\n", ["line 2: column 2 has a value but no header"]),
        ("id,term..id\nC-1,x\n", ["line 1, column 2", "'term..id' is not a field path"]),
        ("id,a[].b[].c\nC-1,x\n", ["line 1, column 2", "'a[].b[].c' is not a field path"]),
        ("id,term,term.id\nC-1,x,y\n", ["line 1, column 3", "'term.id' and 'term' set the same field"]),
        ("id,m[].id,m\nC-1,x,y\n", ["line 1, column 3", "'m' and 'm[].id' set the same field"]),
        ("id,m[].id,m.key\nC-1,x,y\n", ["line 1, column 3", "'m.key' and 'm[].id'"]),
        ("id;name,x\nC-1,x,y\n", ["line 1", "comma and semicolon", "use commas"]),
        ("\nid;na\tme\nC-1;x\n", ["line 2", "semicolon and tab"]),
        ("id,name\nC-1,x,y\n", ["line 2", "3 cells under a header of 2", "double quotes"]),
        ('id,name\nC-1,"two\nlines"\nC-2,a,b\n', ["line 4", "3 cells"]),
        ('id,name\nC-1,"open\n', ["line 2", "not valid CSV", "double quotes"]),
        ("id,name\nC-1,x\nC-2,y\nC-1,z\n", ["line 4 ('C-1'): id is 'C-1' in line 2 already"]),
        ("id,name\nC-1,x\n,y\n", ["line 3: id is not given"]),
        ("id,name\nC-1 ,x\n", ["line 2", "id is 'C-1 ', which starts or ends with a space"]),
        ("id,m[].id,m[].n\nC-1,a|b,x\n", ["line 2: m[].n has 1 parts", "'m[].id' has 2"]),
        ("id,m[].id\nC-1,a||b\n", ["line 2: m[].id", "empty part"]),
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


def test_utf16_is_named():
    assert "line 1: the file is UTF-16" in refusal("id,name\nC-1,x\n".encode("utf-16"))


def test_many_problems_come_in_one_message_of_ten():
    message = refusal("id,name\n" + "".join(f"C-{n},a,b\n" for n in range(14)))
    assert "14 problems" in message
    assert "line 11:" in message
    assert "line 12:" not in message
    assert message.endswith("and 4 more")


def test_of_many_duplicates_all_but_the_first_are_problems():
    message = refusal("id,name\n" + "C-1,x\n" * 13)
    assert "12 problems" in message
    assert "line 3 ('C-1'): id is 'C-1' in line 2 already" in message


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
        ("x.json", '[{"ID": "C-1"}]', ["record 1: id is not given", "Did you mean 'ID'?"]),
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
        ("x.jsonl", '{"id": "C-1"}\n{"id": "C-1"}\n', ["line 2 ('C-1'): id is 'C-1' in line 1 already"]),
        ("x.jsonl", "\n", ["no records"]),
    ],
)
def test_json_refusals_name_the_place_and_not_the_content(name, text, parts):
    message = refusal(text, name)
    for part in parts:
        assert part in message
    assert "secret" not in message


@pytest.mark.parametrize("name", ["customers.xls", "customers", "customers.cvs"])
def test_another_suffix_names_the_formats(name):
    message = refusal("id\nC-1\n", name)
    assert "use .csv, .tsv, .xlsx, .json, .jsonl" in message
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
        ([{"id": "C-1"}, {"name": "x", "i_d": "C-2"}], ["record 2: id is not given", "Did you mean 'i_d'?"]),
        ([{"id": "15"}, {"id": 15}], ["record 2 ('15'): id is '15' in record 1 already"]),
        ([{"id": "C\x00-1"}], ["record 1", "control character U+0000"]),
        ([{"id": "C-1\n2"}], ["record 1", "control character U+000A"]),
        ([{"id": "  "}], ["record 1", "id is blank"]),
        ([{"id": 1.0}], ["record 1", "id is 1.0"]),
    ],
)
def test_records_that_are_refused(records, parts):
    with pytest.raises(IntacctArgumentError) as caught:
        raise_problems(
            "desired", read_desired_records(records, Layout(match_on="id"), source="desired").problems
        )
    assert str(caught.value).startswith("desired: ")
    for part in parts:
        assert part in str(caught.value)


def test_records_may_be_dotted_or_nested_and_come_from_a_generator():
    given = (record for record in [{"term.id": "a"}, {"term": {"id": "b"}}])
    desired = read_desired_records(given, Layout(match_on="term.id"), source="desired")
    assert desired.records == ({"term": {"id": "a"}}, {"term": {"id": "b"}})
    assert (desired.places, desired.problems, desired.from_text) == (("record 1", "record 2"), (), False)
