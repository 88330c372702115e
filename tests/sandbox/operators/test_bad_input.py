"""What a user gets wrong, over real HTTP: each refusal names what is wrong, what was meant, and costs nothing."""

from decimal import Decimal

import pytest
from sandbox_client import calls, client_of, running, stored

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctConflictError,
    IntacctNotFoundError,
    IntacctValidationError,
)

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
MODEL = "/services/core/model"

OPERATIONS = {
    "list": lambda client, name: client.list(name),
    "get": lambda client, name: client.get(name, "1"),
    "get_many": lambda client, name: list(client.get_many(name, ["1", "2"])),
    "find": lambda client, name: client.find(name, "x"),
    "query": lambda client, name: client.query(name, ["id"]),
    "iter_rows": lambda client, name: list(client.iter_rows(name, ["id"])),
    "model": lambda client, name: client.model(name),
    "create": lambda client, name: client.create(name, {"id": "x"}),
    "update": lambda client, name: client.update(name, "1", {"id": "x"}),
    "delete": lambda client, name: client.delete(name, "1"),
}
BATCHES = {
    "create_many": lambda client, name: client.create_many(name, [{"id": "x"}, {"id": "y"}]),
    "update_many": lambda client, name: client.update_many(name, [{"key": "1"}, {"key": "2"}]),
    "delete_many": lambda client, name: client.delete_many(name, ["1", "2"]),
}
NOT_FOUND = (IntacctNotFoundError, IntacctValidationError)


@pytest.fixture(scope="module")
def company():
    """The demo company; every write here is refused, which the last line makes sure of."""
    with running("demo") as sandbox:
        before = len(stored(sandbox, CUSTOMER)), len(stored(sandbox, ACCOUNT_GROUP))
        yield sandbox
        assert before == (len(stored(sandbox, CUSTOMER)), len(stored(sandbox, ACCOUNT_GROUP)))


@pytest.fixture
def user(company):
    with client_of(company) as client:
        yield client


# --- objects


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("accounts-receivable/custmer", CUSTOMER),
        ("accounts-receivable/customers", CUSTOMER),
        ("accounts-recievable/customer-group", CUSTOMER_GROUP),
        ("general-ledger/acount-group", ACCOUNT_GROUP),
        ("general-ledger/account-groups-purpose", PURPOSE),
        ("company-config/departement", "company-config/department"),
    ],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_mistyped_object_is_told_the_closest(user, operation, wrong, right):
    with pytest.raises(NOT_FOUND) as caught:
        OPERATIONS[operation](user, wrong)
    assert repr(wrong) in str(caught.value)
    assert f"Did you mean {right!r}?" in str(caught.value)


@pytest.mark.parametrize("operation", BATCHES)
def test_a_mistyped_object_is_told_the_closest_for_each_record(user, operation):
    results = BATCHES[operation](user, "accounts-receivable/custmer")
    assert [result.ok for result in results] == [False, False]
    assert all(f"Did you mean {CUSTOMER!r}?" in str(result.error) for result in results)


@pytest.mark.parametrize("operation", [*OPERATIONS, *BATCHES])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("customer", CUSTOMER),
        ("Customer-Groups", CUSTOMER_GROUP),
        ("account-group", ACCOUNT_GROUP),
        (f"/objects/{CUSTOMER}", CUSTOMER),
        (f"objects/{ACCOUNT_GROUP}/", ACCOUNT_GROUP),
        (f"/{PURPOSE}", PURPOSE),
    ],
)
def test_what_is_no_path_of_an_object_costs_no_call(company, user, operation, wrong, right):
    before = len(company.requests)
    with pytest.raises(IntacctArgumentError, match="application/object") as caught:
        (OPERATIONS | BATCHES)[operation](user, wrong)
    assert f"Did you mean {right!r}?" in str(caught.value)
    assert len(company.requests) == before


@pytest.mark.parametrize(
    "wrong", ["", " ", "a/b/../../c", "accounts-receivable/customer?x=1", "a/b#c", None, 5]
)
def test_paths_that_could_lead_elsewhere(company, user, wrong):
    before = len(company.requests)
    with pytest.raises(IntacctArgumentError, match="object_name"):
        user.list(wrong)
    assert len(company.requests) == before


