"""Filters that no record can match are refused, and no others."""

import datetime as dt
import operator
import random
from decimal import Decimal
from itertools import product

import pytest
from filter_truth import Tree, trees
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.query import Query, field
from intacct_provider.client.query.contradictions import FieldType, find_contradictions
from intacct_provider.client.query.expressions import compile_expression
from intacct_provider.client.query.periods import PERIODS
from intacct_provider.client.query.values import looks_wrong
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sandbox.query.relative_dates import resolve_period

CUSTOMER = "accounts-receivable/customer"
TYPES = {
    "key": FieldType("key"),
    "id": FieldType("text"),
    "days": FieldType("integer"),
    "due": FieldType("number"),
    "status": FieldType("text", ("active", "activeNonPosting", "inactive")),
    "level": FieldType("integer", ("1", "2", "3")),
    "hold": FieldType("boolean", ("true", "false")),
    "on": FieldType("date"),
    "at": FieldType("date-time"),
}


def find(filters, **parts):
    """Return why a query of fields of these types matches nothing; None if it may match."""
    try:
        query = Query.build(CUSTOMER, ["key"], filters=filters, **parts)
    except IntacctArgumentError as error:
        return str(error)
    found = find_contradictions(query.filters, query.expression, TYPES.get)
    # Branches that are dead for fields of different types are only found with the model.
    assert looks_wrong(query) or not found or found[0].known.listed or len(found) > 1
    return str(found[0]) if found else None


days, due, on, at, status, id_ = map(field, ("days", "due", "on", "at", "status", "id"))


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (due.between(5, 3), "no due is $between [5, 3]: the lower value comes first. Did you mean [3, 5]?"),
        (due.between("10", "9"), "the lower value comes first. Did you mean ['9', '10']?"),
        (~due.not_between(5, 3), "Did you mean [3, 5]?"),
        (on.between("2026-12-31", "2026-01-01"), "Did you mean ['2026-01-01', '2026-12-31']?"),
        (on.between("today", "priorMonth"), "Did you mean ['priorMonth', 'today']?"),
        (at.between("2026-02-01", "2026-01-31"), "Did you mean ['2026-01-31', '2026-02-01']?"),
        (at.between("2026-02-01T10:00:00Z", "2026-02-01T10:30:00+01:00"), "the lower value comes first"),
        (id_.between("Z", "A"), "Did you mean ['A', 'Z']?"),
        (id_.between("C-9", "C-10"), "Did you mean ['C-10', 'C-9']?"),
        ((status == "active") & (status == "inactive"), "Did you mean $in ['active', 'inactive']?"),
        (
            (status == "active") & (status != "active"),
            "status cannot be $eq 'active' and $ne 'active' at once",
        ),
        ((status == "active") & status.in_(["inactive", "other"]), "at once"),
        (status.in_(["active", "inactive"]) & status.not_in(["inactive", "active"]), "at once"),
        ((status == "active") & status.startswith("in"), "at once"),
        (status.is_null() & (status == "active"), "at once"),
        (status.is_null() & status.is_not_null(), "at once"),
        ((due > 5) & (due < 3), "due cannot be $gt 5 and $lt 3 at once. Remove one of these conditions, or"),
        ((due > "1000") & (due < 500), "due cannot be $gt '1000' and $lt 500 at once"),
        ((due > 5) & (due < 5.0), "at once"),
        ((due >= 5) & (due < 5), "at once"),
        ((due == 5) & (due > 7), "at once"),
        (due.between(1, 2) & due.between(3, 4), "at once"),
        (due.in_([1, 2, 3]) & (due > Decimal("3.5")), "at once"),
        ((days > 1) & (days < 2), "days cannot be $gt 1 and $lt 2 at once"),
        (days.between("1.2", "1.8"), "no days is $between ['1.2', '1.8']."),
        (status > "z", "no status is $gt 'z': the model lists 'active', 'activeNonPosting', 'inactive'."),
        ((field("level") > 3), "no level is $gt 3: the model lists '1', '2', '3'."),
        ((field("hold") > True), "no hold is $gt True: the model lists 'true', 'false'."),
        ((field("key") < 0), "no key is $lt 0."),
        ((on > "9999-12-31"), "no on is $gt '9999-12-31'."),
        ((on == "2026-01-01") & (on == "2026-01-02"), "at once"),
        ((on >= "today") & (on <= "yesterday"), "at once"),
        ((at > "2026-01-02T00:00:00Z") & (at < "2026-01-01T00:00:00Z"), "at once"),
        (id_.startswith("FIN-") & id_.startswith("HR-"), "at once"),
        (id_.endswith("1") & id_.not_endswith("1"), "at once"),
        (id_.startswith("FIN-") & id_.not_contains("FIN"), "at once"),
        ((due > 5) & (id_ == "x") & (due < 3), "$gt 5 and $lt 3"),
        (((due > 5) & (due < 3)) | ((id_ == "a") & (id_ == "b")), "$gt 5 and $lt 3"),
        ((due > 5) & ((due < 3) | (due == 4)), "$gt 5 and $lt 3"),
        ([{"$gt": {"due": 5}}, {"$lt": {"due": 3}}], "$gt 5 and $lt 3"),
    ],
    ids=str,
)
def test_what_no_record_can_match_is_found_and_explained(filters, said):
    found = find(filters)
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    "filters",
    [
        due.between(3, 3),
        due.not_between(5, 3),
        id_.between("C-10", "C-9"),
        on.between("priorMonth", "today"),
        on.between("yesterday", "currentMonth"),
        on.between("today", "2000-01-01"),
        (on >= "priorYear") & (on <= "yesterday"),
        (at == "2026-01-31") & (at > "2026-01-30T12:00:00Z"),
        (at >= "2026-01-01") & (at <= "2026-01-01"),
        (at > "2026-01-31T12:00:00Z") & (at <= "2026-01-31"),
        (due > 3) & (due < 5),
        (days >= 1) & (days < 2),
        (status == "active") | (status == "inactive"),
        ((status == "active") & (status == "inactive")) | (id_ == "x"),
        ~((status == "active") & (status == "inactive")),
        (status != "active") & (status != "inactive"),
        (status == "active") & (field("parent.status") == "inactive"),
        (field("term.id") == "N30") & (field("parent.term.id") == "N60"),
        (field("tags").has("a")) & (field("tags").has("b")),
        (field("unknown") == "a") & (field("unknown") > "0"),
        (id_ == "A") & (id_ == "a"),
        (id_ == "A") & (id_ == "A "),
        id_.contains("A") & id_.not_contains("a"),
        id_.startswith("FIN") & id_.startswith("FIN-"),
        id_.contains("a") & id_.contains("b"),
        (field("nsp::X") == "1") & (field("nsp::X") == "1.0"),
        (field("nsp::X") == "2026-01-01") & (field("nsp::X") == "2026-01-01T00:00:00Z"),
        (status == "onHold") & (id_ == "x"),
        status.is_null() & (status != "active"),
        id_.between("é", "f"),
        id_.between("co-op", "coo"),
    ],
    ids=str,
)
def test_what_a_record_may_match_is_not_refused(filters):
    assert find(filters) is None


