"""Tables, YAML and Parquet as desired records: numbered lists, other names, constants, markers of null."""

from __future__ import annotations

import csv
import datetime as dt
import io
from contextlib import suppress
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intacct_provider.client.http.codec import encode
from intacct_provider.exceptions import IntacctArgumentError, IntacctDesiredStateError
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.desired.state import encode_rejected
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.problems import Problem, raise_problems

#: Without a time zone.
MIDNIGHT = dt.datetime.fromisoformat("2026-01-02T00:00:00")
MODEL = {
    "fields": {
        "id": {"type": "string"},
        "name": {"type": "string", "nullable": False},
        "description": {"type": "string", "nullable": True},
        "isOnHold": {"type": "boolean"},
        "creditLimit": {"type": "number"},
        "graceDays": {"type": "integer"},
        "discountAmount": {"type": "string", "format": "decimal-precision-2"},
        "startDate": {"type": "string", "format": "date"},
        "reviewedAt": {"type": "string", "format": "date-time"},
    },
    "groups": {
        "restrictions": {"lists": {"locations": {"type": "string"}}},
        "memberFilter": {
            "fields": {"filterExpression": {"type": "string"}},
            "lists": {"filters": {"type": "object"}},
        },
    },
    "refs": {"term": {"apiObject": "accounts-receivable/term", "fields": {"id": {"type": "string"}}}},
    "lists": {
        "groupMembers": {"apiObject": "accounts-receivable/customer"},
        "accountRanges": {"apiObject": "general-ledger/account-range"},
        "accountGroupComputation": {"apiObject": "general-ledger/account-group-computation"},
    },
}


def read(text: str | bytes, name: str = "x.csv", **arguments) -> list[dict]:
    """Return the typed records of a file in which nothing is wrong."""
    data = text.encode() if isinstance(text, str) else text
    return good(read_desired_file(name, data, Layout(match_on="id", **arguments)))


def good(desired) -> list[dict]:
    records, problems = convert_records(desired, MODEL, match_on="id")
    assert [str(problem) for problem in problems] == []
    return records