def test_an_object_like_no_other_is_said_not_to_exist(user):
    with pytest.raises(IntacctNotFoundError, match="There is no object 'zzz/qqq'") as caught:
        user.list("zzz/qqq")
    assert "Did you mean" not in str(caught.value)


def test_the_model_service_is_asked_once_however_many_names_are_wrong(company):
    before = len(calls(company, MODEL))
    with client_of(company) as user:
        for wrong in ("accounts-receivable/custmer", "accounts-receivable/customr", "general-ledger/acount"):
            with pytest.raises(NOT_FOUND):
                user.query(wrong, ["id"])
    assert len(calls(company, MODEL)) == before + 1


def test_what_is_right_is_never_checked_with_the_model_service(company):
    before = len(calls(company, MODEL))
    with client_of(company) as user:
        user.query(CUSTOMER, ["id"], size=1)
        with pytest.raises(IntacctNotFoundError):
            user.get(CUSTOMER, "999999")
    assert len(calls(company, MODEL)) == before


# --- fields of a query


@pytest.mark.parametrize(
    "query",
    [
        {"fields": ["id", "stauts"]},
        {"fields": ["id"], "filters": [{"$eq": {"stauts": "active"}}]},
        {"fields": ["id"], "filters": field("stauts") == "active"},
        {"fields": ["id"], "order_by": [{"stauts": "asc"}]},
    ],
)
@pytest.mark.parametrize("method", ["query", "iter_rows"])
def test_a_mistyped_field_is_told_the_closest(user, method, query):
    with pytest.raises(IntacctValidationError) as caught:
        list(
            getattr(user, method)(CUSTOMER, **query).rows
            if method == "query"
            else user.iter_rows(CUSTOMER, **query)
        )
    assert "stauts" in str(caught.value)
    assert "Did you mean 'status'?" in str(caught.value)
    assert (caught.value.status, caught.value.error_id) == (400, "REST-1106")
    assert caught.value.support_id in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("contacts.default.emial1", "contacts.default.email1"),
        ("contacts.default.mailingAddress.cty", "contacts.default.mailingAddress.city"),
        ("parent.nmae", "parent.name"),
        ("totaldue", "totalDue"),
        ("sum:totalDeu", "totalDue"),
        ("audit.createdDatetime", "audit.createdDateTime"),
        ("creditlimit", "creditLimit"),
    ],
)
def test_a_mistyped_field_is_told_the_closest_at_any_depth(user, wrong, right):
    with pytest.raises(IntacctValidationError) as caught:
        user.query(CUSTOMER, [wrong])
    assert f"Did you mean {right!r}?" in str(caught.value)


def test_a_list_cannot_be_queried_and_is_not_taken_for_a_slip(user):
    with pytest.raises(
        IntacctValidationError, match="lists and write-only fields cannot be queried"
    ) as caught:
        user.query(CUSTOMER_GROUP, ["id", "groupMembers"])
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fields": []}, "fields must be a list"),
        ({"fields": "id"}, "fields must be a list"),
        ({"fields": ["*"]}, "not a field name"),
        ({"fields": ["summ:totalDue"]}, "Did you mean 'sum'?"),
        ({"filters": [{"$eqq": {"id": "x"}}]}, "Did you mean '$eq'?"),
        ({"filters": [{"eq": {"id": "x"}}]}, "Did you mean '$eq'?"),
        ({"filters": [{"field": "id", "operator": "eq", "value": "x"}]}, "condition 1"),
        ({"filters": [{"$in": {"id": []}}]}, "list of one value or more"),
        ({"filters": [{"$between": {"id": ["1"]}}]}, "two values"),
        ({"filters": [{"$gt": {"id": None}}]}, "None"),
        ({"filters": [{"$eq": {"id": "x"}}], "filter_expression": "1 and 2"}, "condition 2"),
        ({"filters": [{"$eq": {"id": "x"}}] * 2, "filter_expression": "1"}, "leaves out condition 2"),
        ({"filters": [{"$eq": {"id": "x"}}], "filter_expression": "(1"}, "not well formed"),
        ({"order_by": [{"id": "up"}]}, "'asc' or 'desc'"),
        ({"order_by": ["id"]}, "order_by"),
        ({"filter_parameters": {"includePrvate": True}}, "Did you mean 'includePrivate'?"),
        ({"size": 4001}, "from 1 to 4000"),
        ({"size": 0}, "from 1 to 4000"),
        ({"start": 0}, "1 or more"),
        ({"filters": [{"$gt": {"creditLimit": float("nan")}}]}, "nan"),
    ],
)
def test_a_query_that_cannot_be_right_costs_no_call(company, user, arguments, text):
    before = len(company.requests)
    with pytest.raises(IntacctArgumentError) as caught:
        user.query(CUSTOMER, **{"fields": ["id"], **arguments})
    assert text in str(caught.value)
    assert len(company.requests) == before


