"""The four objects through our client: every operation, every field that the model says can be written."""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal

import pytest
from sandbox_client import calls, client_of, stored

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctNotFoundError
from intacct_provider.sync.records import flatten, unflatten

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
OBJECTS = (CUSTOMER_GROUP, CUSTOMER, ACCOUNT_GROUP, PURPOSE)

# What can be written without effect.
WITHOUT_EFFECT = {"customerMessage.message", "territory.name"}
# Values that are checked beyond their type.
GIVEN = {
    "memberFilter.object": (CUSTOMER, CUSTOMER),
    "memberFilter.filterExpression": ("or", "and"),
}
# What the least record of each object needs.
LEAST = {
    CUSTOMER_GROUP: {"id": "{}", "name": "Name of {}"},
    CUSTOMER: {"id": "{}", "name": "Name of {}"},
    ACCOUNT_GROUP: {"id": "{}"},
    PURPOSE: {"id": "{}"},
    "accounts-receivable/customer-type": {"id": "{}"},
    "accounts-receivable/term": {"id": "{}", "description": "Term {}"},
    "company-config/contact": {"id": "{}", "printAs": "Contact {}"},
    "company-config/employee": {"id": "{}"},
    "company-config/entity": {"id": "{}", "name": "Name of {}", "federalId": "{}"},
}
# A field that can change after the record was made.
CHANGE = {
    CUSTOMER_GROUP: ("description", "changed"),
    CUSTOMER: ("notes", "changed"),
    ACCOUNT_GROUP: ("title", "changed"),
    PURPOSE: ("status", "inactive"),
}


def least(object_name, record_id):
    return {name: text.format(record_id) for name, text in LEAST[object_name].items()}


def entries(model, kind):
    found = model.get(kind)
    return found if isinstance(found, Mapping) else {}


def leaves(model, prefix="", target=None):
    """Yield every scalar of a model: dotted path, description, and the object a key or id refers to."""
    for name, spec in entries(model, "fields").items():
        yield prefix + name, spec, target if name in ("key", "id") else None
    for name, group in entries(model, "groups").items():
        yield from leaves(group, f"{prefix}{name}.")
    for name, ref in entries(model, "refs").items():
        yield from leaves(ref, f"{prefix}{name}.", ref["apiObject"])


def value_for(path, spec, which):
    """Return one of two values that fit the field and are not its default."""
    if path in GIVEN:
        return GIVEN[path][which]
    if spec.get("enum"):
        choices = [one for one in spec["enum"] if one not in (None, "", spec.get("default"))]
        return choices[which % len(choices)]
    if spec["type"] == "boolean":
        return spec.get("default") is (which == 1)
    if spec["type"] == "integer":
        return (7, 2**40 + 1)[which]
    if spec["type"] == "number":
        return (Decimal("12345678.91"), Decimal("0.07"))[which]
    return (f'Grüße, "{path}" <1>', f"2. {path} 'x' 日本")[which]


class Records:
    """Makes records with every field that the model lets a client write, and what they refer to."""

    def __init__(self, client):
        self._client = client
        self._targets = {}

    def full(self, object_name, record_id=None, *, which=0, by="id"):
        """Return a flat record; without ``record_id`` only what can change after creation.

        :param which: 0 or 1, to get another value for every field
        :param by: whether references are given by ``id`` or by ``key``
        """
        record = {} if record_id is None else {"id": record_id}
        for path, spec, target in self._writable(object_name):
            if path == "id" or (record_id is None and not spec["mutable"]):
                continue
            if not target:
                record[path] = value_for(path, spec, which)
            elif path.endswith(f".{by}"):
                record[path] = self._target(target, by, which)
        return record

    def clearing(self, object_name):
        """Return a flat record that clears whatever can be cleared."""
        return {
            path: None
            for path, spec, target in self._writable(object_name)
            if spec["mutable"] and spec["nullable"] and not (target and path.endswith(".key"))
            # Models say so of these, too, which must not be null.
            if spec["type"] != "boolean" and path not in ("id", "name")
        }

    def _writable(self, object_name):
        for path, spec, target in leaves(self._client.model(object_name)):
            if not spec["readOnly"] and path not in WITHOUT_EFFECT:
                yield path, spec, target

    def _target(self, target, leaf, which):
        """Return the key or the id of the first or the second record of an object."""
        if target not in self._targets:
            least_of = LEAST.get(target, {"id": "{}", "name": "Name of {}"})
            made = [{name: text.format(f"ref-{n}") for name, text in least_of.items()} for n in (1, 2)]
            if target == "company-config/employee":
                contact = {"key": self._target("company-config/contact", "key", 0)}
                made = [{**record, "primaryContact": contact} for record in made]
            self._targets[target] = [self._client.create(target, record) for record in made]
        return self._targets[target][which][leaf]