@pytest.mark.parametrize("expression", ["1 and 2 or 3", "3 or 1 and 2", "(1 and 2) or 3", "3 or (2 and (1))"])
def test_no_word_is_taken_to_bind_tighter(expression):
    conditions = [{"$gt": {"due": 5}}, {"$lt": {"due": 3}}, {"$eq": {"id": "x"}}]
    assert find(conditions, filter_expression=expression) is None
    assert find(conditions, filter_expression="(1 and 3) and 2") is not None
    assert find([*conditions[:2], {"$lt": {"due": 2}}], filter_expression="1 and 2 or 1 and 3") is not None


def test_what_is_certain_for_every_type_is_refused_before_the_model_is_read_and_names_the_argument():
    def refuse(filters):
        with pytest.raises(IntacctArgumentError) as caught:
            Query.build(CUSTOMER, ["key"], filters=filters, argument="scope")
        return str(caught.value)

    assert refuse(due.between(5, 3)).startswith(f"scope: no record of {CUSTOMER} can match, since no due is")
    assert "Did you mean ['2026-01-01', '2026-01-31']" in refuse(on.between("2026-01-31", "2026-01-01"))
    assert "status cannot be $eq 'active'" in refuse((status == "active") & (status == "inactive"))
    assert "due cannot be $gt 5 and $lt 3" in refuse((due > 5) & (due < 3))
    # As text 10 comes before 9.
    assert looks_wrong(Query.build(CUSTOMER, ["key"], filters=due.between(10, 9)))


def test_conditions_that_were_added_do_not_count():
    query = Query.build(CUSTOMER, ["key"], filters=field("key") > 100).narrow(field("key").in_(["1", "2"]))
    assert query.narrowed


# --- what is refused matches no record, and of two conditions every contradiction is found

TODAYS = [dt.date(2026, 1, 1), dt.date(2026, 3, 2), dt.date(2026, 7, 15)]
NUMBERS = [Decimal(n) / 2 for n in range(-3, 6)]
DATES = [dt.date(2025, 12, 31) + dt.timedelta(days=n) for n in range(4)]
MOMENTS = [dt.datetime(2026, 1, 1, hour, 30, tzinfo=dt.UTC) for hour in (0, 1, 9, 23)]
TEXTS = ["A", "a", "Ab", "ab", "b", "B1", "b10", "b9", "", "é"]
#: By field: values of records, and values that filters compare with.
DOMAINS = {
    "days": ([None, *range(-3, 5)], NUMBERS),
    "due": ([None, *NUMBERS], NUMBERS),
    "key": (range(6), range(6)),
    "on": ([None, *DATES, *(today - dt.timedelta(days=n) for today in TODAYS for n in (0, 1, 7, 40))], DATES),
    "at": ([None, *MOMENTS, *(dt.datetime.combine(day, dt.time(), dt.UTC) for day in DATES)], MOMENTS),
    "id": ([None, *TEXTS], TEXTS),
    "status": ([None, "active", "activeNonPosting", "inactive"], ["active", "inactive", "Active", "b"]),
    "level": ([None, 1, 2, 3], NUMBERS),
    "hold": ([None, True, False], [True, False]),
}
SIGNS = {"$eq": "eq", "$ne": "ne", "$lt": "lt", "$lte": "le", "$gt": "gt", "$gte": "ge"}


