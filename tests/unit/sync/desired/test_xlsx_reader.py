"""Tables as spreadsheets and Intacct's import templates write them."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import re
import zipfile
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.cell_rules import CellRules
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.desired.state import encode_rejected
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.lookalikes import is_unseen

MODEL = {
    "fields": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "isOnHold": {"type": "boolean"},
        "creditLimit": {"type": "string", "format": "decimal-precision-2"},
        "startDate": {"type": "string", "format": "date"},
    }
}


def read(content, name="x.csv", **layout):
    data = content.encode() if isinstance(content, str) else content
    return read_desired_file(name, data, Layout("id", **layout))


def records(content, name="x.csv", **layout):
    desired = read(content, name, **layout)
    assert not desired.problems, list(map(str, desired.problems))
    return list(desired.records)


def refusal(content, name="x.csv", **layout):
    with pytest.raises(IntacctArgumentError) as caught:
        read(content, name, **layout)
    return str(caught.value)


def problems(desired):
    return [str(problem) for problem in convert_records(desired, MODEL, match_on="id")[1]]


def workbook(*rows, formats=(), sheets=(), merged=(), hidden=()):
    """Return a workbook with these rows, number formats by cell, other sheets, merged ranges and hidden rows."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Customers"
    for row in rows:
        sheet.append(row)
    for cell, number_format in dict(formats).items():
        sheet[cell].number_format = number_format
    for cells in merged:
        sheet.merge_cells(cells)
    for number in hidden:
        sheet.row_dimensions[number].hidden = True
    for name, other in dict(sheets).items():
        added = book.create_sheet(name)
        for row in other:
            added.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# --- text


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={}"])
def test_a_first_line_says_the_separator(ending, separator, line):
    text = ending.join([line.format(separator), f"id{separator}name", f"C-1{separator}a.b", ""])
    desired = read(text)
    assert desired.records == ({"id": "C-1", "name": "a.b"},)
    assert desired.places == ("line 3",)


def test_lines_that_end_in_cr_are_lines():
    assert records("id;name\rC-1;x, y\rC-2;z\r") == [
        {"id": "C-1", "name": "x, y"},
        {"id": "C-2", "name": "z"},
    ]


def test_cells_of_tsv_are_separated_by_tabs_whatever_else_the_header_has():
    assert records("id\tname\nC-1\ta, b; c\n", "x.TSV") == [{"id": "C-1", "name": "a, b; c"}]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_rows_that_are_shorter_or_longer_by_empty_cells_are_whole(widths):
    lines = [
        ",".join([f"C-{n}", *["v"] * min(width, 2), *[""] * 3][: width + 1]) for n, width in enumerate(widths)
    ]
    found = records("id,a,b\n" + "\n".join(lines) + "\n")
    assert [len(record) for record in found] == [1 + min(width, 2) for width in widths]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv.gz", "id,name\nC-1,x\n"),
        ("x.tsv.gz", "id\tname\nC-1\tx\n"),
        ("x.json.gz", '[{"id": "C-1", "name": "x"}]'),
        ("x.jsonl.GZ", '{"id": "C-1", "name": "x"}\n'),
        ("x.yaml.gz", "- {id: C-1, name: x}\n"),
    ],
)
def test_text_may_be_compressed(name, content):
    data = gzip.compress(content.encode())
    assert records(data, name) == [{"id": "C-1", "name": "x"}]
    assert "not a complete gzip file" in refusal(data[:-9], name)
    assert "not a complete gzip file" in refusal(content, name)


def test_only_text_may_be_compressed():
    assert "only text may be compressed" in refusal(gzip.compress(b"PK"), "x.xlsx.gz")


@pytest.mark.parametrize("cell", ["1", "0", "T", "F", "t", "f", "TRUE", "False", " true "])
def test_booleans_of_tables(cell):
    desired = read(f"id,isOnHold\nC-1,{cell}\n")
    [record], found = convert_records(desired, MODEL, match_on="id")
    assert not found
    assert record["isOnHold"] is (cell.strip().lower() in ("1", "t", "true"))


# --- templates, and rules for rows and cells

TEMPLATE = """\
DONOTIMPORT,CUSTOMER_ID,NAME,ON_HOLD,CREDIT_LIMIT
#,"Unique, required",Required,T or F,Optional
,C-1,One,T,10.50
#,C-2,Two,F,
,C-3,Three,F,
"""