@pytest.fixture
def records(client):
    return Records(client)


def queryable(model):
    """Return every scalar path but those of a free object, which the query service does not know."""
    return [path for path, _, _ in leaves(model) if not path.startswith("memberFilter.")]


def row_of(client, object_name, key, fields):
    page = client.query(object_name, fields, filters=field("key") == key)
    assert len(page.rows) == 1
    return page.rows[0]


def differing(wanted, found):
    """Return what was written and is not found as it was written, types included."""
    return {
        path: (value, found.get(path))
        for path, value in wanted.items()
        if found.get(path) != value or isinstance(found.get(path), bool) is not isinstance(value, bool)
    }


# --- every operation on every object


@pytest.mark.parametrize("object_name", OBJECTS)
def test_one_record_from_creation_to_deletion(client, sandbox, object_name):
    created = client.create(object_name, least(object_name, "One"))
    assert created["id"] == "One"
    assert created["key"].isdigit()
    key = created["key"]
    assert client.list(object_name) == [
        {"key": key, "id": "One", "href": f"/objects/{object_name}/{key}"},
    ]
    assert client.find(object_name, "One")["key"] == key
    assert client.find(object_name, "Two") is None
    record = client.get(object_name, key)
    assert (record["key"], record["id"], record["href"]) == (key, "One", f"/objects/{object_name}/{key}")
    name, value = CHANGE[object_name]
    updated = client.update(object_name, key, {name: value})
    assert updated == {"key": key, "id": "One", "href": f"/objects/{object_name}/{key}"}
    assert client.get(object_name, key)[name] == value
    assert client.query(object_name, ["key", name]).rows == [{"key": key, name: value}]
    client.delete(object_name, key)
    assert client.query(object_name, ["key"]).rows == []
    assert client.list(object_name) == []
    assert stored(sandbox, object_name) == []
    with pytest.raises(IntacctNotFoundError):
        client.get(object_name, key)


@pytest.mark.slow
@pytest.mark.parametrize("object_name", OBJECTS)
def test_many_records_from_creation_to_deletion(client, sandbox, object_name):
    ids = [f"N{n:04d}" for n in range(1203)]  # three calls
    created = client.create_many(object_name, [least(object_name, one) for one in ids])
    assert [result.index for result in created] == [*range(1203)]
    assert [result.id for result in created] == ids
    assert all(result.ok for result in created)
    assert stored(sandbox, object_name) == ids
    keys = [result.key for result in created]
    assert len(set(keys)) == 1203
    assert len(calls(sandbox, f"/objects/{object_name}", "POST")) == 3
    assert {row["id"]: row["key"] for row in client.iter_rows(object_name, ["key", "id"])} == dict(
        zip(ids, keys, strict=True)
    )
    name, value = CHANGE[object_name]
    backwards = keys[::-1]
    updated = client.update_many(object_name, [{"key": key, name: value} for key in backwards])
    assert [(result.ok, result.key) for result in updated] == [(True, key) for key in backwards]
    assert [record[name] for record in client.get_many(object_name, backwards)] == [value] * 1203
    assert [record["id"] for record in client.get_many(object_name, backwards)] == ids[::-1]
    assert [record["key"] for record in client.get_many(object_name, backwards)] == backwards
    deleted = client.delete_many(object_name, backwards[:1202])
    assert [(result.ok, result.key) for result in deleted] == [(True, key) for key in backwards[:1202]]
    assert stored(sandbox, object_name) == ids[:1]


@pytest.mark.parametrize("object_name", OBJECTS)
def test_list_is_what_intacct_gives_a_hundred_references(client, object_name):
    client.create_many(object_name, [least(object_name, f"N{n:03d}") for n in range(130)])
    listed = client.list(object_name)
    assert len({one["id"] for one in listed}) == 100
    assert all(set(one) == {"key", "id", "href"} for one in listed)


