"""A query that cannot be right is refused before a call is paid for, and names what was probably meant."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.filters import OPERATORS, make_templatable
from intacct_provider.client.query.request import (
    FILTER_PARAMETERS,
    Query,
    check_object_name,
    check_page,
    is_aggregate,
)
from intacct_provider.exceptions import IntacctArgumentError

PROVE = settings(derandomize=True, deadline=None, max_examples=300)
CUSTOMER = "accounts-receivable/customer"
TWO = [{"$eq": {"status": "active"}}, {"$gt": {"totalDue": "1000"}}]


def checked(fields=("key",), object_name=CUSTOMER, **parts):
    return Query.build(object_name, fields, **parts)


def refusal(*args, **parts):
    with pytest.raises(IntacctArgumentError) as caught:
        checked(*args, **parts)
    return str(caught.value)


# --- the request


def test_the_body_is_intacct_s_own_json():
    query = checked(
        ["key", "term.id", "nsp::REGION", "key"],
        filters=TWO,
        filter_expression=" 1 or 2 ",
        filter_parameters={"includePrivate": True},
        order_by=[{"id": "ASC"}],
    )
    assert query.payload(start=11, size=10) == {
        "object": CUSTOMER,
        "fields": ["key", "term.id", "nsp::REGION"],
        "filters": TWO,
        "filterExpression": "1 or 2",
        "filterParameters": {"includePrivate": True},
        "orderBy": [{"id": "asc"}],
        "start": 11,
        "size": 10,
    }


def test_nothing_is_sent_that_was_not_asked_for():
    assert checked().payload() == {"object": CUSTOMER, "fields": ["key"], "start": 1, "size": 4000}


def test_one_condition_may_stand_alone_and_conditions_are_joined_by_and():
    assert checked(filters=TWO[0]).filters == (TWO[0],)
    assert checked(filters=TWO).expression == "and"
    assert checked(filters=TWO, filter_expression="OR").expression == "OR"


def test_dates_in_filters_are_sent_as_intacct_writes_them():
    moment = dt.datetime(2025, 5, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    query = checked(filters=(field("at") >= moment) & field("on").between(dt.date(2025, 1, 1), moment))
    assert query.filters == (
        {"$gte": {"at": "2025-05-01T00:00:00Z"}},
        {"$between": {"on": ["2025-01-01", "2025-05-01T00:00:00Z"]}},
    )
    json.dumps(query.payload())


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("99999999999999.99"), "99999999999999.99"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("-0.10"), "-0.10"),
        (10**40, 10**40),
        (0.1, 0.1),
        (True, True),
        ("x", "x"),
    ],
)
def test_a_decimal_in_a_filter_is_sent_as_text_digit_by_digit(value, sent):
    for condition in ({"$gt": {"a": value}}, {"$in": {"a": [value]}}, {"$between": {"a": [value, value]}}):
        ((_operator, operand),) = checked(filters=[condition]).filters[0].items()
        found = operand["a"][0] if isinstance(operand["a"], list) else operand["a"]
        assert (found, type(found)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("fields", "aggregated"),
    [(["sum:totalDue"], True), (["id", "count:id"], True), (["nsp::SUM"], False), (["id"], False)],
)
def test_aggregates_are_told_from_custom_fields(fields, aggregated):
    assert is_aggregate(fields) is aggregated
    assert checked(fields).aggregated is aggregated


# --- what is refused


@pytest.mark.parametrize(
    ("given_operator", "nearest"),
    [
        ("eq", "$eq"),
        ("$eqq", "$eq"),
        ("$notin", "$notIn"),
        ("startswith", "$startsWith"),
        ("$beetween", "$between"),
    ],
)
def test_an_unknown_operator_names_the_nearest(given_operator, nearest):
    said = refusal(filters=[TWO[0], {given_operator: {"a": 1}}])
    assert (
        f"filters: condition 2 has the unknown operator {given_operator!r}. Did you mean {nearest!r}?" in said
    )
    assert all(name in said for name in OPERATORS)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("status", 'must be one operator with one field, such as {"$eq": {"status": "active"}}'),
        ({}, "must be one operator with one field"),
        ({"$eq": {"a": 1}, "$ne": {"b": 1}}, "must be one operator with one field"),
        ({"$eq": "active"}, '$eq takes one field with its value, such as {"$eq": {"status": ...}}'),
        ({"$eq": {"a": 1, "b": 2}}, "$eq takes one field with its value"),
        ({"$eq": {"a": [1]}}, "$eq on 'a' takes a single value, not [1]"),
        ({"$eq": {"a": {"b": 1}}}, "$eq on 'a' takes a single value"),
        ({"$in": {"a": "x"}}, "$in on 'a' takes a list of one value or more, not 'x'"),
        ({"$notIn": {"a": []}}, "$notIn on 'a' takes a list of one value or more, not []"),
        ({"$between": {"a": [1]}}, "$between on 'a' takes a list of two values, lowest first, not [1]"),
        ({"$notBetween": {"a": 5}}, "$notBetween on 'a' takes a list of two values"),
        ({"$gt": {"a": None}}, "$gt on 'a' cannot be compared with None; $eq and $ne can"),
        ({"$in": {"a": ["x", None]}}, "$in on 'a' cannot be compared with None"),
        ({"$has": {"a": ["x"]}}, "$has on 'a' takes a single value, not ['x']"),
        ({"$has": {"a": None}}, "$has on 'a' cannot be compared with None"),
        ({"$eq": {"": 1}}, "$eq names the field '', which is not a field name"),
        ({"$eq": {5: 1}}, "$eq names the field 5, which is not a field name"),
        ({"$gt": {"a": math.inf}}, "$gt on 'a' cannot be compared with inf, which is not a number"),
        ({"$in": {"a": [Decimal("NaN")]}}, "$in on 'a' cannot be compared with NaN, which is not a number"),
        (
            {"$gt": {"a": dt.timedelta(1)}},
            "$gt on 'a' takes text, a number, a date, a time, True or False, not datetime.timedelta(days=1)",
        ),
        (
            {"$eq": {"a": field("b")}},
            "$eq on 'a' takes text, a number, a date, a time, True or False, not field('b')",
        ),
        ({"$in": {"a": [b"x"]}}, "$in on 'a' takes text, a number, a date, a time, True or False, not b'x'"),
    ],
)
def test_a_malformed_condition_says_which_and_what_it_should_be(condition, said):
    assert f"filters: condition 1{'' if said.startswith('must') else ':'} {said}" in refusal(
        filters=[condition]
    )


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("1 and 3", "names condition 3, but filters has conditions 1 to 2"),
        ("0 or 1 and 2", "names condition 0, but"),
        ("1", "leaves out condition 2: a condition that it does not name would not filter anything"),
        ("1 and", "is not well formed: count its parentheses and give each 'and' and 'or' two sides"),
        ("(1 and 2", "is not well formed: count its parentheses"),
        ("1) and (2", "is not well formed"),
        (") 1 and 2 (", "is not well formed near ')'"),
        ("1 2", "is not well formed near '2'"),
        ("1 and or 2", "is not well formed near 'or'"),
        ("() and 1 and 2", "is not well formed near ')'"),
        ("and 1 2", "is not well formed near 'and'"),
        (
            "1 & 2",
            "contains '&'; it takes condition numbers, 'and', 'or' and parentheses, such as '(1 and 2) or 3'",
        ),
        ("not 1 and 2", "contains 'not'"),
        ("1 and \u0662", "contains '\u0662'"),
        ("1 and \u00b2", "contains '\u00b2'"),
        ("1 and " + "9" * 5000, "names condition 999"),
        ("status and 2", "contains 'status'"),
    ],
)
def test_an_expression_that_cannot_be_right_says_why(expression, said):
    assert f"filter_expression {expression!r} {said}" in refusal(filters=TWO, filter_expression=expression)


@pytest.mark.parametrize("expression", [5, ["1 and 2"], True])
def test_an_expression_that_is_no_text_is_refused(expression):
    said = refusal(filters=TWO, filter_expression=expression)
    assert said == f"filter_expression must be text such as '(1 and 2) or 3', not {expression!r}."


@pytest.mark.parametrize("filters", ["status", 5, b"x"])
def test_filters_that_are_neither_conditions_nor_an_expression_are_refused(filters):
    said = refusal(filters=filters)
    if isinstance(filters, bytes):
        assert "filters: condition 1 must be one operator with one field" in said
    else:
        assert (
            said == f"filters must be a list of conditions or an expression of field(...), not {filters!r}."
        )


def test_a_list_of_expressions_says_how_to_join_them():
    said = refusal(filters=[TWO[0], field("a") == 1])
    assert "filters: condition 2 is an expression of field(...): join expressions with & or |" in said


def test_conditions_may_come_from_anything_that_can_be_gone_through():
    assert checked(filters=(condition for condition in TWO)).filters == tuple(TWO)
    assert checked(name for name in ["key", "id"]).fields == ("key", "id")


def test_an_expression_without_filters_says_that_there_are_none():
    assert "names condition 1, but there are no filters" in refusal(filter_expression="1 and 2")


@pytest.mark.parametrize("expression", ["1 and 2", "(1 or 2)", "((1) and (2 or 1))", "1 AND 2", "and", "Or"])
def test_a_well_formed_expression_passes(expression):
    assert checked(filters=TWO, filter_expression=expression).expression == expression


def test_templates_are_found_in_json_only_so_an_expression_becomes_json():
    assert make_templatable(TWO, "1 or 2") == (TWO, "1 or 2")
    assert make_templatable(None, None) == (None, None)
    assert make_templatable(field("a") > "{{ params.a }}", None) == ([{"$gt": {"a": "{{ params.a }}"}}], "1")


def test_an_expression_of_fields_does_not_go_with_another_expression():
    said = refusal(filters=field("a") == 1, filter_expression="1")
    assert "filter_expression goes with filters as a list of conditions" in said


@PROVE
@given(st.text("12 ()andor&", max_size=15))
def test_what_passes_is_an_expression_over_all_conditions(text):
    try:
        expression = checked(filters=TWO, filter_expression=text).expression
    except IntacctArgumentError:
        return
    if expression.lower() not in ("and", "or"):
        compile(expression.lower(), "expression", "eval")
        assert {"1", "2"} <= set(expression)


@pytest.mark.parametrize("fields", ["key", "", [], (), None, 5])
def test_fields_must_be_a_list(fields):
    assert refusal(fields) == (
        "fields must be a list of field names, such as ['key', 'id'], or '*' for all that can be queried, not "
        f"{fields!r}."
    )


@pytest.mark.parametrize("name", ["*", "", " ", None, 5])
def test_a_field_must_be_a_name_and_never_a_star(name):
    said = refusal(["key", name])
    assert f"fields contains {name!r}, which is not a field name." in said
    assert ("For all fields give fields='*', not a list." in said) is (name == "*")


def test_an_unknown_function_names_the_nearest():
    said = refusal(["sun:totalDue"])
    assert "fields contains 'sun:totalDue' with the unknown function 'sun'. Did you mean 'sum'?" in said
    assert "Functions: count, sum, avg, min, max." in said


@pytest.mark.parametrize("item", ["id", {}, {"id": "asc", "key": "asc"}, ["id", "asc"]])
def test_an_order_must_be_one_field_with_its_direction(item):
    assert 'order_by takes one field with its direction each, such as {"id": "asc"}' in refusal(
        order_by=[item]
    )


@pytest.mark.parametrize("direction", ["up", None, 1])
def test_a_direction_is_asc_or_desc(direction):
    said = refusal(order_by=[{"id": direction}])
    assert said == f"order_by: direction of 'id' must be 'asc' or 'desc', not {direction!r}."


@pytest.mark.parametrize("name", ["", None, 5])
def test_an_order_names_a_field(name):
    assert refusal(order_by=[{name: "asc"}]) == f"order_by contains {name!r}, which is not a field name."


def test_filter_parameters_are_a_mapping():
    assert "filter_parameters must be a mapping of asOfDate, " in refusal(filter_parameters=["asOfDate"])
    assert "has the unknown name 5." in refusal(filter_parameters={5: 1})


def test_an_unknown_filter_parameter_names_the_nearest():
    said = refusal(filter_parameters={"includeprivat": True})
    assert "filter_parameters has the unknown name 'includeprivat'. Did you mean 'includePrivate'?" in said
    assert all(name in said for name in FILTER_PARAMETERS)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("start", 0, "start must be a whole number of 1 or more, not 0."),
        ("start", "1", "start must be a whole number of 1 or more, not '1'."),
        ("start", True, "start must be a whole number of 1 or more, not True."),
        ("size", 0, "size must be a whole number from 1 to 4000, not 0."),
        ("size", 4001, "size must be a whole number from 1 to 4000, not 4001."),
        ("size", 1.5, "size must be a whole number from 1 to 4000, not 1.5."),
    ],
)
def test_a_page_that_intacct_cannot_serve_is_refused(name, value, said):
    with pytest.raises(IntacctArgumentError) as caught:
        check_page(**{"start": 1, "size": 1, name: value})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("customer", CUSTOMER),
        ("Customer", CUSTOMER),
        ("/objects/accounts-receivable/customer", CUSTOMER),
        ("objects/accounts-receivable/custmer", CUSTOMER),
        ("ACCOUNTS-RECEIVABLE/CUSTOMER", CUSTOMER),
        ("journalentry", "general-ledger/journal-entry"),
        (CUSTOMER + "/24", None),
        ("accounts-receivable/customer?x=1", CUSTOMER),
        ("accounts-receivable/../x", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_what_is_no_object_path_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(IntacctArgumentError) as caught:
        check_object_name(name)
    said = str(caught.value)
    assert f"object_name {name!r} must be an object's path in the form 'application/object'" in said
    assert (f"Did you mean {nearest!r}?" in said) if nearest else ("Did you mean" not in said)


@pytest.mark.parametrize(
    "name", [CUSTOMER, "order-entry/document::Sales Invoice", "platform-apps/nsp::truck", "x/y"]
)
def test_an_object_path_passes_custom_ones_included(name):
    check_object_name(name)


def test_nothing_is_sent_for_a_query_that_cannot_be_right(intacct):
    client = intacct.client()
    for parts in ({"filters": {"eq": {"a": 1}}}, {"size": 0}, {"order_by": ["id"]}):
        with pytest.raises(IntacctArgumentError):
            client.query(CUSTOMER, ["key"], **parts)
    with pytest.raises(IntacctArgumentError):
        client.iter_rows(CUSTOMER, "key")
    with pytest.raises(IntacctArgumentError):
        client.iter_rows(CUSTOMER, "*", filters={"eq": {"a": 1}})
    with pytest.raises(IntacctArgumentError):
        client.list("customer")
    assert intacct.calls() == []
