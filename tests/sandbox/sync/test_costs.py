"""What a sync costs, by the sandbox's own count: calls, and what Intacct would bill.

The model of the object is one more call, asked once per client; it is counted by itself.
"""

import pytest
from documented_costs import read_cost
from sandbox_client import client_of, running
from sync_work import applied, planned, saved

from intacct_provider.client.query.expressions import field
from intacct_provider.sync.applying.reread import reread_records

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
TOTAL = 10_000
MEMBERS = [{"id": "C-00002"}, {"id": "C-00001"}]


class Meter:
    """What came to a sandbox since the meter was made."""

    def __init__(self, sandbox):
        self._sandbox, self._before, self._billed = sandbox, len(sandbox.requests), sandbox.transactions

    @property
    def billed(self):
        return self._sandbox.transactions - self._billed

    @property
    def calls(self):
        """Counts of queries, records read by key, models, and writes; tokens cost nothing."""
        since = self._sandbox.requests[self._before :]
        kinds = [self._kind(call) for call in since if not call.path.endswith("/token")]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def _kind(self, call):
        if call.path.startswith("/objects"):
            return "get" if call.method == "GET" else "write"
        return call.path.rpartition("/")[2]


@pytest.fixture(scope="module")
def company():
    """Ten thousand customer groups, and two customers to be their members."""
    with running(f"{CUSTOMER}=2,{CUSTOMER_GROUP}={TOTAL}") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def client(company):
    """Our client of that company, which knows the model of its groups already."""
    with client_of(company) as ours:
        ours.model(CUSTOMER_GROUP)
        yield ours


def groups(word, changed=50, new=50, **fields):
    """Return ten thousand groups: ``changed`` of those that are seeded, with another description, and ``new`` ones."""
    records = [
        {"id": f"GROUP-{n:05}", "name": f"Customer group {n}", **fields} for n in range(1, TOTAL - new + 1)
    ]
    for record in records[:changed]:
        record["description"] = word
    return records + [{"id": f"{word}-{n}", "name": word, **fields} for n in range(new)]


def test_ten_thousand_groups_of_which_a_hundred_differ(company, client, tmp_path):
    desired = groups("flat")
    meter = Meter(company)
    plan = planned(client, CUSTOMER_GROUP, desired)
    assert meter.calls == {"query": 3}
    assert plan.counts == {"create": 50, "update": 50}
    applied(client, saved(plan, tmp_path), fresh=True)
    assert meter.calls == {"query": 3 + 1, "write": 2}, "one query looks whether all is as planned"
    assert meter.billed == 3 + 100 + 1
    assert read_cost("Syncs", "10,000 groups of which 100 differ") == 1 + meter.billed
    again = Meter(company)
    assert planned(client, CUSTOMER_GROUP, desired).is_empty
    assert again.calls == {"query": 3}
    assert again.billed == 3
    assert read_cost("Syncs", "the same again, when nothing differs") == 1 + again.billed


@pytest.mark.slow
def test_ten_thousand_groups_with_members_of_which_a_hundred_differ(company, client, tmp_path):
    with client_of(company) as other:
        everyone = [row["key"] for row in other.iter_rows(CUSTOMER_GROUP, ["key"])]
        other.update_many(CUSTOMER_GROUP, [{"key": key, "groupMembers": MEMBERS} for key in everyone])
    desired = groups("listed", new=0, groupMembers=MEMBERS)
    for record in desired[50:100]:
        record["groupMembers"] = MEMBERS[::-1]
    meter = Meter(company)
    plan = planned(client, CUSTOMER_GROUP, desired)
    assert meter.calls == {"get": 20, "query": 3}
    assert plan.counts == {"update": 100}
    applied(client, saved(plan, tmp_path), fresh=True)
    assert meter.calls == {"get": 20 + 1, "query": 3 + 1, "write": 1}
    assert read_cost("Syncs", "10,000 groups with members of which 100 differ") == 1 + meter.billed
    assert planned(client, CUSTOMER_GROUP, desired).is_empty


def test_one_desired_record_with_members_is_the_only_one_read_whole(company, client):
    meter = Meter(company)
    planned(client, CUSTOMER_GROUP, [{"id": "GROUP-00777", "groupMembers": MEMBERS}])
    assert meter.calls == {"get": 1, "query": 3}


def test_nested_fields_are_no_reason_to_read_records_whole(company, client):
    meter = Meter(company)
    planned(
        client, CUSTOMER_GROUP, [{"id": "GROUP-00777", "memberFilter": {"object": CUSTOMER}, "entity": None}]
    )
    assert meter.calls == {"query": 3}


def test_an_approved_plan_costs_what_it_says(company, client, tmp_path):
    plan = planned(client, CUSTOMER_GROUP, groups("approved", changed=600, new=600))
    assert plan.counts == {"create": 600, "update": 600}
    meter = Meter(company)
    touched = reread_records(client, plan)
    assert len(touched) == 600
    assert meter.calls == {"query": 4}
    applied(client, saved(plan, tmp_path))
    assert meter.calls == {"query": 4 + 4 + 3, "write": 4}
    assert meter.billed - 4 == plan.transactions == 1200 + 4 + 3
    work = "apply an approved plan of 600 updates and 600 creations"
    assert read_cost("Syncs", work) == plan.transactions


def test_a_mirror_costs_what_it_says(tmp_path):
    with running(f"{CUSTOMER_GROUP}=1200") as sandbox, client_of(sandbox) as client:
        ids = [record["id"] for record in sandbox.records(CUSTOMER_GROUP)]
        meter = Meter(sandbox)
        scope = field("id") != ids[1]
        plan = planned(
            client, CUSTOMER_GROUP, [{"id": ids[0], "name": "changed"}], mode="mirror", scope=scope
        )
        # The scope is asked for again before anything is deleted for it.
        assert meter.calls == {"model": 1, "query": 3}
        assert plan.counts == {"update": 1, "delete": 1198}
        with client_of(sandbox) as worker:
            meter = Meter(sandbox)
            outcome = applied(worker, saved(plan, tmp_path))
            assert (outcome.deleted, outcome.rejects) == (1198, ())
            # The worker asks for the model, which says what of a deleted record can be written again.
            assert meter.billed == plan.transactions + meter.calls["model"] == plan.transactions + 1
        assert [record["id"] for record in sandbox.records(CUSTOMER_GROUP)] == ids[:2]


def test_scope_and_protection_cost_one_query_for_500_records_each(company, client, tmp_path):
    desired = groups("bounded", changed=100, new=0)
    how = {"scope": field("id").startswith("GROUP"), "protect": field("description") == "nobody's"}
    plan = planned(client, CUSTOMER_GROUP, desired, **how)
    assert plan.counts == {"update": 100}
    meter = Meter(company)
    assert applied(client, saved(plan, tmp_path)).updated == 100
    # The records, the scope, protection (asked twice, since nothing is protected), and the records afterwards.
    assert meter.calls == {"query": 1 + 1 + 2 + 1, "write": 1}
    assert meter.billed == plan.transactions
    work = "apply an approved plan of 100 updates with `scope` and `protect`"
    assert read_cost("Syncs", work) == plan.transactions