def test_an_import_template_is_read_as_it_comes():
    columns = {"CUSTOMER_ID": "id", "ON_HOLD": "isOnHold"}
    desired = read(TEMPLATE, columns=columns)
    typed, found = convert_records(desired, MODEL, match_on="id")
    assert not found
    assert typed == [
        {"id": "C-1", "name": "One", "isOnHold": True, "creditLimit": "10.50"},
        {"id": "C-3", "name": "Three", "isOnHold": False},
    ]
    assert desired.places == ("line 3", "line 5")
    assert desired.left_out == 2
    assert "C-2" in desired.spared


def test_upper_case_headers_of_other_tables_stay():
    assert records("id,NAME\nC-1,x\n") == [{"id": "C-1", "NAME": "x"}]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"region": "EMEA"}, ["A", "D"]),
        ({"region": ["EMEA", "APAC"]}, ["A", "B", "D"]),
        ({"region": ""}, ["C"]),
        ({"region": None, "active": True}, ["C"]),
        ({"region": "EMEA", "year": 2026}, ["A"]),
    ],
)
def test_where_says_which_rows_count(where, ids):
    text = "id,region,active,year\nA, EMEA ,true,2026\nB,APAC,false,2026\nC,,TRUE,2026\nD,EMEA,false,2025\n"
    layout = {"columns": {"region": None, "active": None, "year": None}, "rules": CellRules(where=where)}
    desired = read(text, **layout)
    assert [record["id"] for record in desired.records] == ids
    assert desired.left_out == 4 - len(ids)
    rows = [
        {"id": "A", "region": "EMEA", "active": True, "year": 2026},
        {"id": "B", "region": "APAC", "active": False, "year": Decimal("2026.0")},
        {"id": "C", "region": None, "active": True, "year": 2026.0},
        {"id": "D", "region": "EMEA", "active": False, "year": 2025},
    ]
    for table in (True, False):
        found = read_desired_records(rows, Layout("id", **layout), source="x", table=table)
        assert [record["id"] for record in found.records] == ids


def test_where_that_keeps_nothing_is_refused():
    message = refusal("id,name\nA,x\nB,y\n", rules=CellRules(where={"name": "z"}))
    assert "none of the 2 rows counts" in message
    assert "mirror" in message


def test_value_maps_say_what_cells_stand_for():
    maps = {"name": {"-": None, "": "unnamed", "1": "one"}, "isOnHold": {"Y": True, "N": False}}
    text = "id,name,isOnHold\nA,-,Y\nB,,N\nC,1,true\nD,other,\n"
    assert records(text, rules=CellRules(value_maps=maps)) == [
        {"id": "A", "name": None, "isOnHold": True},
        {"id": "B", "name": "unnamed", "isOnHold": False},
        {"id": "C", "name": "one", "isOnHold": "true"},
        {"id": "D", "name": "other"},
    ]


def test_trim_removes_spaces_around_cells():
    text = 'id,name\n" A ","\u00a0x y\t"\n'
    assert records(text, rules=CellRules(trim=True)) == [{"id": "A", "name": "x y"}]
    assert "starts or ends with a space" in str(read(text).problems[0])


@pytest.mark.parametrize("rules", [{"where": {"nam": "x"}}, {"value_maps": {"nam": {"x": "y"}}}])
def test_rules_for_columns_that_do_not_exist_are_refused(rules):
    message = refusal("id,name\nA,x\n", rules=CellRules(**rules))
    assert f"{next(iter(rules))} names 'nam', which does not exist. Did you mean 'name'?" in message


@pytest.mark.parametrize("rules", [{"where": "x"}, {"value_maps": {"name": "x"}}, {"value_maps": ["x"]}])
def test_rules_of_another_form_are_refused(rules):
    with pytest.raises(IntacctArgumentError, match=next(iter(rules))):
        CellRules(**rules)


@pytest.mark.parametrize("value", ["46082", 46082, Decimal(46082), 46082.0])
def test_a_number_in_a_date_is_named_as_the_date_that_it_is_in_excel(value):
    desired = read_desired_records([{"id": "A", "startDate": value}], Layout("id"), source="x", table=True)
    assert "which Excel shows as 2026-03-01; format the cell as a date" in problems(desired)[0]


# --- workbooks


def test_a_workbook_has_values_as_excel_shows_them():
    data = workbook(
        [],
        ["id", "name", "isOnHold", "creditLimit", "startDate"],
        ["C-1", "x", True, 0.1 + 0.2, dt.date(2026, 3, 1)],
        [],
        [1001, 7, False, 1e3, dt.date(2026, 3, 2)],
        [123, None, None, None],
        formats={"A6": "00000"},
    )
    desired = read(data, "x.xlsx")
    typed, found = convert_records(desired, MODEL, match_on="id")
    assert not found
    assert desired.places == ("row 3", "row 5", "row 6")
    assert typed == [
        {"id": "C-1", "name": "x", "isOnHold": True, "creditLimit": "0.3", "startDate": "2026-03-01"},
        {"id": "1001", "name": "7", "isOnHold": False, "creditLimit": "1000", "startDate": "2026-03-02"},
        {"id": "00123"},
    ]