def refusal(text: str | bytes, name: str = "x.csv", **arguments) -> str:
    """Return what is wrong, whether it is the file or its records."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(IntacctArgumentError) as caught:
        raise_problems(
            name,
            convert_records(
                read_desired_file(name, data, Layout(match_on="id", **arguments)), MODEL, match_on="id"
            )[1],
        )
    return str(caught.value)


def parquet(columns: dict, **schema) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns, **schema), file)
    return file.getvalue()


# --- numbered lists


def test_numbered_columns_make_a_list_that_ends_with_the_empty_cells():
    text = "id,groupMembers.1.id,groupMembers.2.id,groupMembers.3.id\nA,x,y,\nB,x,,\nC,,,\nD,x,y,z\n"
    assert read(text) == [
        {"id": "A", "groupMembers": [{"id": "x"}, {"id": "y"}]},
        {"id": "B", "groupMembers": [{"id": "x"}]},
        {"id": "C"},
        {"id": "D", "groupMembers": [{"id": "x"}, {"id": "y"}, {"id": "z"}]},
    ]


def test_numbered_columns_in_any_order_with_several_members_and_plain_values():
    text = (
        "accountRanges.2.rangeFrom,id,accountRanges.1.rangeTo,accountRanges.1.rangeFrom,"
        "accountRanges.1.sortOrder,restrictions.locations.1,restrictions.locations.2\n"
        "2000,A,1999,0010,0,100,0200\n"
    )
    assert read(text) == [
        {
            "id": "A",
            "accountRanges": [
                {"rangeTo": "1999", "rangeFrom": "0010", "sortOrder": 0},
                {"rangeFrom": "2000"},
            ],
            "restrictions": {"locations": ["100", "0200"]},
        }
    ]


def test_ten_and_more_elements_keep_the_order_of_their_numbers():
    numbers = range(1, 13)
    header = ",".join(f"groupMembers.{n}.id" for n in numbers)
    [record] = read(f"id,{header}\nA,{','.join(f'C-{n}' for n in numbers)}\n")
    assert record["groupMembers"] == [{"id": f"C-{n}"} for n in numbers]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("m.1.id,m.3.id", "there is a column of element 3, but no column m.2"),
        ("m.2.id", "there is a column of element 2, but no column m.1"),
        ("m.0.id", "'m.0.id' has element 0"),
        ("m.01.id", "'m.01.id' has element 01"),
        ("m.1.id,m[].id", "'m[].id' and 'm.1.id' set the same field"),
        ("m.1.id,m", "'m' and 'm.1.id' set the same field"),
        ("m.1,m.1.id", "'m.1.id' and 'm.1' set the same field"),
        ("m.1.id,m.name", "'m.name' and 'm.1.id' set the same field"),
    ],
)
def test_numbers_that_do_not_make_one_list_are_refused(header, text):
    assert text in refusal(f"id,{header}\nA,{',' * header.count(',')}\n")


def test_an_empty_cell_before_a_full_one_is_a_problem_with_its_column():
    message = refusal("id,groupMembers.1.id,groupMembers.2.id,groupMembers.3.id\nA,x,,z\n")
    assert message == (
        "x.csv: line 2 ('A'): groupMembers.2.id is empty, but element 3 is not; fill the elements from the first on"
    )


def test_a_list_of_ten_thousand_fits_into_one_cell():
    ids = [f"Customer number {n}" for n in range(10_000)]
    [record] = read(f"id,groupMembers[].id\nA,{'|'.join(ids)}\n")
    assert [member["id"] for member in record["groupMembers"]] == ids


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip)
MEMBERS = st.lists(TEXTS.filter(lambda text: text and text[0] not in "[{"), max_size=5)


@settings(derandomize=True, deadline=None)
@given(st.lists(MEMBERS, min_size=1, max_size=5))
def test_any_lists_in_numbered_columns_read_back(lists):
    width = max(1, max(map(len, lists)))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", *(f"groupMembers.{n}.id" for n in range(1, width + 1))])
    for number, members in enumerate(lists):
        writer.writerow([f"G-{number}", *members, *[""] * (width - len(members))])
    wanted = [
        {"id": f"G-{number}", **({"groupMembers": [{"id": one} for one in members]} if members else {})}
        for number, members in enumerate(lists)
    ]
    assert read(out.getvalue()) == wanted


# --- null


def test_the_marker_clears_and_an_empty_cell_leaves_alone():
    text = "id,description,term.id,groupMembers.1.id,groupMembers.2.id\nA,NULL, NULL ,NULL,\nB,,,,\nC,null,x,y,\n"
    assert read(text, null_marker="NULL") == [
        {"id": "A", "description": None, "term": {"id": None}, "groupMembers": []},
        {"id": "B"},
        {"id": "C", "description": "null", "term": {"id": "x"}, "groupMembers": [{"id": "y"}]},
    ]
    assert read("id,groupMembers[].id\nA,-\n", null_marker="-") == [{"id": "A", "groupMembers": []}]
    assert read("id,description\nA,NULL\n") == [{"id": "A", "description": "NULL"}]


def test_a_marker_where_nothing_may_be_null_is_a_problem():
    assert "name is null, but the field cannot be cleared" in refusal("id,name\nA,-\n", null_marker="-")


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
def test_a_marker_is_refused_where_null_can_be_written(name):
    assert "null_marker" in refusal('[{"id": "A"}]', name, null_marker="-")


# --- names and constants


def test_columns_get_other_names_and_some_are_left_out():
    text = "Customer group,Owner,Cust. No.,term.id\nA,me,x,N30\n"
    columns = {"Customer group": "id", "Owner": None, "Cust. No.": "groupMembers.1.id"}
    assert read(text, columns=columns) == [{"id": "A", "groupMembers": [{"id": "x"}], "term": {"id": "N30"}}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", '[{"Group": "A", "Terms": {"id": "N30", "x": 1}, "No. 1": "d", "Owner": {"a": 1}}]'),
        ("x.yaml", "- {Group: A, Terms: {id: N30, x: 1}, No. 1: d, Owner: {a: 1}}"),
    ],
)
def test_members_of_objects_get_other_names_too(name, text):
    columns = {"Group": "id", "Terms": "term", "Terms.x": None, "No. 1": "description", "Owner": None}
    assert read(text, name, columns=columns) == [{"id": "A", "term": {"id": "N30"}, "description": "d"}]


def test_problems_call_a_field_what_the_user_calls_it():
    columns = {"Group": "id", "Limit": "creditLimit", "Members": "groupMembers"}
    text = 'Group,Limit,Members,graceDays\nA,much,"[{""id"": """"}]",soon\n'
    assert refusal(text, columns=columns).splitlines()[1:] == [
        "  line 2 ('A'): Limit is 'much', but must be a number, such as 1000.50, without thousands separators",
        "  line 2 ('A'): Members (groupMembers.1.id) is blank; give null to clear the reference, or leave it out",
        "  line 2 ('A'): graceDays is 'soon', but must be a whole number, such as 1000",
    ]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"Grop": "id"}, "columns names 'Grop', which does not exist. Did you mean 'Group'?"),
        ({"Group": "a..b"}, "'Group' is mapped to 'a..b', which is not a field path"),
        ({"Group": 5}, "'Group' is mapped to 5, which is not a field path"),
        ({"Group": "id", "Name": "id"}, "'Name' and 'Group' set the same field"),
        ({"Group": None}, "id is not a column"),
        (["id"], "columns must be a mapping"),
    ],
)
def test_names_that_fit_nothing_are_refused(columns, text):
    assert text in refusal("Group,Name\nA,x\n", columns=columns)


