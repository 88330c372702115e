"""A filter written in Python means what it says, reads like its code, and becomes the JSON that Intacct documents."""

from __future__ import annotations

import ast
import copy
import datetime as dt
import functools
import json
import operator
import pickle
import re
from decimal import Decimal

import pendulum
import pytest
from filter_truth import Tree, trees
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client import query
from intacct_provider.client.query.expressions import OPPOSITES, Expression, compile_expression, field
from intacct_provider.client.query.filters import OPERATORS, check_filters, make_templatable
from intacct_provider.exceptions import IntacctArgumentError

PROVE = settings(derandomize=True, deadline=None, max_examples=300)


def leaf(comparison):
    name, value, compare = comparison
    by = getattr(operator, compare)
    return Tree(by(field(name), value), lambda row: None if row[name] is None else by(row[name], value))


COMPARISONS = st.tuples(
    st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])
)
TREES = trees(st.one_of(COMPARISONS.map(leaf), st.sampled_from("abc").map(Tree.null)), max_leaves=12)
ROWS = st.fixed_dictionaries(dict.fromkeys("abc", st.one_of(st.none(), st.integers(0, 3))))
MEANING = {
    "$eq": operator.eq, "$ne": operator.ne, "$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt,
    "$gte": operator.ge,
}  # fmt: skip


def matches(conditions, expression, row):
    """Evaluate Intacct's JSON on a row; Python reads its expression as Intacct does."""
    truths = [meets(condition, row) for condition in conditions]
    return eval(re.sub(r"\d+", lambda n: str(truths[int(n[0]) - 1]), expression), {})  # noqa: S307


def meets(condition, row):
    ((name, operand),) = condition.items()
    ((column, value),) = operand.items()
    if value is None:
        return (row[column] is None) is (name == "$eq")
    return row[column] is not None and MEANING[name](row[column], value)


# --- what it means


@PROVE
@given(TREES, st.lists(ROWS, min_size=1, max_size=20))
def test_a_compiled_expression_means_what_the_expression_says(tree, rows):
    conditions, expression = compile_expression(tree.expression)
    for row in rows:
        assert matches(conditions, expression, row) == (tree.holds(row) is True)


@PROVE
@given(TREES, st.lists(ROWS, min_size=1, max_size=20))
def test_a_negation_selects_the_complement_among_rows_without_nulls(tree, rows):
    some, others = compile_expression(tree.expression), compile_expression(~tree.expression)
    for row in rows:
        if None not in row.values():
            assert matches(*some, row) is not matches(*others, row)


@PROVE
@given(TREES)
def test_a_double_negation_is_the_expression(tree):
    assert ~~tree.expression == tree.expression


def test_every_operator_has_an_opposite_but_has():
    assert {*OPPOSITES, "$has"} == set(OPERATORS)
    assert all(OPPOSITES[OPPOSITES[one]] == one for one in OPPOSITES)
    assert all("ot" in OPPOSITES[one] for one in ("$in", "$between", "$contains", "$startsWith", "$endsWith"))
    assert [OPPOSITES[one] for one in ("$eq", "$lt", "$lte")] == ["$ne", "$gte", "$gt"]


def test_a_negation_is_pushed_down_to_the_conditions():
    some = (field("a") == 1) & ((field("b") < 2) | field("c").contains("x") | ~field("d").in_([1, 2]))
    assert compile_expression(~some) == (
        [
            {"$ne": {"a": 1}},
            {"$gte": {"b": 2}},
            {"$notContains": {"c": "x"}},
            {"$in": {"d": [1, 2]}},
        ],
        "1 or (2 and 3 and 4)",
    )


def test_has_cannot_be_negated_and_says_why():
    some = (field("a") == 1) | field("tags").has("x")
    with pytest.raises(IntacctArgumentError) as caught:
        _ = ~some
    assert str(caught.value).startswith(
        "field('tags').has('x') cannot be negated: Intacct has no opposite of $has."
    )


# --- how it is sent