def test_cells_that_cannot_be_trusted_are_problems():
    data = workbook(["id", "name"], ["C-1", "=1+1"], ["C-2", 470000000000000000], ["C-3", "ok"])
    assert problems(read(data, "x.xlsx")) == [
        "row 2 ('C-1'): name is a formula without a value; open the workbook in Excel, calculate it and save it",
        (
            "row 3 ('C-2'): name is 470000000000000000, a number of which Excel keeps only 15 digits; format the cell "
            "as text and enter the value again"
        ),
    ]


def test_formulas_have_the_value_that_excel_saved():
    data = workbook(["id", "name"], ["C-1", "=1+1"], ["C-2", '=""'])
    cached = rewrite(data, r"<f>1\+1</f><v></v>", "<f>1+1</f><v>2</v>")
    cached = rewrite(cached, r'<c r="B3"><f>""</f><v></v>', '<c r="B3" t="str"><f>""</f><v></v>')
    desired = read(cached, "x.xlsx")
    assert desired.records == ({"id": "C-1", "name": 2}, {"id": "C-2"})


def test_text_that_excel_made_a_date_of_is_a_problem_unless_allowed():
    data = workbook(
        ["id", "name", "startDate"], ["C-1", dt.date(2026, 3, 1), dt.date(2026, 3, 1)], ["C-2", "3-1", None]
    )
    [problem] = problems(read(data, "x.xlsx"))
    assert problem.startswith("row 2 ('C-1'): name is 2026-03-01, a date in Excel")
    typed, found = convert_records(read(data, "x.xlsx", allow_damaged_text=True), MODEL, match_on="id")
    assert not found
    assert typed[0] == {"id": "C-1", "name": "2026-03-01", "startDate": "2026-03-01"}
    assert "is 2026-03-01, a date" in problems(read(workbook(["id"], [dt.date(2026, 3, 1)]), "x.xlsx"))[0]


@pytest.mark.parametrize(
    "shown", ['"INV-"0000', "000-00-0000", "(000) 000-0000", "$#,##0", "[$€-407] #,##0", "0\\.00"]
)
def test_text_is_not_what_excel_does_not_show(shown):
    data = workbook(
        ["id", "name", "creditLimit"], ["C-1", 5551234, 5551234], formats={"B2": shown, "C2": shown}
    )
    [problem] = problems(read(data, "x.xlsx"))
    assert problem.startswith("row 2 ('C-1'): name is 5551234, a number that Excel shows in the format")
    typed, found = convert_records(read(data, "x.xlsx", allow_damaged_text=True), MODEL, match_on="id")
    assert not found
    assert typed == [{"id": "C-1", "name": "5551234", "creditLimit": "5551234"}]
    desired = read(data, "x.xlsx")
    assert b'"name":5551234' in b"".join(
        encode_rejected(desired, convert_records(desired, MODEL, match_on="id")[1])
    )


@pytest.mark.parametrize(
    ("shown", "text"),
    [("General", "7"), ("0", "7"), ("#,##0", "7"), ("@", "7"), ("[Red]0;-0", "7"), ("_(* #,##0_)", "7"), ("000", "007"),
     ("0000;@", "0007"), ("#\\ ##0", "7"), ("0.00E+00", "7")],
)  # fmt: skip
def test_numbers_whose_digits_excel_shows_are_text_too(shown, text):
    data = workbook(["id", "name"], ["C-1", 7], formats={"B2": shown})
    assert convert_records(read(data, "x.xlsx"), MODEL, match_on="id") == ([{"id": "C-1", "name": text}], [])


@pytest.mark.parametrize(("value", "shown"), [(0.15, "15"), (1, "100"), (0.125, "12.5")])
@pytest.mark.parametrize("column", ["name", "creditLimit"])
def test_percentages_are_not_what_excel_shows(value, shown, column):
    data = workbook(["id", column], ["C-1", value], formats={"B2": "0.0%"})
    desired = read(data, "x.xlsx")
    [problem] = problems(desired)
    assert f"{column} is {value}" in problem
    if column == "creditLimit":
        assert f"which Excel shows as {shown}" in problem
        typed, found = convert_records(read(data, "x.xlsx", allow_damaged_text=True), MODEL, match_on="id")
        assert (typed, found) == ([{"id": "C-1", "creditLimit": str(value)}], [])
    rejected = convert_records(desired, MODEL, match_on="id")[1]
    assert f'"{column}":{value}'.encode() in b"".join(encode_rejected(desired, rejected))