def known(name, holds):
    """Return a function of a row that is unknown where the field is null."""
    return lambda row: None if row[name] is None else holds(row[name])


def compared(name, sign, value):
    return Tree(
        getattr(operator, sign)(field(name), value),
        known(name, lambda one: getattr(operator, sign)(one, value)),
    )


def leaves(names):
    """Return conditions of every operator on these fields."""

    def on_field(name):
        values = st.sampled_from(DOMAINS[name][1])
        at_name = field(name)
        kinds = [
            st.builds(compared, st.just(name), st.sampled_from(list(SIGNS.values())), values),
            st.lists(values, min_size=1, max_size=3).map(
                lambda some: Tree(at_name.in_(some), known(name, lambda one: one in some))
            ),
            st.tuples(values, values).map(
                lambda two: Tree(at_name.between(*two), known(name, lambda one: two[0] <= one <= two[1]))
            ),
            st.just(Tree.null(name)),
        ]
        if name in ("id", "status"):
            kinds += [
                values.map(lambda text: Tree(at_name.contains(text), known(name, lambda one: text in one))),
                values.map(
                    lambda text: Tree(at_name.startswith(text), known(name, lambda one: one.startswith(text)))
                ),
                values.map(
                    lambda text: Tree(at_name.endswith(text), known(name, lambda one: one.endswith(text)))
                ),
            ]
        return st.one_of(kinds)

    return st.sampled_from(names).flatmap(on_field)


def make_company(seed):
    """Return records with any values of the fields."""
    chance = random.Random(seed)
    return [{name: chance.choice(list(values)) for name, (values, _) in DOMAINS.items()} for _ in range(100)]


@settings(max_examples=150)
@given(trees(leaves(list(DOMAINS)), max_leaves=5), st.integers(0, 10**6))
def test_what_is_refused_matches_no_record_of_a_company(tree, seed):
    if find(tree.expression):
        company = make_company(seed)
        assert [row for row in company if tree.holds(row) is True] == []


@settings(max_examples=150)
@given(st.sampled_from(list(DOMAINS)).flatmap(lambda name: trees(leaves([name]), max_leaves=4)))
def test_what_is_refused_matches_no_value_that_a_field_can_have(tree):
    conditions, _ = compile_expression(tree.expression)
    [name] = {name for one in conditions for operand in one.values() for name in operand}
    if find(tree.expression):
        assert [value for value in DOMAINS[name][0] if tree.holds({name: value}) is True] == []


@pytest.mark.parametrize("name", ["days", "due", "on", "level", "key"])
def test_every_contradiction_of_two_comparisons_is_found(name):
    values, constants = DOMAINS[name]
    # That an enumeration does not have a value is found before; see test_values.py.
    signs = ["lt", "le", "gt", "ge", *(["eq"] if name != "level" else [])]
    for one, other in product(product(signs, constants), repeat=2):
        first, second = compared(name, *one), compared(name, *other)
        both = Tree.both(first, second)
        if name in ("due", "on"):
            # Between two values there is another one, or the day before the first.
            possible = {*values, *(value + step for value in constants for step in steps(name))}
        else:
            possible = values if name == "level" else {*values, -9, 9} if name == "days" else {*values, 9}
        matches = any(both.holds({name: value}) for value in possible)
        fractions = name == "days" and any(
            sign == "eq" and value != int(value) for sign, value in (one, other)
        )
        assert fractions or (find(both.expression) is None) == matches, both.expression


def steps(name):
    if name == "on":
        return [dt.timedelta(days=n) for n in (-9, 9)]
    return [Decimal(n) / 100 for n in (-900, -1, 1, 900)]


def matches_period(sign, day, period):
    return {
        "eq": period.first <= day <= period.last,
        "lt": day < period.first,
        "le": day <= period.last,
        "gt": day > period.last,
        "ge": day >= period.first,
    }[sign]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["eq", "lt", "le", "gt", "ge"]), st.sampled_from(PERIODS)),
        min_size=2,
        max_size=2,
    ),
    st.sampled_from(TODAYS),
)
def test_periods_are_refused_only_if_they_exclude_each_other_on_every_day(conditions, today):
    expression = None
    for sign, macro in conditions:
        one = getattr(operator, sign)(on, macro)
        expression = one if expression is None else expression & one
    if find(expression):
        periods = [(sign, resolve_period(macro, today)) for sign, macro in conditions]
        every = (today + dt.timedelta(days=n) for n in range(-800, 400))
        assert not any(all(matches_period(sign, day, period) for sign, period in periods) for day in every)