def test_names_are_checked_in_objects_too():
    text = '[{"Group": "A", "Name": "x"}]'
    assert "Did you mean 'Group'?" in refusal(text, "x.json", columns={"Grop": "id"})
    assert "id is given twice" in refusal(text, "x.json", columns={"Group": "id", "Name": "id"})


def test_constants_are_given_to_every_record():
    constants = {"term.id": "N30", "restrictions": {"locations": ["1"]}, "isOnHold": True}
    expected = {"term": {"id": "N30"}, "restrictions": {"locations": ["1"]}, "isOnHold": True}
    assert read("id,name\nA,x\nB,\n", constants=constants) == [
        {"id": "A", "name": "x", **expected},
        {"id": "B", **expected},
    ]
    assert read('[{"id": "A"}]', "x.json", constants=constants) == [{"id": "A", **expected}]


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        ({"name": "y"}, "constants gives name, but so does x.csv in 'Name'; give it once"),
        ({"term": {"id": "y"}}, "constants gives term.id, but so does x.csv in 'term'"),
        ({"groupMembers": []}, "constants gives groupMembers, but so does x.csv in 'groupMembers.1.id'"),
        (["name"], "constants must be a mapping"),
    ],
)
def test_a_constant_that_a_column_also_gives_is_refused(constants, text):
    content = "id,Name,term,groupMembers.1.id\nA,,,\n"
    assert text in refusal(content, columns={"Name": "name"}, constants=constants)


def test_a_constant_is_checked_like_any_other_value():
    assert "graceDays is 'x', but must be a whole number" in refusal("id\nA\n", constants={"graceDays": "x"})


# --- YAML


def test_yaml_values_without_quotes_are_what_their_field_says():
    text = """
# groups
- id: NO
  name: on
  description: 2026-01-01
  isOnHold: true
  creditLimit: 1e3
  graceDays: 010
  discountAmount: 10.50
  startDate: 2026-01-01
  reviewedAt: 2026-01-01T01:00:00+01:00
  groupMembers: [{id: 0123}, {id: 1e3}, {id: 2026-01-01}, {id: y}, {id: 1_000}, {id: 12:30}]
  restrictions: {locations: [007, true]}
- id: 0123
  description: ~
  name: "null"
- id: 'true'
  description:
  term: {id: null}
"""
    assert read(text, "x.yml") == [
        {
            "id": "NO",
            "name": "on",
            "description": "2026-01-01",
            "isOnHold": True,
            "creditLimit": Decimal(1000),
            "graceDays": 10,
            "discountAmount": "10.50",
            "startDate": "2026-01-01",
            "reviewedAt": "2026-01-01T00:00:00Z",
            "groupMembers": [{"id": i} for i in ("0123", "1e3", "2026-01-01", "y", "1_000", "12:30")],
            "restrictions": {"locations": ["007", "true"]},
        },
        {"id": "0123", "description": None, "name": "null"},
        {"id": "true", "description": None},
    ]


