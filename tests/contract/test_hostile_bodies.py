"""Bodies that no generator makes up from a schema: no text, numbers beyond every type, nesting beyond the stack."""

import json

import pytest
from raw_client import RawClient
from sandbox_client import running

DEEP = b"[" * 100_000
TOKEN, QUERY, COMPOSITE = "/oauth2/token", "/services/core/query", "/services/core/composite"
CUSTOMER = "/objects/accounts-receivable/customer"
BODIES = {
    "empty": b"",
    "no text": b"\xff",
    "no text inside": b'{"client_id":"\xff"}',
    "deep": DEEP,
    "deep inside": b'{"client_id":' + DEEP,
    "half a character": b'{"\\ud800":1}',
    "number": b"1e400",
    "null": b"null",
    "array": b"[]",
    "text": b'""',
}
HUGE = "1" + "0" * 400


def query(name, value, operator="$eq"):
    filters = [{operator: {name: value}}]
    return json.dumps({"object": CUSTOMER[9:], "fields": ["key"], "filters": filters}).encode()


@pytest.fixture(scope="module")
def client():
    with running() as sandbox:
        yield RawClient(sandbox)


@pytest.mark.parametrize(
    "path",
    [
        TOKEN,
        QUERY,
        COMPOSITE,
        CUSTOMER,
        "/services/core/allowed-operations/list",
        "/services/delivery/event/ack",
    ],
)
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_no_request(client, path, body):
    answer = client("POST", path, data=BODIES[body], headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "value",
    ["1e999999999", "-1e999999999", "1e99999999999999999999", HUGE, int(HUGE)],
    ids=["exponent", "negative", "exponent of a small number", "digits", "digits of a number"],
)
@pytest.mark.parametrize("name", ["key", "totalDue", "creditLimit"])
@pytest.mark.parametrize("operator", ["$eq", "$gt"])
def test_a_filter_with_a_number_beyond_every_type(client, name, value, operator):
    assert client("POST", QUERY, data=query(name, value, operator)).status_code == 400


@pytest.mark.parametrize("length", [501, 5000])
def test_more_keys_than_a_batch_has(client, length):
    assert client("DELETE", f"{CUSTOMER}/{','.join(['1'] * length)}").status_code == 400


@pytest.mark.parametrize("number", [HUGE, "1e400", "-1e400"])
def test_an_amount_beyond_every_type(client, number):
    answer = client("POST", CUSTOMER, data=f'{{"name":"Big","creditLimit":{number}}}')
    assert answer.status_code == 400