@PROVE
@given(TREES)
def test_conditions_are_numbered_as_they_are_read_and_always_the_same(tree):
    conditions, expression = compile_expression(tree.expression)
    assert [int(number) for number in re.findall(r"\d+", expression)] == list(range(1, len(conditions) + 1))
    again = pickle.loads(pickle.dumps(tree.expression))  # noqa: S301
    assert compile_expression(again) == compile_expression(tree.expression) == (conditions, expression)


@PROVE
@given(TREES)
def test_the_raw_checks_take_what_the_builder_makes(tree):
    conditions, expression = compile_expression(tree.expression)
    assert make_templatable(tree.expression, None) == (conditions, expression)
    assert check_filters(conditions, expression) == check_filters(tree.expression, None)


@PROVE
@given(TREES)
def test_rendered_conditions_are_put_back_where_they_were(tree):
    conditions, expression = compile_expression(tree.expression)
    assert tree.expression.replace_conditions(iter(conditions)) == tree.expression
    rendered = [{operator: {"other": 1}} for one in conditions for operator in one]
    assert compile_expression(tree.expression.replace_conditions(iter(rendered))) == (rendered, expression)


@PROVE
@given(TREES)
def test_parentheses_stand_where_words_change_and_nowhere_else(tree):
    _conditions, expression = compile_expression(tree.expression)
    joined = [node for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.BoolOp)]
    inner = [(node, part) for node in joined for part in node.values if isinstance(part, ast.BoolOp)]
    assert expression.count("(") == expression.count(")") == len(inner)
    assert all(type(node.op) is not type(part.op) for node, part in inner)


def test_the_words_of_an_expression_are_never_left_to_precedence():
    a, b, c, d = (field(name) == 1 for name in "abcd")
    assert compile_expression((a | b) & c)[1] == "(1 or 2) and 3"
    assert compile_expression(a | (b & c))[1] == "1 or (2 and 3)"
    assert compile_expression(a & b & c)[1] == compile_expression(a & (b & c))[1] == "1 and 2 and 3"
    assert compile_expression((a & b) & (c & d))[1] == "1 and 2 and 3 and 4"
    assert compile_expression(((a | b) & c) | d)[1] == "((1 or 2) and 3) or 4"
    assert compile_expression(a) == ([{"$eq": {"a": 1}}], "1")