@pytest.mark.parametrize("object_name", OBJECTS)
def test_nothing_to_write_costs_nothing(client, sandbox, object_name):
    assert client.create_many(object_name, []) == []
    assert client.update_many(object_name, []) == []
    assert client.delete_many(object_name, []) == []
    assert [*client.get_many(object_name, [])] == []
    assert calls(sandbox) == []


# --- every field


def test_the_models_have_the_fields_that_sage_documents(client, records):
    counts = {name: len(records.full(name, "x")) for name in OBJECTS}
    # A model that forgot a field would let it slip out of every test below.
    assert counts == {CUSTOMER_GROUP: 8, CUSTOMER: 87, ACCOUNT_GROUP: 47, PURPOSE: 2}
    kinds = {
        spec.get("format") or ("enum" if spec.get("enum") else spec["type"])
        for name in OBJECTS
        for _, spec, _ in leaves(client.model(name))
    }
    assert kinds == {
        *("string", "integer", "number", "boolean", "enum"),
        *("date", "date-time", "decimal-precision-2"),
    }


@pytest.mark.parametrize("by", ["id", "key"])
@pytest.mark.parametrize("object_name", OBJECTS)
def test_every_field_is_read_as_it_was_created(client, records, object_name, by):
    wanted = records.full(object_name, "Full", by=by)
    key = client.create(object_name, unflatten(wanted))["key"]
    found = flatten(client.get(object_name, key))
    assert differing(wanted, found) == {}
    asked = [path for path in wanted if not path.startswith("memberFilter.")]
    row = row_of(client, object_name, key, asked)
    assert differing({path: wanted[path] for path in asked}, row) == {}
    assert list(row) == asked


@pytest.mark.parametrize("by", ["id", "key"])
@pytest.mark.parametrize("object_name", OBJECTS)
def test_every_field_is_read_as_it_was_updated(client, records, object_name, by):
    key = client.create(object_name, unflatten(records.full(object_name, "Full")))["key"]
    wanted = records.full(object_name, which=1, by=by)
    client.update(object_name, key, unflatten(wanted))
    assert differing(wanted, flatten(client.get(object_name, key))) == {}
    asked = [path for path in wanted if not path.startswith("memberFilter.")]
    row = row_of(client, object_name, key, asked)
    assert differing({path: wanted[path] for path in asked}, row) == {}


@pytest.mark.parametrize("object_name", OBJECTS)
def test_null_clears_whatever_can_be_cleared(client, records, object_name):
    wanted = records.full(object_name, "Full")
    key = client.create(object_name, unflatten(wanted))["key"]
    nulls = records.clearing(object_name)
    if not nulls:
        assert object_name == PURPOSE
        return
    client.update(object_name, key, unflatten(nulls))
    found = flatten(client.get(object_name, key))
    assert {path: found[path] for path in nulls} == nulls
    kept = {path: value for path, value in wanted.items() if path not in nulls}
    assert differing({path: value for path, value in kept.items() if path in found}, found) == {}


@pytest.mark.parametrize("object_name", OBJECTS)
def test_a_batch_carries_every_field_too(client, records, object_name):
    wanted = [records.full(object_name, f"Full {which}", which=which) for which in (0, 1, 0)]
    wanted[2]["id"] = "Full 2"
    created = client.create_many(object_name, [unflatten(record) for record in wanted])
    assert all(result.ok for result in created), created
    keys = [result.key for result in created]
    for record, found in zip(wanted, client.get_many(object_name, keys), strict=True):
        assert differing(record, flatten(found)) == {}
    swapped = [records.full(object_name, which=which, by="key") for which in (1, 0, 1)]
    changes = [{"key": key, **unflatten(record)} for key, record in zip(keys, swapped, strict=True)]
    assert all(result.ok for result in client.update_many(object_name, changes))
    for record, found in zip(swapped, client.get_many(object_name, keys), strict=True):
        assert differing(record, flatten(found)) == {}


