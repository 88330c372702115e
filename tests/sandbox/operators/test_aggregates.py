"""Groups of an aggregate, which have no key to page by: all of them or an error, whatever a page says of the others."""

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from raw_server import SECRET, raw_server, response

from intacct_provider.operators.query import IntacctQueryOperator

CUSTOMER = "accounts-receivable/customer"


def read(monkeypatch, groups, meta, page_size=4):
    """Return the groups that the operator returns, and how many queries it took.

    :param meta: what the first page says of itself beyond its rows.
    """

    def answer(_head, body):
        query = json.loads(body)
        start, size = query.get("start", 1), query["size"]
        rows = [{"status": f"S{n}", "count:key": n} for n in range(1, groups + 1)][
            start - 1 : start - 1 + size
        ]
        said = meta if start == 1 else {"totalCount": groups, "next": None}
        return response({"ia::result": rows, "ia::meta": {"start": start, "pageSize": size, **said}})

    with raw_server(answer) as server:
        connection = {
            "conn_type": "intacct",
            "host": server.url,
            "login": "client",
            "password": SECRET,
            "extra": {"company_id": "C", "user_id": "U", "page_size": page_size},
        }
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        operator = IntacctQueryOperator(task_id="sums", object_name=CUSTOMER, fields=["status", "count:key"])
        return operator.execute({}), len(server.asked("/services/core/query"))


@pytest.mark.parametrize(
    ("groups", "meta", "calls"),
    [
        (3, {"totalCount": 3, "next": None}, 1),
        (3, {"next": None}, 2),
        (3, {}, 2),
        (4, {"totalCount": 4, "next": None}, 1),
        (4, {"totalCount": 4, "next": 5}, 2),
    ],
)
def test_all_groups_are_returned_when_nothing_lies_behind_them(monkeypatch, groups, meta, calls):
    found, asked = read(monkeypatch, groups, meta)
    assert (len(found), asked) == (groups, calls)


@pytest.mark.parametrize(
    ("groups", "meta"),
    [
        pytest.param(9, {"totalCount": 9, "next": 5}, id="as documented"),
        pytest.param(9, {"totalCount": 4, "next": 5}, id="the page's own rows counted"),
        pytest.param(9, {"totalCount": 9, "next": None}, id="no next"),
        pytest.param(9, {"next": None}, id="a full page and no count"),
        pytest.param(9, {"next": 5}, id="next and no count"),
        pytest.param(9, {"totalCount": 0, "next": None}, id="a full page and nothing counted"),
        pytest.param(9, {"pageSize": 100}, id="nothing said but a page size"),
    ],
)
def test_some_of_the_groups_are_never_returned_as_all(monkeypatch, groups, meta):
    with pytest.raises(AirflowFailException, match=r"more than the \d groups of one page"):
        read(monkeypatch, groups, meta)
