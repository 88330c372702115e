"""Responses that are not JSON, very large, deeply nested, compressed, or redirected."""

import gzip
import json

import pytest
from raw_server import raw_client, raw_server, response, slowly
from reliability_work import CUSTOMER, PAGE, PURPOSE, QUERY, TOKEN, attempt, do_work, work_at_every_call
from sandbox_client import client_of, running

from intacct_provider.client.http import connections, content
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import IntacctConnectionError, IntacctResponseError

SECTION = "Responses"
AGAIN = "treats it as broken, and retries the call"
HTML = {"Content-Type": "text/html"}


def line(fault, does, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


def broken(text, **fault):
    fault = {"status": 200, "done": True, **fault}
    return pytest.param(fault, marks=line(text, AGAIN), id=text.replace(" ", "-"))


GZIP = {"Content-Encoding": "gzip"}
PACKED = gzip.compress(b'{"ia::result":[]}', mtime=0)
BROKEN = [
    broken("empty response with HTTP 200", body=b""),
    broken("response that is not UTF-8", body=b'{"ia::result":{"key":"1","id":"\xff\xfe","href":"/1"}}'),
    broken("JSON nested 100,000 levels deep", body=b"[" * 100_000 + b"]" * 100_000),
    broken("JSON truncated in the middle of a character", body='{"ia::result":{"id":"é'.encode()[:-1]),
    broken(
        "compressed response with a wrong checksum",
        body=PACKED[:-8] + b"\0" * 8,
        headers=GZIP,
    ),
    broken(
        "response declared as compressed that is not",
        body=b'{"ia::result":[]}',
        headers=GZIP,
    ),
    broken("truncated compressed response", kind="cut", gzip=True, status=None),
    broken(
        "truncated compressed response without Content-Length",
        kind="cut",
        gzip=True,
        status=None,
        framing="close",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_answer_at_any_call_of_a_run(sandbox, fault):
    work_at_every_call(sandbox, fault)


@pytest.mark.parametrize("fault", BROKEN)
def test_responses_that_stay_broken_raise_a_retryable_error(sandbox, fault):
    with client_of(sandbox, RetryPolicy(attempts=3, base=0)) as client:
        client.query(PURPOSE, ["key"], size=1)
        sandbox.fail(**{**fault.copy(), "times": 0})
        with pytest.raises(IntacctConnectionError) as caught:
            client.create(PURPOSE, {"id": "P"})
    assert caught.value.retryable


@line("HTML page instead of a response", "treats it as broken, and retries the call")
def test_a_web_page_instead_of_the_answer_to_a_write(sandbox):
    """The call may have been executed behind the proxy."""
    sandbox.fail(kind="html", done=True, path=f"/objects/{CUSTOMER}")
    with attempt(sandbox) as client:
        key = client.create(CUSTOMER, {"name": "One"})["key"]
    assert [record["key"] for record in sandbox.records(CUSTOMER)] == [key]


@line(
    "HTML pages from a host that has not answered as Intacct does",
    "fails with a message that suggests a proxy",
    "an error that Airflow retries",
)
def test_a_host_that_sends_web_pages_only(sandbox):
    sandbox.fail(kind="html", times=0)
    with attempt(sandbox) as client, pytest.raises(IntacctResponseError, match="proxy"):
        client.query(CUSTOMER, ["key"])
    assert len(sandbox.requests) == 1


@line("compressed responses", "decompresses them")
def test_every_answer_is_compressed(sandbox):
    sandbox.fail(kind="alter", gzip=True, times=0)
    with client_of(sandbox, page_size=PAGE) as client:
        do_work(sandbox, client, "Packed")
    assert {call.fault for call in sandbox.requests} == {"alter"}


@pytest.mark.slow
@line("response of 50 MB", "reads it")
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_of_fifty_megabytes(packed):
    """Read one page of 4,000 customers with 13,000 characters each."""
    with running(f"{CUSTOMER}=4000") as company:
        with company.store.transaction() as conn:
            notes = """SET "notes" = "key" || ' é' || printf('%.*c', 12990, 'x')"""
            conn.execute(f'UPDATE "{CUSTOMER}" {notes}')
        company.fail(kind="alter", gzip=packed, path=QUERY)
        with client_of(company, page_size=4000) as client:
            page = client.query(CUSTOMER, ["key", "notes"], order_by=[{"key": "asc"}])
        assert sum(len(row["notes"].encode()) for row in page.rows) > 50_000_000
        assert [row["key"] for row in page.rows] == [str(n) for n in range(1, 4001)]
        assert all(row["notes"] == f"{row['key']} é{'x' * 12990}" for row in page.rows)


@line("page that is too large when decompressed", "halves the page size until it fits")
@pytest.mark.parametrize("packed", [False, True])
def test_a_page_larger_than_the_limit(monkeypatch, packed):
    monkeypatch.setattr(content, "LARGEST", 20_000)
    with running(f"{CUSTOMER}=500") as company, client_of(company, page_size=4000) as client:
        company.fail(kind="alter", gzip=packed, path=QUERY, times=0)
        read = [row["key"] for row in client.iter_rows(CUSTOMER, ["key", "id", "name"])]
    assert read == [str(n) for n in range(1, 501)]


@line(
    "response that never ends, a byte at a time",
    "gives up when its time is up",
    "an error that Airflow retries",
)
def test_a_response_that_never_ends(monkeypatch):
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 1.0)
    endless = slowly(response(b" " * 10_000), 0.05)
    with (
        raw_server(lambda *_: endless) as server,
        pytest.raises(IntacctConnectionError, match="within 1 s") as caught,
    ):
        raw_client(server.url, timeout=0.2, retry=RetryPolicy(budget=0)).get(PURPOSE, "1")
    assert caught.value.retryable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [QUERY, TOKEN, f"/objects/{CUSTOMER}"])
@line(
    "redirect to another host",
    "does not follow it, so no credentials are sent there",
    "an error that Airflow retries",
)
def test_a_redirection_is_not_followed(sandbox, status, path):
    with running() as elsewhere:
        location = elsewhere.url.replace("127.0.0.1", "localhost") + path
        sandbox.fail(status=status, body=b"", headers={**HTML, "Location": location}, path=path)
        with client_of(sandbox) as client, pytest.raises(IntacctResponseError, match="not followed"):
            do_work(sandbox, client, "Redirected")
        assert elsewhere.requests == []


@line("numbers with more digits than a float can hold", "keeps every digit")
def test_long_numbers_survive(sandbox, client):
    digits = "9" * 40
    body = f'{{"ia::result":{{"key":"1","limit":{digits}.01,"whole":{digits},"text":"99999999999999.99"}}}}'
    sandbox.fail(status=200, body=body, path=f"/objects/{PURPOSE}/1")
    record = client.get(PURPOSE, "1")
    assert str(record["limit"]) == f"{digits}.01"
    assert str(record["whole"]) == digits
    assert record["text"] == json.loads(body)["ia::result"]["text"]