@pytest.mark.parametrize("object_name", OBJECTS)
def test_get_and_query_agree_on_every_scalar_of_every_demo_record(demo_client, object_name):
    asked = list(queryable(demo_client.model(object_name)))
    rows = [*demo_client.iter_rows(object_name, asked, filter_parameters={"includePrivate": True})]
    assert len(rows) >= 4
    records = [*demo_client.get_many(object_name, [row["key"] for row in rows])]
    for row, record in zip(rows, records, strict=True):
        found = flatten(record)
        # An unset reference has no href in GET; in a query every field asked for is there.
        assert differing(row, found | {path: None for path in asked if path not in found}) == {}


# --- types of values


def test_numbers_keep_every_digit(client):
    amounts = [Decimal("0.1"), Decimal("0.30"), Decimal("99999999999.99"), Decimal("-0.07"), 10, 2.5]
    records = [{"name": "x", "creditLimit": amount} for amount in amounts]
    keys = [result.key for result in client.create_many(CUSTOMER, records)]
    found = [record["creditLimit"] for record in client.get_many(CUSTOMER, keys)]
    assert found == [Decimal(str(amount)) for amount in amounts]
    assert all(isinstance(one, Decimal | int) for one in found)
    rows = client.query(CUSTOMER, ["creditLimit"], order_by=[{"key": "asc"}]).rows
    assert [row["creditLimit"] for row in rows] == found
    above = client.query(CUSTOMER, ["key"], filters=field("creditLimit") == Decimal("99999999999.99"))
    assert [row["key"] for row in above.rows] == [keys[2]]


def test_amounts_dates_and_moments_are_read_as_intacct_writes_them(demo_client):
    fields = ["key", "totalDue", "lastInvoiceCreatedDate", "audit.createdDateTime"]
    rows = [*demo_client.iter_rows(CUSTOMER, fields)]
    amounts = {row["totalDue"] for row in rows} - {None}
    dates = {row["lastInvoiceCreatedDate"] for row in rows} - {None}
    assert len(amounts) > 10
    assert len(dates) > 10
    assert all(re.fullmatch(r"-?\d+\.\d\d", amount) for amount in amounts)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert all(re.fullmatch(r"[-\d]{10}T[:\d]{8}Z", row["audit.createdDateTime"]) for row in rows)
    total = sum(Decimal(row["totalDue"]) for row in rows if row["totalDue"])
    assert demo_client.query(CUSTOMER, ["sum:totalDue"]).rows == [{"sum:totalDue": str(total)}]


