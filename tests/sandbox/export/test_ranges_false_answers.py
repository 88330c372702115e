"""One false answer about the order of keys neither stops the planning of ranges nor the reading of one."""

import pytest
from contrary_server import contrary
from small_world import FIRST_KEY, OBJECT

from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.request import Query
from intacct_provider.export.ranges.plan import plan_ranges

KEYS = [str(FIRST_KEY + n) for n in range(11)]
QUERY = "/services/core/query"


def without_meta(answer):
    return {"ia::result": answer["ia::result"]}


def first_key(answer):
    return {**answer, "ia::result": [{"key": KEYS[0]}]}


def bent(lie, at):
    """Return what makes the answer to one query false; the first is number 1."""
    queries = 0

    def bend(_method, path, status, body):
        nonlocal queries
        queries += path.endswith(QUERY)
        return status, lie(body) if path.endswith(QUERY) and queries == at else body

    return bend


@pytest.mark.parametrize("lie", [without_meta, first_key])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_one_false_answer_does_not_stop_the_planning_of_ranges(lie, at):
    with contrary(len(KEYS)) as (server, client):
        server.bend = bent(lie, at)
        ranges = plan_ranges(client, Query.build(OBJECT, ["key"]), rows_per_range=4)
        ends = [one.upto for one in ranges]
        assert [one.above for one in ranges] == [None, *ends[:-1]]
        assert ends[-1] is None


@pytest.mark.parametrize("at", range(1, 5))
def test_one_answer_that_ignores_the_bounds_of_a_range_does_not_stop_its_reading(at):
    with contrary(len(KEYS)) as (server, client):
        query = Query.build(OBJECT, ["key"])
        read = client.read_pages(query, StructRows(["key"]), above=KEYS[3], upto=KEYS[8])
        server.bend = bent(first_key, at)
        assert [key for page in read for key in page.keys] == KEYS[4:9]
