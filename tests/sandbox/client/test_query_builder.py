"""Filters written in Python select over real HTTP what plain Python selects from the same records."""

import datetime as dt
import operator
from decimal import Decimal

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from filter_truth import Tree, trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_client import client_of, running

from intacct_provider.client import query
from intacct_provider.client.query.expressions import compile_expression, field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.query import IntacctQueryOperator

CUSTOMER = "accounts-receivable/customer"
PROVE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def moment(text):
    return dt.datetime.fromisoformat(text)


#: How this file reads each field's value.
KINDS = {
    "key": int,
    "id": str,
    "name": str,
    "status": str,
    "term.id": str,
    "parent.name": str,
    "totalDue": Decimal,
    "creditLimit": Decimal,
    "isOnHold": bool,
    "lastInvoiceCreatedDate": dt.date.fromisoformat,
    "audit.modifiedDateTime": moment,
}
TEXTS = [name for name, kind in KINDS.items() if kind is str]
ORDERED = [name for name, kind in KINDS.items() if kind is not bool]
COMPARED = ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.fixture(scope="module")
def company():
    """A client of the demo company, with more nulls in it, and its customers as this file reads them."""
    with running("demo") as sandbox, client_of(sandbox) as client:
        empty = ("totalDue", "creditLimit", "lastInvoiceCreatedDate", "term.key")
        with sandbox.store.transaction() as connection:
            for remainder, name in enumerate(empty):
                connection.execute(
                    f'UPDATE "{CUSTOMER}" SET "{name}" = NULL WHERE "key" % 7 = ?',  # noqa: S608
                    (remainder,),
                )
        rows = [
            {name: None if row[name] is None else kind(row[name]) for name, kind in KINDS.items()}
            for row in client.iter_rows(CUSTOMER, list(KINDS))
        ]
        for name in ("totalDue", "creditLimit", "lastInvoiceCreatedDate", "term.id", "parent.name"):
            assert 10 < sum(row[name] is None for row in rows) < len(rows) - 10
        yield client, rows


def values(rows, name):
    """Return values of a field to compare with, next to those that there are."""
    known = st.sampled_from(sorted({row[name] for row in rows if row[name] is not None}))
    kind = KINDS[name]
    if kind is Decimal:
        return st.builds(operator.add, known, st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("-1.5")]))
    if kind is moment:
        elsewhere = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])
        seconds = st.sampled_from([0, 1, -1, 86400])
        return st.builds(
            lambda at, zone, step: pendulum.instance(at).add(seconds=step).in_timezone(zone),
            known,
            elsewhere,
            seconds,
        )
    # A value that an enumeration does not have is an error; see test_filter_values.py.
    if kind is str and name != "status":
        return st.one_of(
            known, known.map(str.upper), known.map(lambda text: text[1:]), known.map(lambda text: text[:3])
        )
    return known


def leaves(rows):
    """Return conditions of every operator, on fields that they fit."""
    return st.one_of(
        st.sampled_from(COMPARED).flatmap(lambda compare: comparisons(rows, compare)),
        st.sampled_from(list(KINDS)).flatmap(lambda name: several(rows, name)),
        st.sampled_from(ORDERED).flatmap(lambda name: ranges(rows, name)),
        st.sampled_from(TEXTS).flatmap(lambda name: texts(rows, name)),
        st.sampled_from(list(KINDS)).map(Tree.null),
        st.sampled_from(list(KINDS)).map(
            lambda name: Tree(field(name).is_not_null(), lambda row: row[name] is not None)
        ),
    )


def known(name, holds):
    """Return a function of a row that is unknown where the field is null."""
    return lambda row: None if row[name] is None else holds(row[name])


def comparisons(rows, compare):
    by = getattr(operator, compare)
    names = st.sampled_from(list(KINDS) if compare in ("eq", "ne") else ORDERED)
    return names.flatmap(
        lambda name: values(rows, name).map(
            lambda value: Tree(by(field(name), value), known(name, lambda one: by(one, value)))
        )
    )


def several(rows, name):
    return st.lists(values(rows, name), min_size=1, max_size=5).flatmap(
        lambda some: st.sampled_from(
            [
                Tree(field(name).in_(some), known(name, lambda one: one in some)),
                Tree(field(name).not_in(iter(some)), known(name, lambda one: one not in some)),
            ]
        )
    )


def ranges(rows, name):
    return st.tuples(values(rows, name), values(rows, name)).flatmap(
        lambda pair: st.sampled_from(
            [
                Tree(field(name).between(*pair), known(name, lambda one: pair[0] <= one <= pair[1])),
                Tree(field(name).not_between(*pair), known(name, lambda one: not pair[0] <= one <= pair[1])),
            ]
        )
    )