@pytest.mark.parametrize(
    ("expression", "condition", "code"),
    [
        (field("a") == 1, {"$eq": {"a": 1}}, "field('a') == 1"),
        (1 == field("a"), {"$eq": {"a": 1}}, "field('a') == 1"),  # noqa: SIM300
        (field("a") != "x", {"$ne": {"a": "x"}}, "field('a') != 'x'"),
        (field("a") == None, {"$eq": {"a": None}}, "field('a').is_null()"),  # noqa: E711
        (field("a") != None, {"$ne": {"a": None}}, "field('a').is_not_null()"),  # noqa: E711
        (field("a").is_null(), {"$eq": {"a": None}}, "field('a').is_null()"),
        (field("a").is_not_null(), {"$ne": {"a": None}}, "field('a').is_not_null()"),
        (~field("a").is_null(), {"$ne": {"a": None}}, "field('a').is_not_null()"),
        (field("a") < 1, {"$lt": {"a": 1}}, "field('a') < 1"),
        (1 < field("a"), {"$gt": {"a": 1}}, "field('a') > 1"),  # noqa: SIM300
        (field("a") <= 1, {"$lte": {"a": 1}}, "field('a') <= 1"),
        (field("a") > 1, {"$gt": {"a": 1}}, "field('a') > 1"),
        (field("a") >= 1, {"$gte": {"a": 1}}, "field('a') >= 1"),
        (field("a").lt(1), {"$lt": {"a": 1}}, "field('a') < 1"),
        (field("a").lte(1), {"$lte": {"a": 1}}, "field('a') <= 1"),
        (field("a").gt(1), {"$gt": {"a": 1}}, "field('a') > 1"),
        (field("a").gte(1), {"$gte": {"a": 1}}, "field('a') >= 1"),
        (field("a").in_(x for x in "xy"), {"$in": {"a": ["x", "y"]}}, "field('a').in_(['x', 'y'])"),
        (field("a").not_in(["x"]), {"$notIn": {"a": ["x"]}}, "field('a').not_in(['x'])"),
        (field("a").between(1, 2), {"$between": {"a": [1, 2]}}, "field('a').between(1, 2)"),
        (field("a").not_between(1, 2), {"$notBetween": {"a": [1, 2]}}, "field('a').not_between(1, 2)"),
        (field("a").contains("x"), {"$contains": {"a": "x"}}, "field('a').contains('x')"),
        (field("a").not_contains("x"), {"$notContains": {"a": "x"}}, "field('a').not_contains('x')"),
        (field("a").startswith("x"), {"$startsWith": {"a": "x"}}, "field('a').startswith('x')"),
        (field("a").not_startswith("x"), {"$notStartsWith": {"a": "x"}}, "field('a').not_startswith('x')"),
        (field("a").endswith("x"), {"$endsWith": {"a": "x"}}, "field('a').endswith('x')"),
        (field("a").not_endswith("x"), {"$notEndsWith": {"a": "x"}}, "field('a').not_endswith('x')"),
        (field("a").has("x"), {"$has": {"a": "x"}}, "field('a').has('x')"),
    ],
)
def test_every_comparison_has_its_operator_and_prints_as_its_code(expression, condition, code):
    assert check_filters(expression, None) == ([condition], "1")
    assert str(expression) == repr(expression) == code


def test_decimals_are_sent_as_text_and_times_in_utc():
    since = pendulum.datetime(2025, 7, 1, 2, tz="Europe/Berlin")
    some = (
        (field("totalDue") > Decimal("99999999999999.99"))
        & field("at").between(since, since.add(seconds=1, microseconds=7))
        & (field("on") == pendulum.date(2025, 7, 1))
        & (field("local") < dt.datetime(2025, 7, 1, 2))  # noqa: DTZ001
    )
    assert check_filters(some, None)[0] == [
        {"$gt": {"totalDue": "99999999999999.99"}},
        {"$between": {"at": ["2025-07-01T00:00:00Z", "2025-07-01T00:00:01Z"]}},
        {"$eq": {"on": "2025-07-01"}},
        {"$lt": {"local": "2025-07-01T02:00:00Z"}},
    ]


def test_the_periods_are_the_ten_that_sage_documents():
    names = [
        "TODAY",
        "YESTERDAY",
        "CURRENT_WEEK",
        "LAST_WEEK",
        "CURRENT_MONTH",
        "PRIOR_MONTH",
        "CURRENT_QUARTER",
    ]
    names += ["PRIOR_QUARTER", "CURRENT_YEAR", "PRIOR_YEAR"]
    assert [getattr(query, name) for name in names] == [
        "today", "yesterday", "currentWeek", "lastWeek", "currentMonth", "priorMonth", "currentQuarter",
        "priorQuarter", "currentYear", "priorYear",
    ]  # fmt: skip
    assert set(names) <= set(query.__all__)
    assert check_filters(field("on") >= query.PRIOR_MONTH, None)[0] == [{"$gte": {"on": "priorMonth"}}]


def test_five_thousand_conditions_in_a_row_compile():
    some = functools.reduce(operator.or_, (field("id") == str(n) for n in range(5000)))
    conditions, expression = compile_expression(some)
    assert len(conditions) == 5000
    assert expression == " or ".join(str(n) for n in range(1, 5001))
    assert compile_expression(~some)[1] == expression.replace("or", "and")


def test_an_endless_change_of_words_is_refused():
    some = field("a") == 1
    for n in range(5000):
        some = (some & (field("b") == n)) | (field("c") == n)
    with pytest.raises(IntacctArgumentError, match=r"changes between & and \| too often"):
        compile_expression(some)


