"""Records that exist only in lists of others: their models, and queries that agree with GET of the owners."""

import json
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from sandbox_client import client_of, running

from intacct_provider.client.http.transport import Request
from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sandbox.objects.catalog import BUILT_IN
from intacct_provider.sync.records import flatten

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"
CONTACT = "accounts-receivable/customer-contact"
RANGE = "general-ledger/account-range"
MEMBER = "general-ledger/account-group-member"


def ask(client, **params):
    """Return what the model service lists."""
    return client._session.read(Request("GET", "/services/core/model", params=params)).result


@pytest.mark.parametrize("name", sorted(BUILT_IN.owned))
def test_an_owned_object_has_a_model_that_names_its_owner(demo_client, name):
    model = demo_client.model(name)
    assert (model["type"], model["apiObject"]) == ("ownedObject", f"objects/{name}")
    owners = [ref["apiObject"] for ref in model["refs"].values() if ref.get("isOwner")]
    assert owners == [CUSTOMER if name.startswith("accounts-receivable") else GROUP]


def test_owned_objects_are_listed_by_their_type_and_with_their_members_on_demand(demo_client):
    assert not {*BUILT_IN.owned} & {*demo_client.object_names()}
    listed = ask(demo_client, type="ownedObject")
    assert [set(one) for one in listed] == [{"apiObject", "type", "httpMethods"}] * len(BUILT_IN.owned)
    assert {one["apiObject"] for one in listed} == {f"objects/{name}" for name in BUILT_IN.owned}
    [whole] = ask(demo_client, type="object", schema="true", filter=f"^(objects/)?{MEMBER}$")
    assert whole["fields"]["sortOrder"]["type"] == "integer"


@pytest.mark.parametrize(
    ("owner", "lists", "name"),
    [
        (GROUP, ("accountRanges", "statisticalAccountRanges"), RANGE),
        (GROUP, ("accountGroupMembers",), MEMBER),
        (GROUP, ("accountGroupComputation",), "general-ledger/account-group-computation"),
        (CUSTOMER, ("contactList",), CONTACT),
    ],
)
def test_a_query_of_an_owned_object_agrees_with_its_owners(demo_client, owner, lists, name):
    keys = [row["key"] for row in demo_client.iter_rows(owner, ["key"])]
    shown = {
        one["key"]: flatten(one)
        for record in demo_client.get_many(owner, keys)
        for path in lists
        for one in record[path]
    }
    rows = {row["key"]: row for row in demo_client.iter_rows(name, "*")}
    assert rows.keys() == shown.keys()
    for key, wanted in shown.items():
        assert {path: value for path, value in rows[key].items() if value is not None} == {
            path: value for path, value in wanted.items() if value is not None
        }


def test_lists_of_an_older_file_become_rows_of_their_own(tmp_path):
    path = str(tmp_path / "company.db")
    ranges = [
        {"rangeFrom": "1000", "rangeTo": "1999", "sortOrder": 0},
        {"rangeFrom": "3000", "rangeTo": "3999"},
    ]
    with running(db=path) as sandbox, client_of(sandbox) as client:
        key = client.create(GROUP, {"id": "A", "title": "a", "accountRanges": ranges})["key"]
        before = client.get(GROUP, key)["accountRanges"]
        sandbox.stop()
    stored = [{"key": int(one["key"]), "id": one["id"], "sortOrder": one["sortOrder"]} for one in before]
    stored = [
        old | {name: one[name] for name in ("rangeFrom", "rangeTo")}
        for old, one in zip(stored, before, strict=True)
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f'DROP TABLE "{RANGE}"')
        database.execute(f'CREATE VIEW "{RANGE}" AS SELECT 1')
        database.execute(f'ALTER TABLE "{GROUP}" ADD COLUMN "accountRanges" TEXT')
        database.execute(f'UPDATE "{GROUP}" SET "accountRanges" = ?', (json.dumps(stored),))  # noqa: S608
    for _ in range(2):  # it is converted once
        with running(db=path) as sandbox, client_of(sandbox) as client:
            after = client.get(GROUP, key)["accountRanges"]
            assert [[one[name] for name in stored[0]] for one in after] == [
                [one[name] for name in stored[0]] for one in before
            ]
            sandbox.stop()


def test_owned_records_are_counted_by_owner():
    with running() as sandbox, client_of(sandbox) as client:
        contact = client.create("company-config/contact", {"id": "Ann", "printAs": "Ann"})
        wanted = Counter()
        for number in range(3):
            each = [{"categoryName": f"c{n}", "contact": {"key": contact["key"]}} for n in range(number)]
            made = client.create(CUSTOMER, {"id": f"C{number}", "name": "a", "contactList": each})
            wanted[made["key"]] = number
        page = client.query(CONTACT, ["customer.key", "count:key"], order_by=[{"customer.key": "asc"}])
        assert {row["customer.key"]: row["count:key"] for row in page.rows} == +wanted
        one = client.query(CONTACT, ["categoryName"], filters=field("customer.id") == "C1")
        assert [row["categoryName"] for row in one.rows] == ["c0"]


def test_owned_objects_have_no_address_of_their_own(demo_client):
    with pytest.raises(IntacctAPIError):
        demo_client.get(MEMBER, "1")