def test_yaml_values_of_unknown_fields_are_what_json_would_have():
    text = """
- id: A
  memberFilter:
    filters:
      - $gt: {totalDue: 100}
      - $eq: {isOnHold: false}
      - $eq: {id: 0123}
      - $eq: {id: "15"}
      - $in: {status: [active, NO]}
      - $lt: {rate: 1.10}
"""
    [record] = read(text, "x.yaml")
    assert record["memberFilter"]["filters"] == [
        {"$gt": {"totalDue": 100}},
        {"$eq": {"isOnHold": False}},
        {"$eq": {"id": "0123"}},
        {"$eq": {"id": "15"}},
        {"$in": {"status": ["active", "NO"]}},
        {"$lt": {"rate": Decimal("1.10")}},
    ]
    assert all(type(value) is str for value in record["memberFilter"]["filters"][4]["$in"]["status"])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("id: A\nname: x\n", "line 1: the file must hold a list of records"),
        ("- id: A\n  name: x\n  name: y\n", "line 3: the name 'name' is given twice"),
        ("- id: &a A\n- id: *a\n", "line 1: '&a' is an anchor or alias"),
        ("- id: *x\n", "line 1: '*x' is an anchor or alias"),
        ("- &r {id: A}\n- <<: *r\n", "line 1: '&r'"),
        ("- id: A\n  <<: {name: x}\n", "line 2: '<<' merges"),
        ("- id: !!int 5\n", "line 1: the tag 'tag:yaml.org,2002:int' is not supported"),
        ("- id: !!python/object/apply:os.system [ls]\n", "line 1: the tag"),
        ("- id: A\n---\n- id: B\n", "line 3: a second document begins here"),
        ("- id: A\n  ? [1, 2]\n  : x\n", "line 2: the name of a field must be text"),
        ("- id: A\n  name: x: y\n", "line 2, column 10: not valid YAML"),
        ("- id: %x\n", "line 1, column 7: not valid YAML"),
        ("- id: 'open\n", "not valid YAML"),
        ("- id: A\n\tname: x\n", "line 2"),
        ("", "there are no records"),
        ("# nothing\n", "there are no records"),
        ("---\n", "line 2: the file must hold a list"),
        ("- A\n", "line 1: a record must be an object of fields, not"),
        ("- id: A\n-\n", "line 2: a record must be an object of fields"),
        ("- id: A\n  isOnHold: yes\n", "line 1 ('A'): isOnHold is 'yes', but must be true or false"),
        ("- id: A\n  isOnHold: 'true'\n", "isOnHold is 'true', but must be true or false"),
        ("- id: A\n  creditLimit: 0x1F\n", "creditLimit is '0x1F', but must be a number"),
        ("- id: A\n  creditLimit: 1_000\n", "creditLimit is '1_000', but must be a number"),
        ("- id: A\n  name: \x07\n", "not valid YAML"),
        ("- id: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("- id: " + "[" * 100_000, "nested more than 50 deep"),
    ],
)
def test_yaml_refusals_name_the_line(text, part):
    message = refusal(text, "x.yaml")
    assert message.startswith("x.yaml: ")
    assert part in message


WORDS = st.sampled_from(
    ["no", "NO", "on", "yes", "null", "~", "", "1e3", "0123", "2026-01-01", "12:30", "0x1F", ".5"]
)


@settings(derandomize=True, deadline=None)
@example({"unknown": -(10**17)})
@given(
    st.fixed_dictionaries(
        {
            "description": WORDS | TEXTS | st.none(),
            "isOnHold": st.booleans() | st.none(),
            "graceDays": st.integers(-(10**17), 10**17) | st.none(),
            "groupMembers": st.lists(st.fixed_dictionaries({"id": WORDS.filter(bool)}), max_size=3),
            "unknown": st.booleans() | st.integers(-(10**17), 10**17) | WORDS | TEXTS | st.none(),
        }
    )
)
def test_what_a_yaml_writer_writes_is_read_back(fields):
    record = {"id": "A", **fields}
    for style in (None, True, False):
        text = yaml.safe_dump([record], default_flow_style=style, allow_unicode=True)
        assert read(text, "x.yaml") == [record]


def test_yaml_records_are_placed_by_the_line_they_begin_on():
    desired = read_desired_file("x.yaml", b"\n- id: A\n  name: x\n\n-\n  id: B\n", Layout(match_on="id"))
    assert desired.places == ("line 2", "line 6")


# --- Parquet and rows