def test_cells_that_are_merged_with_another_are_problems():
    book = workbook(
        ["id", "name", "isOnHold"], ["C-1", "x"], ["C-2"], ["C-3", "y"], merged=["B2:B3", "C2:C4"]
    )
    assert problems(read(book, "x.xlsx")) == [
        "row 3 ('C-2'): name is merged with B2; unmerge the cells and fill in each"
    ]
    titled = workbook(["id", None], ["C-1"], merged=["A1:B1"])
    assert records(titled, "x.xlsx") == [{"id": "C-1"}]


def test_hidden_rows_count_and_are_told():
    rows = [["id"], ["C-1"], ["C-2"], ["C-3"], [None]]
    assert read(workbook(*rows), "x.xlsx").warnings == ()
    desired = read(workbook(*rows, hidden=[3, 4, 5]), "x.xlsx")
    assert len(desired.records) == 3
    [warning] = desired.warnings
    assert warning.startswith("Row 3 and 1 more of the sheet are hidden or filtered out in Excel")
    assert read(workbook(*rows, hidden=[3, 4]), "x.xlsx", rules=CellRules(where={"id": "C-1"})).warnings == ()


def test_characters_that_excel_escapes_are_read():
    data = workbook(
        ["id", "name"], ["C-1", "two_x000D_\nlines"], ["C-2", "a_x005F_x000D_b"], ["C-3", "_x00e9_"]
    )
    assert [record["name"] for record in records(data, "x.xlsx")] == ["two\r\nlines", "a_x000D_b", "é"]


def test_a_value_beyond_the_header_is_told_in_the_words_of_a_sheet():
    data = workbook(["id"], ["C-1", "x"])
    [problem] = problems(read(data, "x.xlsx"))
    assert "2 cells under a header of 1; name their columns in the header" in problem


def test_dimensions_that_a_program_wrote_wrong_cut_nothing_off():
    data = workbook(["id", "name"], ["C-1", "x"], ["C-2", "y"])
    wrong = rewrite(data, r'<dimension ref="[^"]*"', '<dimension ref="A1:A2"')
    assert records(wrong, "x.xlsx") == [{"id": "C-1", "name": "x"}, {"id": "C-2", "name": "y"}]


def rewrite(data, pattern, text):
    """Return a workbook with other XML in its first sheet."""
    source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                content, count = re.subn(pattern, lambda _: text, content.decode())
                assert count == 1, content
            written.writestr(name, content)
    return target.getvalue()


def test_the_sheet_must_be_clear():
    rows = ["id"], ["C-1"]
    data = workbook(*rows, sheets={"Notes": [["note"]], "Empty": []})
    message = refusal(data, "x.xlsx")
    assert "has 2 sheets; say which one with sheet=: 'Customers', 'Notes'" in message
    assert records(data, "x.xlsx", sheet="Customers") == [{"id": "C-1"}]
    assert "Did you mean 'Customers'?" in refusal(data, "x.xlsx", sheet="customers")
    assert records(workbook(*rows, sheets={"Empty": []}), "x.xlsx") == [{"id": "C-1"}]
    assert "sheet is for workbooks" in refusal("id\nC-1\n", sheet="Customers")


@pytest.mark.parametrize("content", [b"", b"PK", b"id,name\nC-1,x\n", workbook.__doc__.encode()])
def test_what_is_not_a_workbook_is_refused(content):
    assert "the workbook cannot be read" in refusal(content, "x.xlsx")


@pytest.mark.parametrize("name", ["x.xls", "x.ods"])
def test_other_workbooks_are_refused(name):
    assert "use .csv, .tsv, .xlsx" in refusal(b"", name)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**14), 10**14),
    st.decimals(-(10**9), 10**9, places=2).map(float),
    st.dates(dt.date(1950, 1, 1), dt.date(2100, 1, 1)),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=12).filter(
        lambda text: (
            text == text.strip() and text[:1] not in ("=", "{", "[") and not (text and is_unseen(text))
        )
    ),
)


@settings(deadline=None)
@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_is_entered_in_a_workbook_is_read(rows):
    data = workbook(["id", "a", "b"], *([f"C-{n}", *row] for n, row in enumerate(rows)))
    found = records(data, "x.xlsx")
    for record, row in zip(found, rows, strict=True):
        for name, value in zip("ab", row, strict=True):
            expected = Decimal(str(value)) if isinstance(value, float) else value
            assert record.get(name) == (None if value == "" else expected)
