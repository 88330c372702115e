"""Sums of rows against Intacct's own: equal, contradicting, or changed meanwhile and recognized by their stamps."""

from collections import namedtuple
from decimal import Decimal

import msgspec
import pytest

from intacct_provider.client.paging.control_totals import (
    EQUAL_UNCHANGED,
    MODIFIED,
    NOT_COMPARABLE,
    ChangedRows,
    compare_sums,
    is_before,
)
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.request import Query

BEGAN = "2026-06-30T12:00:00Z"
QUERY = Query.build("accounts-receivable/invoice", ["key"])
Facts = namedtuple("Facts", "rows sums")
FIELDS = ("key", "amount")


class Service:
    """Counts and adds up what is from before a moment."""

    def __init__(self, count=0, amount="0", fields=(MODIFIED,)):
        self.totals, self.asked = Totals(count, {"amount": Decimal(amount)}), []
        self._fields = dict.fromkeys(fields)

    def fields(self, _name):
        return self._fields

    def count(self, query, sums=()):
        self.asked.append((query.filters, [*sums]))
        return self.totals


def compare(service, *, rows=10, amount="100", count=10, theirs="100", began=BEGAN, changed=None):
    totals = Totals(count, {"amount": Decimal(theirs)})
    sums = {"amount": Decimal(amount)}
    return compare_sums(service, QUERY, totals, rows=rows, sums=sums, began=began, changed=changed)


def changed(rows, amount):
    return Facts(rows, {"amount": Decimal(amount)})


def test_equal_sums_are_equal_and_cost_nothing():
    service = Service()
    assert compare(service).result == "equal"
    assert service.asked == []


def test_sums_of_what_did_not_change_are_compared_for_one_call():
    service = Service(8, "75")
    found = compare(service, theirs="180", count=11, changed=changed(2, "25"))
    assert (found.result, found.problem) == (EQUAL_UNCHANGED, "")
    assert service.asked == [(({"$lt": {MODIFIED: BEGAN}},), ["amount"])]


def test_sums_that_differ_although_nothing_changed_contradict_each_other():
    found = compare(Service(8, "74"), theirs="180", count=11, changed=changed(2, "25"))
    assert found.problem == "amount: 75 in the rows, 74 in Intacct (difference -1)."
    assert compare(Service(10, "99"), theirs="99").problem, "also where the rows do not say when they changed"


@pytest.mark.parametrize("count", [7, 9])
def test_another_number_of_unchanged_records_cannot_be_compared_and_is_not_a_problem(count):
    found = compare(Service(count, "74"), theirs="180", count=11, changed=changed(2, "25"))
    assert (found.result, found.problem) == (NOT_COMPARABLE, "")
    assert found.reason.endswith(f"of 10 rows 8 are from before {BEGAN}, and Intacct counts {count}")


@pytest.mark.parametrize(
    ("service", "began", "words"),
    [(Service(fields=()), BEGAN, f"has no {MODIFIED}"), (Service(10, "99"), None, "is not known when")],
)
def test_without_stamps_or_the_servers_time_nothing_can_be_told(service, began, words):
    found = compare(service, theirs="180", began=began)
    assert (found.result, found.problem) == (NOT_COMPARABLE, "")
    assert words in found.reason
    assert service.asked == []


@pytest.mark.parametrize(
    ("stamp", "before"),
    [
        ("2026-06-30T11:59:59Z", True),
        ("2026-06-30T11:59:59.999Z", True),
        ("2026-06-30T12:00:00Z", False),  # in the same second: before or after, nobody knows
        ("2026-06-30T12:00:01Z", False),
        ("2026-06-30T12:59:59+01:00", True),
        (
            "2026-06-30T12:59:59.5+01:00",
            False,
        ),  # hours in a fraction are not looked at; that is the safe side
        ("2026-06-30T11:30:00-01:00", False),
        ("2026-06-30T11:59:59", True),
        (None, False),
        ("never", False),
        (7, False),
    ],
)
def test_a_record_is_from_before_by_its_stamp(stamp, before):
    assert is_before(stamp, BEGAN) is before
    assert is_before(stamp, None) is False


def test_rows_that_changed_are_counted_and_added_up_exactly():
    form = StructRows(FIELDS, stamp=MODIFIED)
    rows = [
        {"key": "1", "amount": "0.1", MODIFIED: "2026-06-30T11:00:00Z"},
        {"key": "2", "amount": "12345678901234567890123456789.01", MODIFIED: "2026-06-30T12:00:00Z"},
        {"key": "3", "amount": "0.02", MODIFIED: None},
    ]
    page = form.read(msgspec.json.encode({"ia::result": rows}), 1, 10)
    assert page.stamps == [row[MODIFIED] for row in rows]
    assert page.part(1).stamps == page.stamps[1:]
    found = ChangedRows(lambda some: Facts(len(some), {"amount": Decimal(some.rows[0].f1)}))
    found.add(page, BEGAN)
    found.add(Page([], stamps=[]), BEGAN)
    assert (found.rows, found.sums) == (2, {"amount": Decimal("12345678901234567890123456789.01")})


def test_a_stamp_that_is_among_the_fields_is_decoded_once():
    form = StructRows(("key", MODIFIED), stamp=MODIFIED)
    page = form.read(msgspec.json.encode({"ia::result": [{"key": "1", MODIFIED: BEGAN}]}), 1, 10)
    assert page.stamps == [BEGAN]
    assert StructRows.values(page.rows[0]) == ("1", BEGAN)
    assert StructRows(FIELDS).read(b'{"ia::result": [{"key": "1", "amount": "2"}]}', 1, 10).stamps == []
