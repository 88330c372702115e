"""One false answer about which records may be deleted never puts a deletion into a plan, over real HTTP."""

import pytest
from contrary_server import contrary
from small_world import FIRST_KEY, OBJECT

from intacct_provider.client.query.expressions import field
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.request import SyncRequest

#: Seven records: the first is desired, three others are in scope, of which two are protected, and three are not.
KEYS = [FIRST_KEY + n for n in range(7)]
DESIRED, UNWANTED, PROTECTED, OUTSIDE = KEYS[0], KEYS[1], KEYS[2:4], KEYS[4:]
QUERY = "/services/core/query"


def hide_last(answer):
    """Leave out the last row, and count one less."""
    rows, meta = answer["ia::result"], answer["ia::meta"]
    return {"ia::result": rows[:-1], "ia::meta": meta | {"totalCount": max(0, meta["totalCount"] - 1)}}


def hide_all(answer):
    """Leave out all rows, and count none."""
    return {"ia::result": [], "ia::meta": answer["ia::meta"] | {"totalCount": 0, "next": None}}


def show_all(_answer):
    """Show every record, as if there were no filter."""
    meta = {"totalCount": len(KEYS), "start": 1, "pageSize": 4000, "next": None}
    return {"ia::result": [{"key": str(key)} for key in KEYS], "ia::meta": meta}


def plan(lie=None, at=0):
    """Return the steps of a mirror, and how many queries it took.

    :param lie: makes one of the answers false.
    :param at: which answer to a query that is, from 1.
    """
    with contrary(len(KEYS)) as (server, client):
        for key in PROTECTED:
            server.company.set(key, name=f"Protected {key}")
        for key in OUTSIDE:
            server.company.set(key, status="inactive")
        queries = 0

        def bend(_method, path, status, body):
            nonlocal queries
            queries += path.endswith(QUERY)
            return status, lie(body) if lie and path.endswith(QUERY) and queries == at else body

        server.bend = bend
        request = SyncRequest(
            OBJECT,
            "mirror",
            scope=field("status") == "active",
            protect=field("name").startswith("Protected"),
        )
        desired = [{"id": f"C{DESIRED}", "name": "changed"}]
        model = client.model(OBJECT)
        found = plan_changes(desired, read_live(client, desired, model, request), model, request)
        return {(step.action, int(step.key)) for step in found.steps if step.key}, queries


EXPECTED, CALLS = {("update", DESIRED), ("delete", UNWANTED)}, 5


def test_a_mirror_deletes_what_is_in_scope_and_neither_desired_nor_protected():
    assert plan() == (EXPECTED, CALLS)


@pytest.mark.parametrize("at", range(1, CALLS + 1))
@pytest.mark.parametrize("lie", [hide_last, hide_all])
def test_a_record_that_one_answer_hides_is_not_deleted_for_it(lie, at):
    steps, _ = plan(lie, at)
    assert {key for action, key in steps if action == "delete"} <= {UNWANTED}


@pytest.mark.parametrize("at", [1, 3, 4, 5])
def test_a_record_that_one_answer_shows_although_it_does_not_match_is_not_deleted_for_it(at):
    steps, _ = plan(show_all, at)
    assert {key for action, key in steps if action == "delete"} <= {UNWANTED}


def test_a_desired_record_that_one_answer_leaves_out_of_scope_is_in_scope():
    def hide_desired(answer):
        rows = answer["ia::result"][1:]
        return {"ia::result": rows, "ia::meta": answer["ia::meta"] | {"totalCount": len(rows)}}

    assert plan(hide_desired, 1)[0] == EXPECTED
