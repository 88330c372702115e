"""The fewest queries that count the rows of lists, and what they must say to be believed."""

from types import SimpleNamespace

import pytest

from intacct_provider.client.paging.pages import Page
from intacct_provider.export.lists.owner_counts import OwnerCounts
from intacct_provider.export.lists.row_counts import Difference, RowCounts
from intacct_provider.export.schema.element_models import Element

ELEMENT = Element("ledger/line", "entry", (("lines",),))
SIZE = 100


class Client:
    """Answers queries of lines, of which the entries with these keys have one each."""

    config = SimpleNamespace(page_size=SIZE)

    def __init__(self, keys, alter=lambda row: row):
        self.owners, self.alter = sorted(keys), alter
        self.asked = []
        self.read = 0

    def query(self, object_name, fields, *, filters, start, **_):
        assert (object_name, fields) == ("ledger/line", ["entry.key", "count:key"])
        conditions = []
        filters.compile(conditions)
        self.asked.append(conditions)
        found = [key for key in self.owners if all(meets(key, one) for one in conditions)]
        rows = [self.alter({"entry.key": str(key), "count:key": 1}) for key in found[start - 1 :][:SIZE]]
        return Page(rows, total_count=len(found), start=start)

    def iter_rows(self, object_name, fields, *, filters, **_):
        assert (object_name, fields) == ("ledger/line", ["key", "entry.key"])
        conditions = []
        filters.compile(conditions)
        for key in self.owners:
            if all(meets(key, one) for one in conditions):
                self.read += 1
                yield {"key": f"9{key}", "entry.key": str(key)}


def meets(key, condition):
    [(operator, operand)] = condition.items()
    value = operand["entry.key"]
    return {
        "$in": lambda: str(key) in value,
        "$gte": lambda: key >= int(value),
        "$lte": lambda: key <= int(value),
    }[operator]()


@pytest.fixture
def counts():
    made = RowCounts()
    yield made
    made.close()


def read(client, counts, keys):
    counts.add_records({str(key): None for key in keys})
    OwnerCounts(client, ELEMENT).read(counts)
    counts.add_shown(ELEMENT.object, {str(key): 1 for key in keys})
    return counts.differences(ELEMENT.object)


@pytest.mark.parametrize(
    ("exported", "existing", "calls"),
    [
        (range(1), range(1), 1),
        (range(500), range(10_000), 5),
        (range(501), range(501), 6),
        (range(1000), range(1000), 10),
        (range(0, 1000, 2), range(10_000), 5),
        # Few of many, whose keys are far apart: one look at the range, then by their keys.
        pytest.param(range(0, 60_000, 100), range(60_000), 1 + 5 + 1, marks=pytest.mark.slow),
    ],
)
def test_counts_cost_what_the_pages_of_owners_do(counts, exported, existing, calls):
    client = Client(existing)
    assert read(client, counts, exported) == []
    assert len(client.asked) == calls
    assert counts.total_counted(ELEMENT.object) == len(exported)


def test_no_records_cost_nothing(counts):
    client = Client(range(10))
    assert read(client, counts, []) == []
    assert client.asked == []


def test_records_with_other_numbers_of_rows_are_found_in_order_of_key(counts):
    counts.add_shown(ELEMENT.object, {"11": 3})
    found = read(Client([2, 3]), counts, [2, 3, 11, 100])
    assert found == [Difference("11", None, 1), Difference("100", None, 1)]
    counts.clear()
    assert counts.count_records() == 0


@pytest.mark.parametrize(
    "alter",
    [
        lambda row: {"entry.key": row["entry.key"]},
        lambda row: {**row, "count:key": None},
        lambda row: {**row, "entry.key": "7"},
    ],
    ids=["no count", "null", "one owner twice"],
)
def test_rows_are_counted_where_a_query_does_not_count_them_by_owner(counts, alter):
    client = Client(range(600), alter)
    assert read(client, counts, range(600)) == []
    assert client.read == 600


def test_keys_that_are_not_numbers_are_asked_for_one_by_one(counts):
    counts.add_records({"a": None, "10": None})
    assert counts.key_span() is None
    counts.clear()
    counts.add_records({"9": None, "10": None})
    assert counts.key_span() == ("9", "10")