def test_parquet_values_of_every_type():
    table = {
        "id": ["A", "B"],
        "description": ["x", None],
        "isOnHold": [True, None],
        "creditLimit": pa.array([Decimal("10.50"), None], pa.decimal128(12, 2)),
        "graceDays": pa.array([7, None], pa.int64()),
        "discountAmount": pa.array([Decimal("1.10"), None], pa.decimal128(12, 2)),
        "startDate": pa.array([dt.date(2026, 1, 2), None]),
        "reviewedAt": pa.array(
            [dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC), None], pa.timestamp("ns", "UTC")
        ),
        "term": pa.array([{"id": "N30"}, None]),
        "groupMembers": pa.array([[{"id": "x"}, {"id": "y"}], None]),
        "restrictions.locations": pa.array([["1"], None]),
        "accountRanges.1.rangeFrom": ["1000", None],
    }
    assert read(parquet(table), "x.parquet") == [
        {
            "id": "A",
            "description": "x",
            "isOnHold": True,
            "creditLimit": Decimal("10.50"),
            "graceDays": 7,
            "discountAmount": "1.10",
            "startDate": "2026-01-02",
            "reviewedAt": "2026-01-02T03:04:05Z",
            "term": {"id": "N30"},
            "groupMembers": [{"id": "x"}, {"id": "y"}],
            "restrictions": {"locations": ["1"]},
            "accountRanges": [{"rangeFrom": "1000"}],
        },
        {"id": "B"},
    ]


def test_parquet_times_finer_than_pythons_are_cut():
    nanoseconds = pa.array([1_767_323_045_123_456_789], pa.timestamp("ns", "UTC"))
    desired = read_desired_file(
        "x.parquet", parquet({"id": ["A"], "reviewedAt": nanoseconds}), Layout(match_on="id")
    )
    assert type(desired.records[0]["reviewedAt"]) is dt.datetime
    assert good(desired) == [{"id": "A", "reviewedAt": "2026-01-02T03:04:05Z"}]


def test_parquet_whole_numbers_are_ids_and_midnights_are_dates():
    table = {"id": [15, 16], "startDate": pa.array([MIDNIGHT, None], pa.timestamp("us"))}
    assert read(parquet(table), "x.parquet") == [{"id": "15", "startDate": "2026-01-02"}, {"id": "16"}]


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"id": ["A"], "reviewedAt": pa.array([MIDNIGHT])}, "which has no time zone"),
        ({"id": ["A"], "startDate": pa.array([MIDNIGHT.replace(hour=1)])}, "must be a date"),
        ({"id": [1.0]}, "id is 1.0; it must be text"),
        ({"id": ["A"], "name": [b"x"]}, "name is b'x', but must be text"),
        ({"id": ["A"], "unknown": [b"x"]}, "which is of type bytes"),
        ({"id": ["A"], "creditLimit": [float("inf")]}, "creditLimit is inf, but must be a number"),
        ({"id": ["A", "A"]}, "row 2 ('A'): id is 'A' in row 1 already"),
        ({"idd": ["A"]}, "schema: id is not a column"),
        ({"id": pa.array([], pa.string())}, "there are no records"),
    ],
)
def test_parquet_refusals(table, part):
    assert part in refusal(parquet(table), "x.parquet")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"id,name\nA,x\n", b"PAR1" + b"\x00" * 100 + b"PAR1"])
def test_what_is_no_parquet_file_is_refused(data):
    assert "the Parquet file cannot be read" in refusal(data, "x.parquet")


def test_a_parquet_file_that_breaks_off_inside_is_refused():
    data = bytearray(parquet({"id": [f"C-{n}" for n in range(1000)]}))
    data[10:200] = b"\xff" * 190
    assert "Parquet file" in refusal(bytes(data), "x.parquet")


def test_rows_of_a_query_leave_alone_what_is_null():
    rows = [
        {"Group": "A", "name": "x", "groupMembers.1.id": "C-1", "description": None, "graceDays": Decimal(3)},
        {"Group": Decimal(15), "name": "", "groupMembers.1.id": None, "description": "-", "graceDays": None},
    ]
    desired = read_desired_records(
        rows, Layout(match_on="id", columns={"Group": "id"}, null_marker="-"), source="sql", table=True
    )
    assert desired.places == ("row 1", "row 2")
    assert good(desired) == [
        {"id": "A", "name": "x", "groupMembers": [{"id": "C-1"}], "graceDays": 3},
        {"id": "15", "description": None},
    ]


