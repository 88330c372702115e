"""Each form of an error that the sandbox has a variant for: the client reads all of them."""

import pytest
from sandbox_client import calls, client_of, running

from intacct_provider.exceptions import IntacctPermissionError, IntacctValidationError

CUSTOMER = "accounts-receivable/customer"
#: The forms of errors of the gateway, and of rejected records.
GATEWAY = ["", "gateway-ia-errors", "errors-without-ids", "gateway-ia-errors,errors-without-ids"]
RECORDS = [
    *(
        "",
        "unknown-fields-rest-1043",
        "invalid-records-422",
        "details-with-corrections",
        "errors-without-ids",
    ),
    "unknown-fields-rest-1043,invalid-records-422,details-with-corrections",
    "unknown-fields-rest-1043,errors-without-ids",
]


@pytest.fixture(params=GATEWAY)
def gateway(request):
    with running(variant=request.param) as sandbox:
        yield sandbox


@pytest.fixture(params=RECORDS)
def records(request):
    with running(variant=request.param) as sandbox:
        yield sandbox


def test_a_token_that_ended_is_replaced(gateway):
    with client_of(gateway) as client:
        client.list(CUSTOMER)
        gateway.expire_tokens()
        assert client.list(CUSTOMER) == []
    assert len(calls(gateway, "/oauth2/token")) == 2


def test_a_limit_is_waited_for(gateway):
    gateway.fail(status=429, path="/objects")
    with client_of(gateway) as client:
        assert client.list(CUSTOMER) == []
    assert [call.status for call in calls(gateway, "/objects")] == [429, 200]


def test_a_missing_permission_is_one(gateway):
    gateway.faults.denied = [CUSTOMER]
    with client_of(gateway) as client, pytest.raises(IntacctPermissionError, match="may not see"):
        client.query(CUSTOMER, ["id"])


def test_an_unknown_field_names_the_nearest(records):
    with client_of(records) as client, pytest.raises(IntacctValidationError) as caught:
        client.create(CUSTOMER, {"id": "C1", "name": "One", "taxid": "1"})
    assert "Did you mean 'taxId'?" in str(caught.value)


def test_a_wrong_value_names_what_is_right(records):
    with client_of(records) as client, pytest.raises(IntacctValidationError) as caught:
        client.create(CUSTOMER, {"id": "C1", "name": "One", "status": "activ"})
    assert 'must be one of "active"' in str(caught.value)
    assert "Did you mean 'active'?" in str(caught.value)


def test_the_rejected_records_of_a_batch_are_told_from_the_others(records):
    with client_of(records) as client:
        results = client.create_many(CUSTOMER, [{"id": "C1", "name": "One"}, {"id": "C2"}, {"id": "C3"}])
        assert [one.ok for one in results] == [True, False, False]
        assert all(isinstance(one.error, IntacctValidationError) for one in results[1:])
        failed = client.create_many(CUSTOMER, [{"id": "C4"}, {"id": "C5"}])
    assert [one.ok for one in failed] == [False, False]
