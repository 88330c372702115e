"""The records of a window, and whether it continues what was exported before."""

import pytest

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column

CUSTOMER = "accounts-receivable/customer"
MODIFIED = "audit.modifiedDateTime"
NOON, ONE = "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"
OLD, NEW = (Column("old", "key", "string"),), (Column("new", "key", "string"),)
STAMP = {"type": "string", "format": "date-time"}


def window(lower=None, upper=NOON, name=MODIFIED):
    return Window(name, lower, upper)


def test_both_ends_belong_to_it_and_so_do_records_without_a_stamp():
    query = window(NOON, ONE).narrow(Query.build(CUSTOMER, ["key"]))
    assert query.filters == ({"$gte": {MODIFIED: NOON}}, {"$lte": {MODIFIED: ONE}}, {"$eq": {MODIFIED: None}})
    assert query.expression == "(1 and 2) or 3"


def test_it_ends_in_the_future_where_records_are_from_there():
    query = Window(MODIFIED, NOON, ONE, "2099-12-31T00:00:00Z").narrow(Query.build(CUSTOMER, ["key"]))
    assert query.filters[1] == {"$lte": {MODIFIED: "2099-12-31T00:00:00Z"}}
    assert Window(MODIFIED, None, None, ONE).end == ONE
    assert not Window(MODIFIED, None, None, ONE).advances(None), "and the next one does not begin there"


def test_it_narrows_whatever_the_export_filters_already():
    query = Query.build(CUSTOMER, ["key"], filters=(field("status") == "active") | (field("id") == "C1"))
    narrowed = window().narrow(query)
    assert narrowed.filters[2:] == ({"$lte": {MODIFIED: NOON}}, {"$eq": {MODIFIED: None}})
    assert narrowed.expression == "(1 or 2) and (3 or 4)"


def test_where_nothing_has_a_stamp_it_is_what_has_none():
    assert window(upper=None).narrow(Query.build(CUSTOMER, ["key"])).filters == ({"$eq": {MODIFIED: None}},)


@pytest.mark.parametrize(
    ("lower", "upper", "mark", "moves"),
    [
        (None, NOON, None, True),
        (None, None, None, False),
        (None, None, NOON, False),
        (NOON, ONE, NOON, True),
        (NOON, NOON, NOON, False),
        (None, ONE, NOON, True),
        (None, NOON, ONE, False),  # a full one of the past
        (ONE, "2026-06-30T14:00:00Z", NOON, False),  # what lies between was never exported
        (NOON, ONE, None, False),  # what lies before is unknown
        ("2026-06-30", "2026-07-01", "2026-06-30", True),
        ("2026-06-30T14:00:00+03:00", "2026-06-30T14:30:00+02:00", NOON, True),  # moments, not text
    ],
)
def test_the_watermark_moves_by_a_window_that_begins_before_it_and_ends_after_it(lower, upper, mark, moves):
    assert window(lower, upper).advances(mark) is moves
