"""Whether rows of a page that overlaps the one before are those that were read already."""

import threading

import pytest
from query_server import Server

from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.keyset import Cursor, KeyOrder
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.request import Query


@pytest.fixture
def order():
    query = Query.build("accounts-receivable/customer", ["key"])
    return KeyOrder(PageFetcher(Server([1]), MappingRows(("key",)), 10, threading.Event()), query, Bounds())


@pytest.mark.parametrize(
    ("keys", "cursor", "expected"),
    [
        ("998 1000 1002", Cursor(1000, 2, ("998", "1000")), ""),
        (
            "998 999 1000 1002",
            Cursor(1000, 2, ("998", "1000")),
            "",
        ),  # sorted as numbers, so 999 came meanwhile
        ("103 104", Cursor(1020, 2, ("102", "1020")), "key 103 follows 1020"),  # sorted as text
        ("999", Cursor(1000, 2, ("998", "1000")), "key 999 follows 1000"),  # shows nothing
        ("1002 1004", Cursor(1000, 2, ("998", "1000")), ""),
    ],
)
def test_rows_of_an_overlap_are_known_unless_the_page_is_sorted_as_numbers(order, keys, cursor, expected):
    page = Page([{"key": key} for key in keys.split()], keys=keys.split())
    problem = order.find_unexpected_row(page, order.read_keys(page), cursor)
    assert expected in problem
    assert bool(problem) == bool(expected)