# --- content of a record


@pytest.mark.parametrize(
    ("record", "target", "right"),
    [
        ({"name": "x", "creditLimt": 5}, "/creditLimt", "creditLimit"),
        ({"nmae": "x", "name": "x"}, "/nmae", "name"),
        (
            {"name": "x", "contacts": {"default": {"emial1": "x"}}},
            "/contacts/default/emial1",
            "contacts.default.email1",
        ),
        ({"name": "x", "parent": {"ids": "C-00001"}}, "/parent/ids", "parent.id"),
    ],
)
def test_a_mistyped_field_of_a_record_is_told_the_closest(company, user, record, target, right):
    billed = company.transactions
    for write in (lambda: user.create(CUSTOMER, record), lambda: user.update(CUSTOMER, "1", record)):
        with pytest.raises(IntacctValidationError) as caught:
            write()
        assert caught.value.target == target
        assert target in str(caught.value)
        assert f"Did you mean {right!r}?" in str(caught.value)
    batch = user.create_many(CUSTOMER, [record])
    assert f"Did you mean {right!r}?" in str(batch[0].error)
    assert company.transactions - billed <= 1, "only the model may have been read"


def test_a_mistyped_field_of_a_list_is_not_told_something_wrong(user):
    with pytest.raises(IntacctValidationError, match="/accountRanges/0/rangeForm") as caught:
        user.create(ACCOUNT_GROUP, {"id": "x", "accountRanges": [{"rangeForm": "1"}]})
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("object_name", "record", "values"),
    [
        (CUSTOMER, {"name": "x", "status": "actve"}, ["active", "activeNonPosting", "inactive"]),
        (CUSTOMER, {"name": "x", "status": "Active"}, ["active", "inactive"]),
        (CUSTOMER, {"name": "x", "deliveryOptions": "emial"}, ["print", "email", "both"]),
        (CUSTOMER_GROUP, {"id": "x", "name": "x", "groupType": "specfic"}, ["all", "specific"]),
        (ACCOUNT_GROUP, {"id": "x", "normalBalance": "debitt"}, ["debit", "credit"]),
        (ACCOUNT_GROUP, {"id": "x", "reportFilters": {"vendor": "nullValue"}}, ["unspecified"]),
        (PURPOSE, {"id": "x", "status": "activ"}, ["active", "inactive"]),
    ],
)
def test_a_value_one_letter_off_is_refused_with_the_ones_that_exist(user, object_name, record, values):
    with pytest.raises(IntacctValidationError) as caught:
        user.create(object_name, record)
    assert caught.value.target
    assert caught.value.target in str(caught.value)
    assert all(f'"{value}"' in str(caught.value) for value in values)