def texts(rows, name):
    return values(rows, name).flatmap(
        lambda text: st.sampled_from(
            [
                Tree(field(name).contains(text), known(name, lambda one: text in one)),
                Tree(field(name).not_contains(text), known(name, lambda one: text not in one)),
                Tree(field(name).startswith(text), known(name, lambda one: one.startswith(text))),
                Tree(field(name).not_startswith(text), known(name, lambda one: not one.startswith(text))),
                Tree(field(name).endswith(text), known(name, lambda one: one.endswith(text))),
                Tree(field(name).not_endswith(text), known(name, lambda one: not one.endswith(text))),
            ]
        )
    )


def selected(client, filters, **parts):
    return [int(row["key"]) for row in client.iter_rows(CUSTOMER, ["key"], filters=filters, **parts)]


def selected_or_refused(client, filters, **parts):
    """Return the keys that a filter selects: none, if it is refused since no record can match it."""
    try:
        return selected(client, filters, **parts)
    except IntacctArgumentError as error:
        if "can match" not in str(error):
            raise
        return []


@pytest.mark.slow
@PROVE
@given(data=st.data())
def test_an_expression_selects_what_plain_python_selects(company, data):
    client, rows = company
    tree = data.draw(trees(leaves(rows), max_leaves=6))
    expected = [row["key"] for row in rows if tree.holds(row) is True]
    assert selected_or_refused(client, tree.expression) == expected
    conditions, expression = compile_expression(tree.expression)
    assert selected_or_refused(client, conditions, filter_expression=expression) == expected


@PROVE
@given(data=st.data())
def test_each_condition_selects_what_plain_python_selects(company, data):
    client, rows = company
    tree = data.draw(leaves(rows))
    expected = [row["key"] for row in rows if tree.holds(row) is True]
    assert selected_or_refused(client, tree.expression) == expected


@pytest.mark.slow
@PROVE
@given(data=st.data())
def test_a_negation_selects_the_complement_among_records_without_nulls(company, data):
    client, rows = company
    tree = data.draw(trees(leaves(rows), max_leaves=5))
    some, others = (set(selected_or_refused(client, one)) for one in (tree.expression, ~tree.expression))
    assert not some & others
    assert {row["key"] for row in rows if None not in row.values()} <= some | others


MACROS = [
    query.TODAY, query.YESTERDAY, query.CURRENT_WEEK, query.LAST_WEEK, query.CURRENT_MONTH, query.PRIOR_MONTH,
    query.CURRENT_QUARTER, query.PRIOR_QUARTER, query.CURRENT_YEAR, query.PRIOR_YEAR,
]  # fmt: skip


@pytest.mark.parametrize("macro", MACROS)
@pytest.mark.parametrize("name", ["lastInvoiceCreatedDate", "audit.modifiedDateTime"])
def test_the_server_knows_every_period_and_its_opposite(company, macro, name):
    client, rows = company
    at = field(name)
    some, others = selected(client, at == macro), selected(client, ~(at == macro))
    assert sorted(some + others) == [row["key"] for row in rows if row[name] is not None]
    assert sorted(selected(client, (at < macro) | (at > macro))) == others
    assert selected(client, ~(at >= macro)) == selected(client, at < macro)


def test_a_period_is_relative_to_the_date_that_is_given(company):
    client, rows = company
    name = "lastInvoiceCreatedDate"
    day = max(row[name] for row in rows if row[name])
    following = (day.replace(day=28) + dt.timedelta(days=4)).replace(day=15)
    found = selected(
        client, field(name) == query.PRIOR_MONTH, filter_parameters={"asOfDate": following.isoformat()}
    )
    expected = [
        row["key"] for row in rows if row[name] and (row[name].year, row[name].month) == (day.year, day.month)
    ]
    assert found == expected != []


def test_an_amount_too_long_for_a_float_is_compared_digit_by_digit():
    with running() as sandbox, client_of(sandbox) as client:
        client.create(CUSTOMER, {"id": "C1", "name": "One"})
        with sandbox.store.transaction() as connection:
            connection.execute(f'UPDATE "{CUSTOMER}" SET "totalDue" = ?', (9999999999999999,))  # noqa: S608 - cents
        due = field("totalDue")
        assert client.query(CUSTOMER, ["totalDue"]).rows == [{"totalDue": "99999999999999.99"}]
        assert selected(client, due == Decimal("99999999999999.99")) == [1]
        assert selected(client, due == Decimal("99999999999999.98")) == []
        assert selected(client, due < Decimal("99999999999999.99")) == []
        assert selected(
            client, due.not_in([Decimal("99999999999999.98"), Decimal("100000000000000.00")])
        ) == [1]


def test_the_output_of_a_task_may_be_a_value_or_a_list_of_values():
    with DAG(dag_id="outputs", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        limit, ids = (EmptyOperator(task_id=name).output for name in ("limit", "ids"))
        read = IntacctQueryOperator(
            task_id="read",
            object_name=CUSTOMER,
            fields=["key"],
            filters=(field("totalDue") > limit) & ~field("id").in_(ids),
        )
    assert read.upstream_task_ids == {"limit", "ids"}
    assert read.filters == [{"$gt": {"totalDue": limit}}, {"$notIn": {"id": ids}}]
    assert read.filter_expression == "1 and 2"
