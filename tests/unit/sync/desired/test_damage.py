"""What spreadsheets and data frames leave in place of values is seen before anyone writes it."""

import pytest

from intacct_provider.sync.desired.damage import warn_of_words
from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records
from intacct_provider.sync.desired.typed_records import convert_records

MODEL = {
    "fields": {"id": {"type": "string"}, "name": {"type": "string"}},
    "refs": {"term": {"apiObject": "accounts-receivable/term", "fields": {"id": {"type": "string"}}}},
}


def find_problems(text, **layout):
    desired = read_desired_file("x.csv", text.encode(), Layout(match_on="id", **layout))
    return list(map(str, convert_records(desired, MODEL, match_on="id")[1]))


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        *[
            (cell, "an error value of a spreadsheet")
            for cell in (
                "#N/A", "#REF!", "#ERROR!", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!",
                "#GETTING_DATA", "#BLOCKED!", "#FIELD!", " #n/a ", "#CONNECT!", "Err:502", "#UNKNOWN!",
            )
        ],
        *[(cell, "data frame") for cell in ("nan", "NaN", "NAN", "NaT", "<NA>")],
        *[(cell, "shortened") for cell in ("4.7E+17", "1E+15", "-1.23457E-05", "4,7E+17")],
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["name", "term.id", "unknown"])
def test_damaged_text_is_a_problem_with_its_place_unless_allowed(cell, part, field):
    text = f'id;{field}\nA;"{cell}"\n'
    [problem] = find_problems(text)
    assert problem.startswith(f"line 2 ('A'): {field} is ")
    assert part in problem
    assert "allow_damaged_text=True" in problem
    assert find_problems(text, allow_damaged_text=True) == []


@pytest.mark.parametrize("cell", ["4.7E+17", "#REF!", "nan"])
def test_a_damaged_id_is_a_problem(cell):
    assert f"id is {cell!r}" in find_problems(f"id;name\n{cell};x\n")[0]


@pytest.mark.parametrize(
    "cell",
    [
        "Nan Goldin",
        "1e3",
        "E+17",
        "4.7E17",
        "#1",
        "#sales",
        "# N/A",
        "12E+3",
        "Banana",
        "NA",
        "see #REF! in A1",
    ],
)
def test_other_text_is_text(cell):
    assert find_problems(f"id;name\nA;{cell}\n") == []


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_problems_with_place(char):
    records = [{"id": "A", "name": f"x{char}y", "term": {"id": "N\t30"}}]
    desired = read_desired_records(records, Layout(match_on="id"), source="x")
    [problem] = convert_records(desired, MODEL, match_on="id")[1]
    assert str(problem).startswith("record 1 ('A'): name is ")
    assert f"control character U+{ord(char):04X}" in str(problem)


def test_line_breaks_in_text_are_allowed():
    assert find_problems('id;name\nA;"two\nlines"\n') == []


def test_a_bare_name_where_a_reference_is_needed_is_answered_with_the_object():
    desired = read_desired_records([{"id": "A", "term": "Net 30"}], Layout(match_on="id"), source="x")
    [problem] = convert_records(desired, MODEL, match_on="id")[1]
    assert "term is 'Net 30'" in str(problem)
    assert '{"id": "Net 30"}' in str(problem)


def test_words_for_nothing_are_warnings_and_markers_clear():
    text = "id;name;term.id\nA;NULL;None\nB;NULL;N/A\nC;Nullmann;x\n"
    desired = read_desired_file("x.csv", text.encode(), Layout(match_on="id"))
    two, *others = warn_of_words(desired)
    assert two == (
        "2 records have the text 'NULL' in name (from line 2 on), which is written as it is; to clear the field there, "
        "give null_markers=['NULL']."
    )
    assert [text.partition(", ")[0] for text in others] == [
        "1 record has the text 'None' in term.id (in line 2)",
        "1 record has the text 'N/A' in term.id (in line 3)",
    ]
    layout = Layout(match_on="id", null_markers=["NULL", "None", "N/A"])
    desired = read_desired_file("x.csv", text.encode(), layout)
    assert list(warn_of_words(desired)) == []
    assert desired.records[0] == {"id": "A", "name": None, "term": {"id": None}}