@pytest.mark.parametrize(
    ("object_name", "record", "words"),
    [
        (PURPOSE, {"id": "x", "status": "activ"}, "status is 'activ'. Did you mean 'active'?"),
        (
            CUSTOMER,
            {"name": "x", "deliveryOptions": "prnt"},
            "deliveryOptions is 'prnt'. Did you mean 'print'?",
        ),
        (
            ACCOUNT_GROUP,
            {"id": "x", "reportFilters": {"location": "noFiltre"}},
            "reportFilters.location is 'noFiltre'. Did you mean 'noFilter'?",
        ),
    ],
)
def test_a_value_one_letter_off_is_told_the_closest(user, object_name, record, words):
    with pytest.raises(IntacctValidationError) as caught:
        user.create(object_name, record)
    assert words in str(caught.value)
    first, second = user.create_many(object_name, [record, {"id": "x", "zzz": 1}])
    assert words in str(first.error)
    assert "Did you mean" not in str(second.error)


@pytest.mark.parametrize(
    ("object_name", "record", "missing"),
    [
        (CUSTOMER, {"id": "x"}, "name"),
        (CUSTOMER_GROUP, {"id": "x"}, "name"),
        (CUSTOMER_GROUP, {"name": "x"}, "id"),
        (ACCOUNT_GROUP, {"title": "x"}, "id"),
        (PURPOSE, {"status": "active"}, "id"),
    ],
)
def test_a_missing_field_is_named(user, object_name, record, missing):
    with pytest.raises(IntacctValidationError, match=f"{missing} is required") as caught:
        user.create(object_name, record)
    assert caught.value.target == f"/{missing}"


