"""What a client meets on the wire under each planned fault, seen without any help of ours."""

import contextlib
import gzip
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
import requests
from raw_client import bearer
from sandbox_client import running, stored

PURPOSE = "general-ledger/account-group-purpose"
PATH = f"/objects/{PURPOSE}"
QUERY = "/services/core/query"


@pytest.fixture(scope="module")
def purposes():
    """Ten purposes, only to be read."""
    with running(f"{PURPOSE}=10") as company:
        yield company


def create(sandbox, headers, **record):
    return requests.post(sandbox.url + PATH, json={"id": "P", **record}, headers=headers, timeout=20)


def page(sandbox, headers, start=1, size=4, **query):
    body = {"object": PURPOSE, "fields": ["key"], "orderBy": [{"key": "asc"}], "start": start, "size": size}
    return requests.post(sandbox.url + QUERY, json={**body, **query}, headers=headers, timeout=20)


def keys(answer):
    return [int(row["key"]) for row in answer.json()["ia::result"]]


def raw_get(sandbox, path, headers):
    """Return every byte that arrives until the connection ends, and whether it ended in an orderly way."""
    at = urlsplit(sandbox.url)
    lines = [f"GET {at.path}{path} HTTP/1.1", f"Host: {at.netloc}", "Accept-Encoding: gzip"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    received, orderly = b"", False
    with socket.create_connection((at.hostname, at.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
            orderly = True
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode().lower(), body, orderly


# --- carried out or not


BEFORE = [
    {"kind": "reset"},
    {"kind": "cut"},
    {"kind": "hang", "seconds": 0},
    {"status": 503},
    {"kind": "html"},
]


def call_of(sandbox, headers):
    """Create a record, and ignore the answer."""
    with contextlib.suppress(requests.RequestException):
        create(sandbox, headers)
    return sandbox.requests[-1]


@pytest.mark.parametrize("fault", BEFORE, ids=lambda fault: fault.get("kind", "status"))
def test_a_call_is_carried_out_only_when_the_fault_says_so(sandbox, fault):
    headers = bearer(sandbox)
    sandbox.fail(**fault)
    call = call_of(sandbox, headers)
    assert (stored(sandbox, PURPOSE), call.transactions) == ([], 0)
    sandbox.fail(**fault, done=True)
    call = call_of(sandbox, headers)
    assert (stored(sandbox, PURPOSE), call.transactions) == (["P"], 1)
    assert call.fault == fault.get("kind", "status")


def test_after_means_done_and_reset(sandbox):
    headers = bearer(sandbox)
    sandbox.fail(kind="after")
    with pytest.raises(requests.ConnectionError):
        create(sandbox, headers)
    assert stored(sandbox, PURPOSE) == ["P"]
    assert sandbox.requests[-1].status == 201


def test_a_hang_lasts_until_the_client_gives_up(sandbox):
    headers = bearer(sandbox)
    sandbox.fail(kind="hang", done=True)
    with pytest.raises(requests.ReadTimeout):
        requests.post(sandbox.url + PATH, json={"id": "P"}, headers=headers, timeout=0.2)
    assert stored(sandbox, PURPOSE) == ["P"]


# --- cut


@pytest.mark.parametrize("at", [0, 1, 30, 10**6])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_so_many_bytes_of_the_real_answer_arrive(purposes, at, framing, ending):
    headers = bearer(purposes)
    whole = requests.get(f"{purposes.url}{PATH}/1", headers=headers, timeout=20).content
    purposes.fail(kind="cut", done=True, at=at, framing=framing, ending=ending)
    head, body, orderly = raw_get(purposes, f"{PATH}/1", headers)
    part = whole[:at]
    assert head.startswith("http/1.1 200")
    assert ("transfer-encoding: chunked" in head) is (framing == "chunked")
    assert (f"content-length: {len(whole)}" in head) is (framing == "length")
    assert ("connection: close" in head) is (framing == "close")
    assert head.count("\r\ndate:") == 1
    if framing == "chunked":
        chunk = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        assert body == chunk + (b"0\r\n\r\n" if at > len(whole) else b"")
    else:
        assert body == part
    assert orderly is (ending == "close")


def test_half_of_an_answer_arrives_when_nothing_is_said(purposes):
    headers = bearer(purposes)
    whole = requests.get(f"{purposes.url}{PATH}/1", headers=headers, timeout=20).content
    purposes.fail(kind="cut", done=True)
    assert raw_get(purposes, f"{PATH}/1", headers)[1] == whole[: len(whole) // 2]


def test_a_planned_answer_can_be_cut_too(purposes):
    purposes.fail(kind="cut", status=400, body={"error": {"code": "GW-0040"}}, at=5, path=PATH)
    head, body, _ = raw_get(purposes, PATH, bearer(purposes))
    purposes.clear_faults()
    assert (head.split("\r\n")[0], body) == ("http/1.1 400 bad request", b'{"err')


def test_all_of_a_large_answer_arrives_before_the_connection_ends(purposes):
    body = b"[" + b"1," * 5_000_000 + b"1]"
    purposes.fail(kind="cut", status=200, body=body, at=len(body) - 1, path=PATH)
    assert raw_get(purposes, PATH, bearer(purposes))[1] == body[:-1]


# --- altered


def test_a_real_answer_under_another_status_and_other_headers(sandbox):
    headers = bearer(sandbox)
    sandbox.fail(kind="alter", status=207, headers={"Content-Type": "text/plain", "X-More": "1"})
    answer = create(sandbox, headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (207, "text/plain")
    assert answer.headers["X-More"] == "1"
    assert answer.json()["ia::result"]["id"] == "P"
    sandbox.fail(kind="alter", status=204)
    answer = create(sandbox, headers, id="Q")
    assert (answer.status_code, answer.content) == (204, b"")
    assert stored(sandbox, PURPOSE) == ["P", "Q"]


@pytest.mark.parametrize(
    ("count", "size", "total", "following"),
    [(-1, 3, 9, 4), (-1, 9, 9, None), (1, 10, 11, 11), (-99, 3, 0, None)],
)
def test_a_wrong_total_count_is_wrong_in_what_follows_from_it_too(purposes, count, size, total, following):
    headers = bearer(purposes)
    purposes.fail(kind="alter", count=count, path=QUERY)
    altered, plain = (page(purposes, headers, size=size) for _ in range(2))
    assert altered.json()["ia::meta"] | {"totalCount": 10} == plain.json()["ia::meta"] | {"next": following}
    assert altered.json()["ia::meta"]["totalCount"] == total
    assert keys(altered) == keys(plain)


def test_rows_of_the_page_before_come_again_and_move_the_others(purposes):
    headers = bearer(purposes)
    page(purposes, headers)
    purposes.fail(kind="alter", repeat=1, path=QUERY, times=0)
    assert keys(page(purposes, headers, start=5)) == [4, 5, 6, 7]
    assert keys(page(purposes, headers, start=9)) == [8, 9, 10], "those of the real page before"
    purposes.clear_faults()
    assert keys(page(purposes, headers)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("drop", "left"), [(1, [2, 3, 4]), (3, [1, 2, 4]), (4, [1, 2, 3]), (5, [1, 2, 3, 4])]
)
def test_a_row_is_missing_from_a_page_that_counts_it(purposes, drop, left):
    headers = bearer(purposes)
    purposes.fail(kind="alter", drop=drop, path=QUERY)
    altered, plain = (page(purposes, headers) for _ in range(2))
    assert keys(altered) == left
    assert altered.json()["ia::meta"] == plain.json()["ia::meta"]


def test_what_is_no_page_is_left_alone(sandbox):
    headers = bearer(sandbox)
    sandbox.fail(kind="alter", count=1, repeat=1)
    assert create(sandbox, headers).json()["ia::meta"]["totalCount"] == 1
    sandbox.fail(kind="alter", count=1)
    assert page(sandbox, headers, object="no/such").status_code == 400


def test_answers_are_compressed_for_who_takes_them_so(purposes):
    headers = bearer(purposes)
    plain = page(purposes, headers)
    purposes.fail(kind="alter", gzip=True, times=0)
    packed = page(purposes, headers)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers["Content-Length"]) < len(plain.content)
    other = page(purposes, {**headers, "Accept-Encoding": "identity"})
    assert "Content-Encoding" not in other.headers
    assert other.json() == plain.json()
    purposes.clear_faults()
    purposes.fail(kind="cut", done=True, gzip=True, at=10**6)
    body = raw_get(purposes, f"{PATH}/1", headers)[1]
    assert json.loads(gzip.decompress(body))["ia::result"]["key"] == "1"


# --- tokens


def test_every_token_can_end_at_a_chosen_call(sandbox):
    headers = bearer(sandbox)
    sandbox.fail(kind="expire", skip=1)
    assert [page(sandbox, headers).status_code for _ in range(3)] == [200, 401, 401]
    assert page(sandbox, bearer(sandbox)).status_code == 200


def test_the_connection_after_an_answer_can_be_used_again(purposes):
    """Faults that answer as a whole leave it open, as Intacct does."""
    headers, at = bearer(purposes), urlsplit(purposes.url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
    for fault in (
        {"status": 500},
        {"kind": "html"},
        {"kind": "alter", "gzip": True},
        {"kind": "expire"},
        {"status": 204},
    ):
        purposes.fail(**fault)
        connection.request("GET", f"{at.path}{PATH}/1", headers=headers)
        peer = connection.sock
        connection.getresponse().read()
        assert connection.sock is peer
    connection.close()