def test_rows_have_booleans_and_json_as_databases_do():
    flags = [1, 0, Decimal(1), "false", "TRUE", True, None]
    rows = [
        {"id": f"A{n}", "isOnHold": flag, "groupMembers": '[{"id": "C-1"}]'} for n, flag in enumerate(flags)
    ]
    records = good(read_desired_records(rows, Layout(match_on="id"), source="sql", table=True))
    assert [record.get("isOnHold") for record in records] == [True, False, True, False, True, True, None]
    assert records[0]["groupMembers"] == [{"id": "C-1"}]
    wrong = read_desired_records(
        [{"id": "A", "isOnHold": 2}], Layout(match_on="id"), source="sql", table=True
    )
    assert "must be true or false" in str(convert_records(wrong, MODEL, match_on="id")[1][0])


def test_records_clear_what_is_null():
    assert good(
        read_desired_records([{"id": "A", "description": None}], Layout(match_on="id"), source="x")
    ) == [{"id": "A", "description": None}]


@pytest.mark.parametrize(
    ("rows", "text"),
    [([], "there are no records"), ([["A"]], "row 1: a row must be an object"), ([{1: "A"}], "row 1")],
)
def test_rows_that_are_no_rows_are_refused(rows, text):
    with pytest.raises(IntacctArgumentError, match=text):
        read_desired_records(rows, Layout(match_on="id"), source="sql", table=True)


# --- values


@pytest.mark.parametrize(
    ("record", "part"),
    [
        ({"term": {"id": ""}}, "term.id is blank"),
        ({"groupMembers": [{"id": " "}]}, "groupMembers.1.id is blank"),
        ({"groupMembers": [{"id": "a"}, {}]}, "groupMembers.2 has neither id nor key"),
        ({"groupMembers": ["C-1"]}, "groupMembers.1 is 'C-1', but an element of this list is an object"),
        (
            {"groupMembers": [{"id": "a", "sortOrder": "0"}]},
            "groupMembers.1.sortOrder (value '0') is read-only",
        ),
        ({"accountRanges": [{"rangeFrm": "1"}]}, "Did you mean 'accountRanges.1.rangeFrom'?"),
        ({"accountRanges": [{"a": {"b": 1}, "a.b": 2}]}, "accountRanges.1 is ambiguous: a.b is given twice"),
        (
            {"accountGroupComputation": [{"operator": "plus"}]},
            "Allowed: add, subtract, multiply, divide",
        ),
        (
            {"accountGroupComputation": [{"formulaLeft": {"asOf": "startOfperiod"}}]},
            "accountGroupComputation.1.formulaLeft.asOf is 'startOfperiod'. Did you mean 'startOfPeriod'?",
        ),
        ({"memberFilter": {"filters": [{"$eqq": {"id": "x"}}]}}, "Did you mean '$eq'?"),
        (
            {"memberFilter": {"filters": [{"$eq": {"id": "x"}}], "filterExpression": "1 and 2"}},
            "names condition 2",
        ),
        ({"restrictions": {"locations": [1.5]}}, "restrictions.locations.1 is 1.5, but must be text"),
        ({"name": "half \ud800"}, "which has a lone surrogate"),
        ({"other": float("inf")}, "other is inf, which is not a number"),
        ({"other": {"deep": [{1, 2}]}}, "which is of type set"),
        ({"reviewedAt": MIDNIGHT}, "which has no time zone"),
        ({"other": MIDNIGHT}, "which has no time zone"),
    ],
)
def test_values_that_cannot_be_written_are_named(record, part):
    _, problems = convert_records(
        read_desired_records([{"id": "A", **record}], Layout(match_on="id"), source="x"), MODEL, match_on="id"
    )
    assert part in str(problems[0])
    assert str(problems[0]).startswith("record 1 ('A'): ")


def test_a_record_with_problems_is_none_and_the_others_are_typed():
    desired = read_desired_records(
        [{"id": "A", "graceDays": "x"}, {"id": "B", "graceDays": "1"}], Layout(match_on="id"), source="x"
    )
    records, [problem] = convert_records(desired, MODEL, match_on="id")
    assert records == [None, {"id": "B", "graceDays": 1}]
    assert problem == Problem(
        "record 1", "A", "graceDays", "'x'", "is 'x', but must be a whole number, such as 1000"
    )


# --- anything at all

SUFFIXES = st.sampled_from([".csv", ".json", ".jsonl", ".yaml", ".parquet"])
PIECES = st.sampled_from(
    [
        "id",
        "A",
        "\n",
        ",",
        ";",
        "\t",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "|",
        "&",
        "*",
        "!",
        "null",
        "1",
        ".",
        "\r",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.datetimes()
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        *MODEL["fields"],
        "term",
        "term.id",
        "groupMembers",
        "accountRanges",
        "restrictions",
        "memberFilter",
        "x",
    ]
)


