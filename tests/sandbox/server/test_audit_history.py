"""The audit history that queries read: what came, changed and went, under keys that are not numbers, or not at all."""

import pytest
from sandbox_client import client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctNotFoundError, IntacctPermissionError, IntacctValidationError
from intacct_provider.sandbox.faults.plan import read_faults

AUDIT = "company-config/audit-history"
CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
WHOSE = ["changeDetails.objectId", "changeSource.actionPerformed"]


def events(client, object_name, fields=WHOSE, **more):
    """Return the values of the rows about one object, in the order in which they happened."""
    rows = client.iter_rows(
        AUDIT,
        fields,
        filters=field("changeDetails.objectName") == object_name,
        order_by=[{"changeSource.accessDateTime": "asc"}],
        **more,
    )
    return [tuple(row.values()) for row in rows]


def test_it_tells_who_made_changed_and_deleted_what(sandbox, client):
    key = client.create(PURPOSE, {"id": "Plans"})["key"]
    client.update(PURPOSE, key, {"status": "inactive"})
    client.delete(PURPOSE, key)
    assert sorted(events(client, PURPOSE)) == [(key, "create"), (key, "delete"), (key, "modify")]
    [changed] = client.iter_rows(AUDIT, "*", filters=field("changeSource.actionPerformed") == "modify")
    assert changed["changeDetails.fieldName"] == "status"
    assert changed["changeDetails.previousValue"] == "active"
    assert changed["changeDetails.newValue"] == "inactive"
    assert changed["changeSource.completedBy"] == sandbox.identity.user
    assert changed["changeSource.accessDateTime"].endswith("Z")


def test_each_field_that_changed_is_a_row_of_its_own_with_a_key_of_its_own(client):
    key = client.create(CUSTOMER, {"id": "C1", "name": "One"})["key"]
    client.update(CUSTOMER, key, {"name": "Two", "creditLimit": 5})
    rows = events(client, CUSTOMER, ["key", "changeDetails.fieldName", "changeDetails.newValue"])
    assert {row[1:] for row in rows} == {(None, None), ("name", "Two"), ("creditLimit", "5")}
    keys = {row[0] for row in rows}
    assert len(keys) == 3
    assert not any(one.isdigit() for one in keys)


def test_customers_go_by_their_id_and_other_records_by_their_key(client):
    """What has cost others days: the same member names a record in two ways."""
    group = client.create(PURPOSE, {"id": "Plans"})["key"]
    customer = client.create(CUSTOMER, {"id": "C1", "name": "One"})["key"]
    client.update(CUSTOMER, customer, {"name": "Two"})
    client.delete(CUSTOMER, customer)
    assert {row[0] for row in events(client, CUSTOMER)} == {"C1"}
    assert {row[0] for row in events(client, PURPOSE)} == {group}


def test_it_has_no_stamps_of_records_and_its_model_says_so(client):
    names = client.queryable_fields(AUDIT)
    assert not [name for name in names if name.startswith("audit.")]
    assert client.fields(AUDIT)["changeSource.accessDateTime"].format == "date-time"
    assert AUDIT in client.object_names()
    client.create(PURPOSE, {"id": "Plans"})
    assert all(list(row) == names for row in client.query(AUDIT, "*").rows)


def test_it_is_for_queries_alone(client):
    with pytest.raises(IntacctNotFoundError):
        client.list(AUDIT)
    with pytest.raises(IntacctNotFoundError):
        client.create(AUDIT, {"changeDetails": {"objectId": "1"}})


def test_a_filter_on_its_keys_is_refused(client):
    with pytest.raises(IntacctValidationError, match="is not a key"):
        client.query(Query.build(AUDIT, ["key"], filters=field("key") > "3137393A").trust_values())


def test_all_of_it_can_be_read_over_several_pages(demo):
    with client_of(demo, page_size=100) as client:
        total = client.query(AUDIT, ["key"], size=1).total_count
        assert total > 400
        assert len({row["key"] for row in client.iter_rows(AUDIT, ["key"])}) == total


def test_a_user_without_the_permission_is_told_so_and_sees_everything_else(sandbox, client):
    sandbox.faults = {"denied": [AUDIT]}
    with pytest.raises(IntacctPermissionError, match=f"may not see {AUDIT}") as caught:
        client.query(AUDIT, ["key"])
    assert (caught.value.status, caught.value.error_id) == (403, "GW-0042")
    assert client.query(PURPOSE, ["key"]).total_count == 0


def test_what_is_denied_is_the_path_of_an_object():
    with pytest.raises(ValueError, match=r"denied names objects such as .*, not 'audit-history'"):
        read_faults({"denied": ["audit-history"]})


def test_a_company_of_an_older_version_has_its_history_too(tmp_path):
    with running(db=str(tmp_path / "company.db")) as sandbox, client_of(sandbox) as client:
        client.create(PURPOSE, {"id": "Plans"})
        with sandbox.store.transaction() as conn:
            conn.execute(f'DROP VIEW "{AUDIT}"')
    with running(db=str(tmp_path / "company.db")) as sandbox, client_of(sandbox) as client:
        assert [row[1] for row in events(client, PURPOSE)] == ["create"]
