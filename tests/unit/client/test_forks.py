"""What a process keeps of its clients, their credentials and their writes is bounded."""

import gc

import pytest

from intacct_provider.client import forks, idempotency
from intacct_provider.client.http import auth
from intacct_provider.client.http.transport import Transport
from intacct_provider.client.idempotency import MAX_ATTEMPTS, IdempotencyKeys

CUSTOMER = "accounts-receivable/customer"


def count_owners():
    gc.collect()
    return len(forks._aware)


def count_transports():
    # type() rather than isinstance(), which asks objects of others that may load what is not installed.
    return sum(type(one) is Transport for one in gc.get_objects())


@pytest.mark.slow
def test_a_thousand_connections_one_after_another_leave_a_bounded_number_of_tokens(intacct, monkeypatch):
    monkeypatch.setattr(auth, "MAX_GRANTS", 20)
    intacct.on("GET", intacct.customers, json={"ia::result": []})
    with intacct.client() as kept:
        before, transports = count_owners(), count_transports()
        for number in range(200):
            with intacct.client(user_id=f"user-{number}") as client:
                client.list(CUSTOMER)
            kept.list(CUSTOMER)
            intacct.client().list(CUSTOMER)
        assert len(auth._grants) == 20
        tokens = len(intacct.calls(intacct.token))
        assert tokens == 201, "a connection in use keeps its token"
        client = None
        assert count_owners() <= before + 20
        assert count_transports() <= transports + 1


def test_rejected_tokens_are_remembered_up_to_a_bound(intacct):
    intacct.on("GET", intacct.customers, *({"status_code": 401}, {"json": {"ia::result": []}}) * 300)
    client = intacct.client()
    for _ in range(300):
        client.list(CUSTOMER)
    (grant,) = auth._grants.values()
    assert len(grant.rejected) <= 100


def test_attempts_are_remembered_up_to_a_bound_and_the_running_one_always():
    running = IdempotencyKeys(scopes={"POST": "dag/run/long"}, attempt="1")
    made = {running.make("POST", "/x", b"{}")}
    for number in range(3 * MAX_ATTEMPTS):
        IdempotencyKeys(scopes={"POST": f"dag/run/{number}"}, attempt="1").make("POST", "/x", b"{}")
        made.add(running.make("POST", "/x", b"{}"))
    assert len(made) == 3 * MAX_ATTEMPTS + 1
    assert len(idempotency._written_in_attempts) == MAX_ATTEMPTS


def test_writes_without_a_scope_leave_nothing_behind():
    keys = IdempotencyKeys()
    made = {keys.make("POST", "/x", str(number % 10).encode()) for number in range(1000)}
    assert len(made) == 1000
    assert not keys._written
