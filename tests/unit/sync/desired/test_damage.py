"""What spreadsheets and data frames leave in place of values is seen before anyone writes it."""

from dataclasses import replace

import pytest

from intacct_provider.sync.desired.cell_rules import CellRules
from intacct_provider.sync.desired.damage import warn_of_text
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
                "#NV", "#WERT!", "#ÜBERLAUF!", "#N/D", "#¡VALOR!", "#¡DIV/0!", "#¿NOMBRE?", "#VALEUR!", "#DZIEL/0!",
                "#I/T", "#\u041d/Д", "#ДЕЛ/0!", "#ИМЯ?", "#DĚLENÍ_NULOU!", "#REF", "#########",
            )
        ],
        *[(cell, "data frame") for cell in ("nan", "NaN", "NAN", "NaT", "<NA>", "1.#QNAN", "-1.#IND")],
        *[
            (cell, "shortened")
            for cell in ("4.7E+17", "1E+15", "-1.23457E-05", "4,7E+17", "4.7e+17", "470.00E+15")
        ],
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
        "#1/25",
        "##",
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


@pytest.mark.parametrize("cell", [" ", "\u00a0", "\u200b", "\ufeff", "\u2060 \u00ad", "\u3164"])
def test_a_cell_in_which_nothing_can_be_seen_leaves_its_field_alone(cell):
    desired = read_desired_file("x.csv", f'id,name\nA,"{cell}"\n'.encode(), Layout(match_on="id"))
    assert desired.records == ({"id": "A"},)


@pytest.mark.parametrize("cell", ["#N/A", "#NAME?", "nan"])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_row_does_not_silently_go_where_the_cell_that_says_so_is_damaged(cell, allowed):
    rules = CellRules(where={"team": ["Finance"]})
    layout = Layout(
        match_on="id", columns={"team": None, "note": None}, rules=rules, allow_damaged_text=allowed
    )
    text = f"id,team,note\nA,Finance,{cell}\nB,{cell},x\nC,Sales,x\n"
    desired = read_desired_file("x.csv", text.encode(), layout)
    if allowed:
        assert desired.records == ({"id": "A"},)
        return
    [problem] = convert_records(desired, MODEL, match_on="id")[1]
    assert str(problem).startswith(f"line 3 ('B'): team is {cell!r}")
    assert "whether the row counts" in str(problem)
    named = replace(layout, rules=CellRules(where={"team": ["Finance", cell]}))
    assert not read_desired_file("x.csv", text.encode(), named).problems


def test_the_mark_of_a_row_must_be_certain_too():
    text = "DONOTIMPORT,id\n#,Required\n###,A\n#N/A,B\n,C\n"
    desired = read_desired_file("x.csv", text.encode(), Layout(match_on="id"))
    assert [str(problem) for problem in convert_records(desired, MODEL, match_on="id")[1]] == [
        (
            "line 4 ('B'): DONOTIMPORT is '#N/A', an error value of a spreadsheet; correct it, or set "
            "allow_damaged_text=True to take such text as it is. It says whether the row counts"
        )
    ]


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
    two, *others = warn_of_text(desired)
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
    assert list(warn_of_text(desired)) == []
    assert desired.records[0] == {"id": "A", "name": None, "term": {"id": None}}