def test_filters_take_dates_moments_and_decimals(demo_client):
    fields = ["key", "totalDue", "lastInvoiceCreatedDate", "audit.createdDateTime"]
    rows = [*demo_client.iter_rows(CUSTOMER, fields)]

    def keys(condition):
        return [row["key"] for row in demo_client.iter_rows(CUSTOMER, ["key"], filters=condition)]

    day = dt.date(2025, 10, 1)
    later = [row["key"] for row in rows if (row["lastInvoiceCreatedDate"] or "") >= day.isoformat()]
    assert 0 < len(later) < len(rows)
    assert keys(field("lastInvoiceCreatedDate").gte(day)) == later
    noon = dt.datetime(2025, 10, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    newer = [row["key"] for row in rows if row["audit.createdDateTime"] > "2025-10-01T10:00:00Z"]
    assert 0 < len(newer) < len(rows)
    assert keys(field("audit.createdDateTime").gt(noon)) == newer
    due = [row["key"] for row in rows if row["totalDue"] and Decimal(row["totalDue"]) > 1000]
    assert 0 < len(due) < len(rows)
    assert keys(field("totalDue").gt("1000.00")) == due


@pytest.mark.parametrize("status", ["active", "activeNonPosting", "inactive"])
def test_every_status_of_a_customer(client, status):
    key = client.create(CUSTOMER, {"name": "x", "status": status})["key"]
    assert client.get(CUSTOMER, key)["status"] == status


def test_empty_text_is_not_null(client):
    key = client.create(CUSTOMER, {"name": "x", "notes": "", "advanceBillByType": ""})["key"]
    record = client.get(CUSTOMER, key)
    assert (record["notes"], record["advanceBillByType"], record["taxId"]) == ("", "", None)


@pytest.mark.parametrize(
    "text", ['O\'Hara "& Söhne" <b>', "emoji 😀 and 日本", "a\nb\tc", "x" * 5000, "100%", "{{ ds }}", "\\"]
)
def test_text_arrives_as_it_was_sent(client, text):
    key = client.create(CUSTOMER, {"name": text})["key"]
    assert client.get(CUSTOMER, key)["name"] == text
    assert client.query(CUSTOMER, ["key"], filters=field("name") == text).rows == [{"key": key}]


def test_a_customer_without_id_gets_a_number(client):
    assert client.create(CUSTOMER, {"name": "x"})["id"] == "C-00001"
    assert [one.id for one in client.create_many(CUSTOMER, [{"name": "y"}, {"name": "z"}])] == [
        *("C-00002", "C-00003"),
    ]


# --- references, groups, lists


def test_a_reference_is_set_by_id_or_key_changed_and_cleared(client):
    parent, other = (client.create(CUSTOMER, {"name": name}) for name in ("p", "q"))
    key = client.create(CUSTOMER, {"name": "c", "parent": {"id": parent["id"]}})["key"]
    assert client.get(CUSTOMER, key)["parent"] == {
        **parent,
        "name": "p",
    }
    client.update(CUSTOMER, key, {"parent": {"key": other["key"]}})
    row = row_of(client, CUSTOMER, key, ["parent.key", "parent.id", "parent.name", "parent.href"])
    assert row == {
        "parent.key": other["key"],
        "parent.id": other["id"],
        "parent.name": "q",
        "parent.href": other["href"],
    }
    client.update(CUSTOMER, key, {"parent": None})
    assert client.get(CUSTOMER, key)["parent"] == {"key": None, "id": None, "name": None}


def test_a_field_deep_in_a_group_changes_alone(client):
    address = {"addressLine1": "1 Elm", "city": "Boston", "country": "United States", "postCode": "02110"}
    contact = {"firstName": "Ada", "mailingAddress": address}
    key = client.create(CUSTOMER, {"name": "x", "contacts": {"default": contact}})["key"]
    client.update(CUSTOMER, key, {"contacts": {"default": {"mailingAddress": {"city": "Austin"}}}})
    found = client.get(CUSTOMER, key)["contacts"]["default"]
    assert found["firstName"] == "Ada"
    assert {name: found["mailingAddress"][name] for name in address} == {**address, "city": "Austin"}
    path = "contacts.default.mailingAddress.city"
    assert client.query(CUSTOMER, [path], filters=field(path) == "Austin").rows == [{path: "Austin"}]


def test_members_of_a_customer_group_keep_their_order_and_are_replaced_whole(client):
    ids = [client.create(CUSTOMER, {"id": one, "name": one})["id"] for one in "DBAC"]
    members = [{"id": one} for one in ids]
    group = {"id": "G", "name": "G", "groupType": "specific", "groupMembers": members}
    key = client.create(CUSTOMER_GROUP, group)["key"]
    found = client.get(CUSTOMER_GROUP, key)["groupMembers"]
    assert [(one["id"], one["sortOrder"]) for one in found] == [
        ("D", "0"),
        ("B", "1"),
        ("A", "2"),
        ("C", "3"),
    ]
    by_key = [{"key": one["key"]} for one in reversed(found)]
    client.update(CUSTOMER_GROUP, key, {"groupMembers": by_key[:3]})
    assert [one["id"] for one in client.get(CUSTOMER_GROUP, key)["groupMembers"]] == ["C", "A", "B"]
    client.update(CUSTOMER_GROUP, key, {"description": "members stay"})
    assert [one["id"] for one in client.get(CUSTOMER_GROUP, key)["groupMembers"]] == ["C", "A", "B"]
    client.update(CUSTOMER_GROUP, key, {"groupMembers": []})
    assert client.get(CUSTOMER_GROUP, key)["groupMembers"] == []


def test_the_filter_of_a_customer_group(client):
    chosen = {
        "object": CUSTOMER,
        "filters": [{"$contains": {"id": "Cust"}}, {"$gt": {"creditLimit": Decimal("10.5")}}],
        "filterExpression": "1 or 2",
        "orderBy": [{"name": "desc"}],
        "size": 20,
    }
    group = {"id": "G", "name": "G", "groupType": "all", "memberFilter": chosen}
    key = client.create(CUSTOMER_GROUP, group)["key"]
    assert client.get(CUSTOMER_GROUP, key)["memberFilter"] == chosen
    client.update(CUSTOMER_GROUP, key, {"memberFilter": {"filters": [{"$in": {"id": ["A", "B"]}}]}})
    assert client.get(CUSTOMER_GROUP, key)["memberFilter"] == {
        **chosen,
        "filters": [{"$in": {"id": ["A", "B"]}}],
    }


def test_owned_lists_of_a_customer(client):
    for name in ("contact", "department", "department-group", "location", "location-group", "email-template"):
        called = "printAs" if name == "contact" else "name"
        client.create(f"company-config/{name}", {"id": f"{name}-1", called: name})
    client.create("order-entry/txn-definition", {"id": "txn-1"})
    record = {
        "name": "x",
        "contactList": [
            {"categoryName": "Billing", "contact": {"id": "contact-1"}},
            {"categoryName": "Shipping", "contact": {"key": "1"}},
        ],
        "customerEmailTemplates": [
            {
                "txnDefinition": {"id": "txn-1"},
                "txnDefinitionName": "Invoice",
                "emailTemplate": {"id": "email-template-1"},
            }
        ],
        "restrictedDepartments": [{"department": {"id": "department-1"}}, {"departmentGroup": {"key": "1"}}],
        "restrictedLocations": [{"location": {"id": "location-1"}}, {"locationGroup": {"key": "1"}}],
    }
    key = client.create(CUSTOMER, record)["key"]
    found = client.get(CUSTOMER, key)
    assert [(one["categoryName"], one["contact"]["id"]) for one in found["contactList"]] == [
        ("Billing", "contact-1"),
        ("Shipping", "contact-1"),
    ]
    template = found["customerEmailTemplates"][0]
    assert template["txnDefinition"]["id"] == "txn-1"
    assert template["txnDefinitionName"] == "Invoice"
    assert template["emailTemplate"]["name"] == "email-template"
    assert found["restrictedDepartments"][0]["department"]["id"] == "department-1"
    assert found["restrictedDepartments"][1]["departmentGroup"]["id"] == "department-group-1"
    assert found["restrictedLocations"][0]["location"]["id"] == "location-1"
    assert found["restrictedLocations"][1]["locationGroup"]["id"] == "location-group-1"
    # An element with a key is changed, one without is added, and one can be taken out.
    first, second = found["contactList"]
    changes = [
        {"key": first["key"], "categoryName": "Legal"},
        {"key": second["key"], "ia::operation": "delete"},
        {"categoryName": "New", "contact": {"id": "contact-1"}},
    ]
    client.update(CUSTOMER, key, {"contactList": changes})
    after = client.get(CUSTOMER, key)["contactList"]
    assert [one["categoryName"] for one in after] == ["Legal", "New"]
    assert after[0]["contact"]["id"] == "contact-1"


def test_ranges_members_and_categories_of_an_account_group(client):
    client.create_many(ACCOUNT_GROUP, [{"id": "Cash"}, {"id": "Stocks"}])
    client.create("general-ledger/reporting-category", {"id": "Sales"})
    ranges = [
        {"sortOrder": 0, "rangeFrom": "1000", "rangeTo": "1999"},
        {"sortOrder": 1, "rangeFrom": "3000", "rangeTo": "3000"},
    ]
    category = {"sortOrder": 0, "accountCategory": {"id": "Sales"}}
    record = {
        "id": "Top",
        "groupType": "groups",
        "accountRanges": ranges,
        "statisticalAccountRanges": ranges[:1],
        "accountGroupMembers": [
            {"sortOrder": 0, "accountGroup": {"id": "Stocks"}},
            {"sortOrder": 1, "accountGroup": {"id": "Cash"}},
        ],
        "accountGroupCategoryMembers": [category],
        "statisticalAccountGroupCategoryMembers": [category],
    }
    key = client.create(ACCOUNT_GROUP, record)["key"]
    found = client.get(ACCOUNT_GROUP, key)

    def shown(name):
        return [{given: one[given] for given in ("sortOrder", "rangeFrom", "rangeTo")} for one in found[name]]

    assert shown("accountRanges") == ranges
    assert shown("statisticalAccountRanges") == ranges[:1]
    assert found["accountRanges"][0]["glAccountGroup"]["id"] == "Top"
    assert [one["accountGroup"]["id"] for one in found["accountGroupMembers"]] == ["Stocks", "Cash"]
    for name in ("accountGroupCategoryMembers", "statisticalAccountGroupCategoryMembers"):
        assert [one["accountCategory"]["id"] for one in found[name]] == ["Sales"]
    change = {"accountRanges": [{"key": found["accountRanges"][0]["key"], "rangeTo": "1500"}]}
    client.update(ACCOUNT_GROUP, key, change)
    found = client.get(ACCOUNT_GROUP, key)
    assert [one["rangeTo"] for one in found["accountRanges"]] == ["1500", "3000"]


def test_the_computation_of_an_account_group(client):
    client.create(ACCOUNT_GROUP, {"id": "Cash"})
    client.create("general-ledger/account", {"id": "1000", "name": "Bank"})
    formula = {
        "formulaLeft": {"glAccountGroup": {"id": "Cash"}, "asOf": "endOfPeriod"},
        "operator": "divide",
        "formulaRight": {"glAccount": {"id": "1000"}, "constant": "12.50", "asOf": "startOfPeriod"},
        "numberOfDecimalPlaces": 2,
        "displayAs": "ratioWithDecimals",
        "unit": "%",
        "unitPlacement": "right",
    }
    record = {"id": "Ratio", "groupType": "computation", "accountGroupComputation": [formula]}
    key = client.create(ACCOUNT_GROUP, record)["key"]
    [found] = client.get(ACCOUNT_GROUP, key)["accountGroupComputation"]
    assert differing(flatten(formula), flatten(found)) == {}
    assert found["formulaRight"]["glAccount"]["name"] == "Bank"
    change = {"key": found["key"], "operator": "multiply", "unitPlacement": None}
    client.update(ACCOUNT_GROUP, key, {"accountGroupComputation": [change]})
    [after] = client.get(ACCOUNT_GROUP, key)["accountGroupComputation"]
    assert (after["operator"], after["unitPlacement"], after["unit"]) == ("multiply", None, "%")


def test_older_values_of_a_customer(client):
    key = client.create(CUSTOMER, {"name": "x", "overridePriceList": "Billing contact"})["key"]
    assert client.get(CUSTOMER, key)["overridePriceList"] == "billingContact"
    client.update(CUSTOMER, key, {"overridePriceList": "Shipping contact"})
    assert client.get(CUSTOMER, key)["overridePriceList"] == "shippingContact"


def test_some_names_of_references_can_be_written_without_effect(client):
    client.create("accounts-receivable/customer-message", {"id": "hello", "message": "Hi"})
    client.create("accounts-receivable/territory", {"id": "north", "name": "North"})
    record = {
        "customerMessage": {"id": "hello", "message": "Bye"},
        "territory": {"id": "north", "name": "South"},
    }
    key = client.create(CUSTOMER, {"name": "x", **record})["key"]
    found = client.get(CUSTOMER, key)
    assert (found["customerMessage"]["message"], found["territory"]["name"]) == ("Hi", "North")


def test_the_owner_may_be_written_in_its_list_without_effect(client):
    contacts = [{"categoryName": "Billing", "customer": {"key": "99"}}]
    key = client.create(CUSTOMER, {"name": "x", "contactList": contacts})["key"]
    [found] = client.get(CUSTOMER, key)["contactList"]
    assert found["customer"]["key"] == key


def test_a_purpose_may_change_its_id(client):
    key = client.create(PURPOSE, {"id": "P"})["key"]
    assert client.update(PURPOSE, key, {"id": "Q", "status": "inactive"})["id"] == "Q"
    assert client.query(PURPOSE, ["id", "status"]).rows == [{"id": "Q", "status": "inactive"}]


# --- entities


@pytest.mark.parametrize("object_name", OBJECTS)
def test_records_of_an_entity(sandbox, client, object_name):
    with client_of(sandbox, entity_id="UK") as uk:
        key = uk.create(object_name, least(object_name, "Private"))["key"]
        assert uk.get(object_name, key)["entity"]["id"] == "UK"
        assert [row["id"] for row in uk.iter_rows(object_name, ["id"])] == ["Private"]
    assert [*client.iter_rows(object_name, ["id"])] == []
    private = client.iter_rows(object_name, ["id", "entity.id"], filter_parameters={"includePrivate": True})
    assert [*private] == [{"id": "Private", "entity.id": "UK"}]
    assert {call.entity for call in calls(sandbox, f"/objects/{object_name}")} == {"UK"}
