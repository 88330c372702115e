"""What the client reports of its calls adds up to what the sandbox has seen and bills."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox_client import QUERY, RETRY, config_of

from intacct_provider.client import IntacctClient
from intacct_provider.exceptions import IntacctValidationError

CUSTOMER = "accounts-receivable/customer"
ENTITY = "company-config/entity"
AMOUNTS = ("calls", "retries", "transactions", "rows", "throttled")


@pytest.fixture
def reported(sandbox):
    """A client, and the reports on what its calls took."""
    reports = []
    with IntacctClient(config_of(sandbox), retry=RETRY, on_usage=reports.append) as client:
        yield client, reports


def add_up(reports, object_name=None):
    some = [one for one in reports if object_name in (None, one.object_name)]
    return {name: sum(getattr(one, name) for one in some) for name in AMOUNTS}


def count_calls(sandbox):
    return len([call for call in sandbox.requests if "/oauth2/" not in call.path])


def test_everything_is_reported_with_its_object(sandbox, reported):
    client, reports = reported
    client.create(CUSTOMER, {"id": "C-1", "name": "One"})
    client.create_many(CUSTOMER, [{"id": f"C-{n}", "name": "More"} for n in range(2, 5)])
    rows = [*client.iter_rows(CUSTOMER, ["key", "id"])]
    client.get(CUSTOMER, rows[0]["key"])
    client.delete(CUSTOMER, rows[1]["key"])
    client.composite(
        [
            {"method": "GET", "path": f"/objects/{CUSTOMER}/{rows[0]['key']}"},
            {"method": "GET", "path": f"/objects/{ENTITY}"},
        ]
    )
    total, own = add_up(reports), add_up(reports, CUSTOMER)
    assert total["calls"] == count_calls(sandbox)
    assert total["transactions"] == client.transactions == sandbox.transactions
    assert own["transactions"] == total["transactions"] - add_up(reports, "")["transactions"]
    assert own["rows"] == total["rows"] == 4
    assert total["retries"] == 0
    assert {one.object_name for one in reports} == {CUSTOMER, ""}  # the composite call is about two
    assert all(one.seconds is None or one.seconds > 0 for one in reports)
    assert sum(one.seconds is not None for one in reports) == total["calls"]


def test_retries_and_waits_for_a_limit_are_reported(sandbox, reported):
    client, reports = reported
    sandbox.fail(status=429, path=QUERY, times=2, headers={"Retry-After": "0.05"})
    sandbox.fail(status=503, path=QUERY)
    client.query(CUSTOMER, ["key"])
    own = add_up(reports, CUSTOMER)
    assert (own["calls"], own["retries"], own["transactions"]) == (4, 3, 1)
    assert own["throttled"] >= 0.1  # twice what the sandbox asks for; the 503 is not a limit


def test_what_is_rejected_is_reported_and_not_billed(sandbox, reported):
    client, reports = reported
    with pytest.raises(IntacctValidationError):
        client.create(CUSTOMER, {"id": "C-1", "name": "One", "status": "Active"})
    own = add_up(reports, CUSTOMER)
    assert own["calls"] >= 1
    assert own["transactions"] == client.transactions == sandbox.transactions


def test_each_thread_knows_what_its_own_calls_cost(reported):
    client, _ = reported

    def ask(times):
        before = client.transactions_here
        for _ in range(times):
            client.query(CUSTOMER, ["key"])
        return client.transactions_here - before

    with ThreadPoolExecutor(4) as threads:
        billed = [*threads.map(ask, [1, 2, 3, 4])]
    assert billed == [1, 2, 3, 4]
    assert client.transactions == sum(billed)
    assert client.transactions_here == 0


def test_a_read_of_many_pages_is_reported_whole(sandbox):
    reports = []
    config = config_of(sandbox, page_size=5)
    with IntacctClient(config, retry=RETRY, on_usage=reports.append) as client:
        client.create_many(CUSTOMER, [{"id": f"P-{n}", "name": "Many"} for n in range(40)])
        rows = [*client.iter_rows(CUSTOMER, ["key"])]
        billed = client.transactions
    total = add_up(reports)
    assert len(rows) == 40 <= total["rows"]
    assert (total["calls"], total["transactions"]) == (count_calls(sandbox), billed)