@settings(derandomize=True, deadline=None)
@given(SUFFIXES, st.lists(PIECES, max_size=30).map("".join).map(str.encode) | st.binary(max_size=60))
def test_any_content_is_read_or_refused(suffix, data):
    with suppress(IntacctArgumentError):
        desired = read_desired_file(f"x{suffix}", data, Layout(match_on="id"))
        assert len(desired.records) == len(desired.places) > 0
        convert_records(desired, MODEL, match_on="id")
        list(encode_rejected(desired, desired.problems))


@settings(derandomize=True, deadline=None, max_examples=300)
@example({"isOnHold": Decimal("sNaN")}, True)
@given(st.dictionaries(FIELDS, VALUES, max_size=5), st.booleans())
def test_any_record_is_typed_so_that_it_can_be_sent_or_is_refused(fields, table):
    try:
        desired = read_desired_records(
            [{**fields, "id": "A"}], Layout(match_on="id"), source="x", table=table
        )
    except IntacctArgumentError:
        return  # two columns for one field
    [record], problems = convert_records(desired, MODEL, match_on="id")
    assert (record is None) == bool(problems)
    if record is not None:
        encode(record)
    list(encode_rejected(desired, problems))


# --- reporting


def test_the_error_has_all_problems_and_its_message_the_first_ten():
    problems = [Problem(f"line {n}", "", "name", "'x'", "is 'x'") for n in range(12)]
    with pytest.raises(IntacctDesiredStateError) as caught:
        raise_problems("x.csv", problems)
    assert caught.value.problems == tuple(problems)
    assert str(caught.value).count("\n") == 11
    assert str(caught.value).endswith("and 2 more")


def test_one_mistake_in_every_record_does_not_hide_the_others():
    text = "id,nmae,isOnHold,graceDays\n" + "".join(f"A{n},x{n},yes,{n}\n" for n in range(100)) + "B,,,soon\n"
    lines = refusal(text).splitlines()
    assert lines[0] == "x.csv: 201 problems"
    assert "nmae (value 'x0') is not a field of the object. Did you mean 'name'?" in lines[1]
    assert lines[1].endswith("To leave it out, give columns={'nmae': None}")
    assert lines[10] == "  line 102 ('B'): graceDays is 'soon', but must be a whole number, such as 1000"
    assert lines[11:] == ["  and 191 more"]


def test_a_message_stays_on_its_lines_whatever_an_id_has():
    with pytest.raises(IntacctDesiredStateError) as caught:
        raise_problems("x", [Problem("line 1", "a\nb\x1b[31m", "name", "", "is wrong")])
    assert str(caught.value) == "x: line 1 ('a\\nb\\x1b[31m'): name is wrong"


def test_rejected_lines_can_carry_every_value_that_was_refused():
    records = [
        {"id": "A", "creditLimit": float("inf"), "name": "half \ud800", "graceDays": {1}},
        {"id": "B"},
        {"id": "C", "creditLimit": Decimal("1.10"), "startDate": dt.date(2026, 1, 1), "isOnHold": 1},
        {"name": "none"},
    ]
    desired = read_desired_records(records, Layout(match_on="id"), source="x")
    _, problems = convert_records(desired, MODEL, match_on="id")
    lines = list(encode_rejected(desired, problems))
    assert len(lines) == 3
    assert lines[1].startswith(
        b'{"id":"C","creditLimit":1.10,"startDate":"2026-01-01","isOnHold":1,"_reject":'
    )
    again = read_desired_file(
        "x.jsonl", b"".join(lines), Layout(match_on="id", columns={"gone": "id"}, null_marker="-")
    )
    assert [record.get("id") for record in again.records] == ["A", "C", None]
    assert again.records[0]["creditLimit"] == "inf"
    assert all("_reject" not in record for record in again.records)


def test_a_column_of_rejects_is_left_out_of_a_table():
    assert read('id,_reject\nA,"{""place"": 1}"\n') == [{"id": "A"}]


@pytest.mark.parametrize("columns", [["id"], "id", 5])
def test_columns_of_a_list_of_records_must_be_a_mapping(columns):
    with pytest.raises(IntacctArgumentError, match="columns must be a mapping of column to field path, not"):
        read_desired_records([{"id": "A"}], Layout(match_on="id", columns=columns), source="desired")