@pytest.mark.parametrize(
    ("object_name", "record", "target"),
    [
        (CUSTOMER, {"totalDue": "1.00"}, "/totalDue"),
        (CUSTOMER, {"key": "77"}, "/key"),
        (CUSTOMER, {"href": "/x"}, "/href"),
        (CUSTOMER, {"id": "other"}, "/id"),
        (CUSTOMER, {"audit": {"createdBy": "1"}}, "/audit/createdBy"),
        (CUSTOMER, {"parent": {"name": "x"}}, "/parent/name"),
        (CUSTOMER, {"webURL": "https://x.example"}, "/webURL"),
        (CUSTOMER_GROUP, {"entity": {"id": "UK"}}, "/entity/id"),
        (ACCOUNT_GROUP, {"groupType": "groups"}, "/groupType"),
    ],
)
def test_a_read_only_field_is_named(user, object_name, record, target):
    with pytest.raises(IntacctValidationError, match="read-only") as caught:
        user.update(object_name, "1", record)
    assert caught.value.target == target
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("record", "target"),
    [
        ({"creditLimit": "5"}, "/creditLimit"),
        ({"isOnHold": "true"}, "/isOnHold"),
        ({"isOnHold": None}, "/isOnHold"),
        ({"notes": 5}, "/notes"),
        ({"customerAccountHealth": {"healthScore": 1.5}}, "/customerAccountHealth/healthScore"),
        ({"parent": "C-00001"}, "/parent"),
        ({"parent": {"id": "nobody"}}, "/parent/id"),
        ({"parent": {"key": "1", "id": "C-00002"}}, "/parent"),
        ({"contactList": {}}, "/contactList"),
        ({"discountPercent": Decimal("10.0")}, "/discountPercent"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(user, record, target):
    with pytest.raises(IntacctValidationError) as caught:
        user.create(CUSTOMER, {"name": "x", **record})
    assert caught.value.target == target


def test_everything_wrong_with_a_record_is_told_at_once(user):
    record = {"creditLimt": 5, "status": "actve", "totalDue": "1.00"}
    with pytest.raises(IntacctValidationError) as caught:
        user.create(CUSTOMER, record)
    assert {detail.target for detail in caught.value.details} == {
        *("/creditLimt", "/status", "/totalDue", "/name"),
    }
    assert all(
        name in str(caught.value) for name in ("creditLimt", "/status", "/totalDue", "name is required")
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_not_a_number_never_clears_a_field(company, user, number):
    """JSON has no NaN; an encoder's null in its place would clear the credit limit."""
    before = len(company.requests)
    changes = {"creditLimit": number}
    for write in (
        lambda: user.create(CUSTOMER, {"name": "x", **changes}),
        lambda: user.update(CUSTOMER, "1", changes),
        lambda: user.create_many(CUSTOMER, [{"name": "x"}, {"name": "y", **changes}]),
        lambda: user.update_many(CUSTOMER, [{"key": "1"}, {"key": "2", **changes}]),
    ):
        with pytest.raises(IntacctArgumentError, match="creditLimit is"):
            write()
    assert len(company.requests) == before


def test_a_value_that_json_cannot_carry_costs_no_call(company, user):
    before = len(company.requests)
    with pytest.raises(IntacctArgumentError, match="type object cannot be sent"):
        user.create(CUSTOMER, {"name": object()})
    assert len(company.requests) == before


# --- records and keys


def test_a_second_record_with_an_id_is_a_conflict(user):
    for object_name, record in {
        CUSTOMER: {"id": "C-00001", "name": "x"},
        ACCOUNT_GROUP: {"id": user.query(ACCOUNT_GROUP, ["id"], size=1).rows[0]["id"]},
    }.items():
        with pytest.raises(IntacctConflictError) as caught:
            user.create(object_name, record)
        assert record["id"] in str(caught.value)
        assert (caught.value.status, caught.value.target) == (409, "/id")


def test_a_customer_in_use_is_not_deleted(company, user):
    parent = next(row for row in user.iter_rows(CUSTOMER, ["key", "parent.key"]) if row["parent.key"])
    with pytest.raises(IntacctValidationError, match="cannot be deleted because") as caught:
        user.delete(CUSTOMER, parent["parent.key"])
    assert caught.value.status == 422
    [result] = user.delete_many(CUSTOMER, [parent["parent.key"]])
    assert result.error.status == 422


@pytest.mark.parametrize("key", ["999999", "0"])
def test_a_key_that_does_not_exist_is_named(company, user, key):
    billed = company.transactions
    for use in (
        lambda: user.get(CUSTOMER, key),
        lambda: user.update(CUSTOMER, key, {"notes": "x"}),
        lambda: user.delete(CUSTOMER, key),
    ):
        with pytest.raises(IntacctNotFoundError) as caught:
            use()
        assert caught.value.status == 404
    assert user.transactions == company.transactions - billed == 0


@pytest.mark.parametrize(
    "key",
    [
        "",
        "  ",
        "1,2",
        "abc",
        "C-00001",
        "-1",
        "1.5",
        "../customer-group/1",
        "..",
        "ü",
        "a?b",
        "007",
        " 5 ",
        "None",
    ],
)
def test_what_is_no_key_costs_no_call(company, user, key):
    before = len(company.requests)
    for use in (
        lambda: user.get(CUSTOMER, key),
        lambda: user.update(CUSTOMER, key, {"notes": "x"}),
        lambda: user.delete(CUSTOMER, key),
        lambda: list(user.get_many(CUSTOMER, ["1", key])),
        lambda: user.delete_many(CUSTOMER, ["1", key]),
    ):
        with pytest.raises(IntacctArgumentError, match="key must be"):
            use()
    assert len(company.requests) == before


def test_one_missing_key_among_many_is_an_error_not_a_gap(user):
    with pytest.raises(IntacctNotFoundError, match="999999"):
        list(user.get_many(CUSTOMER, ["1", "999999", "2"]))


def test_an_update_without_a_key_costs_no_call(company, user):
    before = len(company.requests)
    with pytest.raises(IntacctArgumentError, match=r"changes\[1\]"):
        user.update_many(CUSTOMER, [{"key": "1", "notes": "x"}, {"notes": "y"}])
    assert len(company.requests) == before


# --- batches, on a company of their own


def test_one_bad_record_does_not_keep_the_others_from_being_written(sandbox, client):
    records = [{"id": f"C{n}", "name": f"Name {n}"} for n in range(7)]
    records[2] = {"id": "C2", "nmae": "slip"}
    records[4] = {"id": "C0", "name": "second of its id"}
    records[5] = {"id": "C5", "name": "x", "status": "actve"}
    results = client.create_many(CUSTOMER, records)
    assert [result.index for result in results] == [*range(7)]
    assert [result.ok for result in results] == [True, True, False, True, False, False, True]
    assert stored(sandbox, CUSTOMER) == ["C0", "C1", "C3", "C6"]
    for result in results:
        if result.ok:
            assert client.get(CUSTOMER, result.key)["name"] == records[result.index]["name"]
        else:
            assert result.key is None
    assert "Did you mean 'name'?" in str(results[2].error)
    assert isinstance(results[4].error, IntacctConflictError)
    assert results[5].error.target == "/status"
    assert client.transactions == sandbox.transactions


def test_bad_records_in_every_batch(sandbox, client):
    records = [{"id": f"P{n:04d}"} for n in range(1200)]
    bad = {0, 499, 500, 777, 1199}
    for n in bad:
        records[n] = {"id": f"P{n:04d}", "status": "actve"}
    results = client.create_many(PURPOSE, records)
    assert {result.index for result in results if not result.ok} == bad
    assert [result.index for result in results] == [*range(1200)]
    assert stored(sandbox, PURPOSE) == [f"P{n:04d}" for n in range(1200) if n not in bad]
    keys = [result.key or "999999" for result in results]
    changed = client.update_many(PURPOSE, [{"key": key, "status": "inactive"} for key in keys])
    assert {result.index for result in changed if not result.ok} == bad
    assert all(isinstance(changed[n].error, IntacctNotFoundError) for n in bad)
    deleted = client.delete_many(PURPOSE, keys)
    assert {result.index for result in deleted if not result.ok} == bad
    assert [result.key for result in deleted] == keys
    assert stored(sandbox, PURPOSE) == []
    assert client.transactions == sandbox.transactions


def test_all_or_nothing(sandbox, client):
    records = [{"id": "A"}, {"id": "B", "status": "actve"}, {"id": "C"}]
    results = client.create_many(PURPOSE, records, atomic=True)
    assert [result.ok for result in results] == [False, False, False]
    assert results[1].error.target == "/status"
    assert stored(sandbox, PURPOSE) == []
    assert client.transactions == sandbox.transactions - 0 == len(calls(sandbox, MODEL))
    assert all(result.ok for result in client.create_many(PURPOSE, [records[0], records[2]], atomic=True))
    keys = [row["key"] for row in client.iter_rows(PURPOSE, ["key"])]
    changes = [{"key": keys[0], "status": "inactive"}, {"key": "99", "status": "inactive"}]
    assert [result.ok for result in client.update_many(PURPOSE, changes, atomic=True)] == [False, False]
    assert {row["status"] for row in client.iter_rows(PURPOSE, ["status"])} == {"active"}


def test_all_or_nothing_is_for_one_call_only(sandbox, client):
    with pytest.raises(IntacctArgumentError, match="501 records in one call"):
        client.create_many(PURPOSE, [{"id": f"P{n}"} for n in range(501)], atomic=True)
    assert stored(sandbox, PURPOSE) == []


def test_two_records_of_one_id_are_not_guessed_between(client):
    """An id can only be double through something like an entity; whichever it is, none is picked."""
    assert client.find(PURPOSE, "P") is None
    client.create(PURPOSE, {"id": "P"})
    assert client.find(PURPOSE, "P")["id"] == "P"
    assert client.find(PURPOSE, "p") is None


# --- which record


@pytest.mark.parametrize(
    ("refused", "record"),
    [
        (lambda client: client.create(CUSTOMER, {"id": "N1"}), "with id 'N1'"),
        (lambda client: client.update(CUSTOMER, "1", {"status": "Active"}), "with key '1'"),
        (lambda client: client.get(CUSTOMER, "99999999"), "with key '99999999'"),
        (lambda client: client.delete(CUSTOMER, "99999999"), "with key '99999999'"),
    ],
    ids=["create", "update", "get", "delete"],
)
def test_a_refusal_names_the_record_that_it_is_about(user, refused, record):
    with pytest.raises(NOT_FOUND) as refusal:
        refused(user)
    assert str(refusal.value).startswith(f"{CUSTOMER} {record}: ")


def test_advice_is_a_sentence_of_its_own_after_what_support_asks_for(user):
    with pytest.raises(IntacctValidationError, match=r"support id [^ ]+\)\. Did you mean 'name'\?$"):
        user.query(CUSTOMER, ["nmae"])