# --- how it reads


@PROVE
@given(TREES)
def test_what_is_printed_is_code_that_makes_the_same_expression(tree):
    assert eval(repr(tree.expression), {"field": field}) == tree.expression  # noqa: S307


def test_it_prints_with_parentheses_where_python_needs_them():
    some = ((field("status") == "active") & field("name").startswith("N")) | ~field("totalDue").gt(
        Decimal("1.50")
    )
    assert str(some) == (
        "((field('status') == 'active') & field('name').startswith('N')) | (field('totalDue') <= Decimal('1.50'))"
    )


@PROVE
@given(TREES)
def test_it_can_be_pickled_and_copied(tree):
    for again in (
        copy.copy(tree.expression),
        copy.deepcopy(tree.expression),
        pickle.loads(pickle.dumps(tree.expression)),  # noqa: S301
    ):
        assert again == tree.expression
        assert hash(again) == hash(tree.expression)


@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_is_sent_in_an_order_that_every_process_finds(kind):
    letters = "qwertyuiopasdfghjkl"
    assert compile_expression(field("a").in_(kind(letters)))[0] == [{"$in": {"a": sorted(letters)}}]


def test_an_expression_does_not_change_with_what_it_was_made_of_or_compiled_to():
    values = ["x"]
    some = field("a").in_(values)
    values.append("y")
    compile_expression(some)[0][0]["$in"]["a"].append("z")
    assert json.dumps(compile_expression(some)[0]) == '[{"$in": {"a": ["x"]}}]'


# --- what is refused


def test_and_instead_of_ampersand_is_refused_with_what_to_write():
    with pytest.raises(IntacctArgumentError, match=r"join conditions with & and \|, not with 'and' and 'or'"):
        _ = (field("a") == 1) and (field("b") == 2)
    with pytest.raises(IntacctArgumentError, match="negate them with ~"):
        _ = not (field("a") == 1)  # noqa: SIM201 - the point


@pytest.mark.parametrize(
    "write",
    [
        lambda: (field("a") == 1) & field("b"),
        lambda: (field("a") == 1) | field("b"),
        lambda: field("a") & (field("b") == 1),
        lambda: field("a") | field("b"),
        lambda: ~field("a"),
        lambda: field("a") == "x" & field("b") == "y",
        lambda: field("a") == "x" | field("b") == "y",
        lambda: field("a") == 1 & (field("b") == 2),
        lambda: (field("a") == 1) & True,
        lambda: True | (field("a") == 1),
        lambda: 1 < field("a") < 5,
        lambda: field("a") in ["x", "y"],
    ],
)
def test_forgotten_parentheses_are_refused_with_what_to_write(write):
    with pytest.raises(IntacctArgumentError, match="Put each comparison in its own parentheses, as in"):
        write()


@pytest.mark.parametrize("values", ["abc", 5, {"x": 1}, [], b"x"])
def test_one_of_what_is_no_list_is_refused_and_never_one_of_its_letters(values):
    for some in (field("a").in_(values), field("a").not_in(values)):
        with pytest.raises(IntacctArgumentError, match=r"on 'a' takes a list of one value or more, not "):
            check_filters(some, None)


def test_a_field_is_not_compared_with_another():
    with pytest.raises(IntacctArgumentError, match=r"\$eq on 'a' takes text, .*, not field\('b'\)"):
        check_filters(field("a") == field("b"), None)
    with pytest.raises(IntacctArgumentError, match=r"\$eq on 'a' takes text, .*, not field\('b'\) == 1"):
        check_filters(field("a") == (field("b") == 1), None)


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_a_field_needs_a_name(name):
    with pytest.raises(IntacctArgumentError, match="A field needs a name, not"):
        field(name)


def test_the_base_of_expressions_is_none_itself():
    for ask in (lambda: Expression().compile([]), lambda: ~Expression()):
        with pytest.raises(NotImplementedError):
            ask()
