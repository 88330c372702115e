"""Our client and servers, proxies and gateways that say what no sound one would say. Every byte is really sent."""

import base64
import gzip
import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from urllib.parse import quote

import certifi
import pytest
from raw_server import SECRET, TOKEN, raw_client, raw_server, response, slowly
from sandbox_client import client_of, running

from intacct_provider.client.http import connections, content
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctAnswerTooLargeError,
    IntacctAPIError,
    IntacctConfigError,
    IntacctConnectionError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctServerError,
    IntacctUnreadableAnswerError,
)

CUSTOMER = "accounts-receivable/customer"
LIST = {"ia::result": [{"key": "1", "id": "C1", "href": "/x/1"}]}
ONCE = RetryPolicy(attempts=1)
TWICE = RetryPolicy(attempts=2, base=0.01, budget=2)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def one_by_one(*answers):
    """Return what answers each request with the next of these, and all further ones with the last."""
    left = list(answers)
    return lambda _head, _body: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture(autouse=True)
def _nothing_from_the_environment(monkeypatch):
    for name in (*PROXIES, "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# --- statuses


@pytest.mark.parametrize("status", [408, 425])
@pytest.mark.parametrize("body", [b"", b"<html>Later</html>", b'{"ia::error": {"message": "later"}}'])
def test_a_request_that_came_too_early_or_too_late_is_repeated(status, body):
    later = response(body, status, Content_Type="text/html" if body.startswith(b"<") else "application/json")
    with raw_server(one_by_one(later, later, response(LIST))) as server:
        assert raw_client(server.url).list(CUSTOMER) == LIST["ia::result"]
        assert len(server.asked("customer")) == 3
    reference = response({"ia::result": {"key": "1", "id": "C1", "href": "/x/1"}}, 201)
    with raw_server(one_by_one(later, reference)) as server:
        assert raw_client(server.url).create(CUSTOMER, {"id": "C1"})["key"] == "1"
        keys = [line for head in server.requests for line in head.split("\r\n") if "Idempotency-Key" in line]
        assert len(keys) == 2
        assert len({*keys}) == 1
    with raw_server(one_by_one(later)) as server, pytest.raises(IntacctServerError) as caught:
        raw_client(server.url, retry=TWICE).list(CUSTOMER)
    assert caught.value.retryable
    assert caught.value.status == status


def test_a_page_under_a_refusal_is_called_one():
    page = response(b"<html>Forbidden</html>", 403, Content_Type="text/html; charset=utf-8")
    with raw_server(one_by_one(page)) as server, pytest.raises(IntacctPermissionError) as caught:
        raw_client(server.url).list(CUSTOMER)
    assert "HTTP 403 with text/html instead of JSON; perhaps a proxy or gateway in between" in str(
        caught.value
    )
    assert "Forbidden" not in str(caught.value)


def test_a_content_type_with_control_characters_is_cleaned():
    page = response(b"x", 200, Content_Type="text/\x1b[31mhtml\x9b")
    with raw_server(one_by_one(page)) as server, pytest.raises(IntacctResponseError) as caught:
        raw_client(server.url).list(CUSTOMER)
    assert "the response is text/html (HTTP 200), not JSON" in str(caught.value)


# --- what a server repeats


def leaking(*secrets):
    """Yield what a server may make of the secrets of a request."""
    for secret in secrets:
        yield secret
        yield quote(secret, safe="")
        yield base64.b64encode(f"app:{secret}".encode()).decode()
        yield f"Bearer {secret}"


@pytest.mark.parametrize("where", ["error", "gateway", "batch", "composite", "token"])
def test_no_error_shows_a_secret_that_the_server_repeats(where, caplog):
    secrets = (SECRET,) if where == "token" else (SECRET, TOKEN)
    text = " | ".join(leaking(*secrets)) + " \x1b[31m\x00\u202e\u2028"
    detail = {"message": text, "target": text, "correction": text, "errorId": text, "code": text}
    holder = {"placeholders": {"A": {"B": [text]}, text: "x"}}
    error = {**detail, "supportId": text, "details": [detail], "additionalInfo": holder}
    bodies = {
        "error": {"ia::result": {"ia::error": error}},
        "gateway": {"error": error},
        "token": {"error": "invalid_client", "error_description": text},
        "batch": {"ia::result": [{"ia::error": error, "ia::status": 400}] * 2},
        "composite": {"ia::result": [{"ia::error": error, "ia::status": 400}] * 2},
    }
    answer = response(bodies[where], 207 if where in ("batch", "composite") else 400)
    token = (lambda _head: answer) if where == "token" else None
    with raw_server(one_by_one(answer), token=token) as server, raw_client(server.url, retry=ONCE) as client:
        if where == "batch":
            errors = [result.error for result in client.create_many(CUSTOMER, [{"id": "A"}, {"id": "B"}])]
        elif where == "composite":
            parts = [{"method": "GET", "path": f"/objects/{CUSTOMER}/{n}"} for n in (1, 2)]
            errors = [result.error for result in client.composite(parts)]
        else:
            with pytest.raises(IntacctAPIError) as caught:
                client.list(CUSTOMER)
            errors = [caught.value]
    for problem in errors:
        shown = f"{problem} {problem!r} {vars(problem)}"
        assert "***" in shown
        for form in (*leaking(*secrets), SECRET[:9], TOKEN[:9], "\x1b", "\x00", "\u202e", "\u2028"):
            assert form not in shown + caplog.text
            assert repr(form)[1:-1] not in shown + caplog.text


# --- headers


LONG = "9" * 5000


@pytest.mark.slow
@pytest.mark.parametrize(
    "value", [LONG, "-" + LONG, "nan", "inf", "-1", "1e400", "Mon, 01 Jan 99999 00:00:00 GMT", "x", ""]
)
@pytest.mark.parametrize(
    "name", ["Retry-After", "X-IA-Throttle-Limit-Retry-After", "X-IA-Throttle-Limit-Remaining", "Date"]
)
def test_headers_of_any_length_and_form_are_survived(name, value):
    headers = {name.replace("-", "_"): value}
    with raw_server(one_by_one(response(LIST, **headers))) as server:
        assert raw_client(server.url).list(CUSTOMER) == LIST["ia::result"]
    busy = response({"error": {"code": "GW-0010", "message": "Later"}}, 429, **headers)
    with raw_server(one_by_one(busy)) as server, pytest.raises(IntacctAPIError, match="Later"):
        raw_client(server.url, retry=TWICE).list(CUSTOMER)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("5000000", "the connection closed before the response was complete"),
        ("9" * 20, "the connection closed before the response was complete"),
        ("9" * 400, "the connection closed before the response was complete"),
        ("1", "the response was truncated"),
        ("1_0", "the response was truncated"),
        ("1, 2", "the response has headers that contradict each other"),
        ("-1", None),
        (LONG, None),
        ("x", None),
    ],
)
def test_a_content_length_that_lies_is_an_error_and_one_that_is_none_has_no_effect(length, said):
    with raw_server(one_by_one(response(LIST, length=length, Connection="close"))) as server:
        client = raw_client(server.url, retry=TWICE, timeout=5)
        if said is None:
            assert client.list(CUSTOMER) == LIST["ia::result"]
            return
        with pytest.raises((IntacctConnectionError, IntacctResponseError), match=said):
            client.list(CUSTOMER)


@pytest.mark.parametrize("number", [LONG, "-" + LONG, "1e99999999999999999999"])
def test_a_number_of_thousands_of_digits_is_called_one(number):
    body = b'{"ia::result": [{"key": "1", "n": %s}], "ia::meta": {"totalCount": 1}}' % number.encode()
    with raw_server(one_by_one(response(body))) as server:
        client = raw_client(server.url, retry=TWICE)
        for read in (lambda: client.list(CUSTOMER), lambda: client.query(CUSTOMER, ["key"])):
            with pytest.raises(
                IntacctResponseError, match="a number with too many digits after 2 attempts"
            ) as caught:
                read()
            assert not caught.value.retryable


@pytest.mark.parametrize("text", [r"\ud800", r"a\uDC00b", r"\ud83d\u0041", r"\uD800\uD800"])
def test_text_that_is_not_unicode_is_named_and_not_read_again_by_a_retry_of_airflow(text):
    body = b'{"ia::result": [{"key": "1", "name": "%s"}], "ia::meta": {"totalCount": 1}}' % text.encode()
    with raw_server(one_by_one(response(body))) as server:
        client = raw_client(server.url, retry=TWICE)
        for read in (lambda: client.list(CUSTOMER), lambda: client.query(CUSTOMER, ["key", "name"])):
            with pytest.raises(IntacctUnreadableAnswerError, match="text with a lone surrogate") as caught:
                read()
            assert not caught.value.retryable


def test_a_response_that_ends_within_an_escape_is_truncated():
    with raw_server(one_by_one(response(b'{"ia::result": [{"key": "1", "name": "\\ud83d'))) as server:
        with pytest.raises(IntacctConnectionError, match="truncated") as caught:
            raw_client(server.url, retry=TWICE).list(CUSTOMER)
        assert caught.value.retryable


@pytest.mark.parametrize("number", [f'"{LONG}"', "-1", "1.5", '"1.0"', "true", '"٣"', "[]"])
@pytest.mark.parametrize("name", ["totalCount", "start", "pageSize", "next"])
def test_a_number_of_a_page_that_is_none_is_as_if_it_were_missing(number, name):
    """Except that any ``next`` that is not null says that there is more: behind the one row that came."""
    meta = {"totalCount": "1", "start": "1", "pageSize": "4000", "next": "null", name: number}
    text = ", ".join(f'"{key}": {value}' for key, value in meta.items())
    body = f'{{"ia::result": [{{"key": "1"}}], "ia::meta": {{{text}}}}}'.encode()
    with raw_server(one_by_one(response(body))) as server:
        page = raw_client(server.url).query(CUSTOMER, ["key"])
    assert page.rows == [{"key": "1"}]
    assert page.total_count == (None if name == "totalCount" else 1)
    assert (page.start, page.page_size, page.next) == (1, 4000, 2 if name == "next" else None)


# --- the size of a response


def bomb(megabytes, layers=1):
    """Return compressed JSON that is a large text."""
    data = gzip.compress(b'"' + bytes(megabytes * 2**20).replace(b"\0", b"x") + b'"')
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize("layers", [1, 2])
def test_a_response_that_is_too_large_is_not_decompressed(monkeypatch, layers):
    monkeypatch.setattr(content, "LARGEST", 8 * 2**20)
    data = bomb(60, layers)
    assert len(data) < 2**20
    encoding = ", ".join(["gzip"] * layers)
    with raw_server(one_by_one(response(data, Content_Encoding=encoding))) as server:
        with pytest.raises(
            IntacctAnswerTooLargeError, match=r"larger than \d+ MiB; ask for fewer rows"
        ) as caught:
            raw_client(server.url).list(CUSTOMER)
        assert len(server.asked("customer")) == 1
    assert not caught.value.retryable


@pytest.mark.parametrize("endless", ["plain", "chunked", "members"])
def test_a_response_without_end_is_too_large(monkeypatch, endless):
    monkeypatch.setattr(content, "LARGEST", 2**20)
    head = {"Transfer_Encoding": "chunked"} if endless == "chunked" else {"Connection": "close"}
    head |= {"Content_Encoding": "gzip"} if endless == "members" else {}
    piece = {
        "plain": b" " * 65536,
        "chunked": b"10000\r\n" + b" " * 65536 + b"\r\n",
        "members": gzip.compress(b"") * 5000,
    }

    def answer(*_):
        yield response(b"", length="", **head)
        while True:
            yield piece[endless]

    with raw_server(answer) as server, pytest.raises(IntacctAnswerTooLargeError):
        raw_client(server.url).list(CUSTOMER)


def test_a_page_that_is_too_large_is_halved_and_the_read_is_complete(monkeypatch):
    monkeypatch.setattr(content, "LARGEST", 20_000)
    with running(f"{CUSTOMER}=500") as company, client_of(company) as client:
        rows = [*client.iter_rows(CUSTOMER, ["key", "id", "name"])]
        assert len({row["key"] for row in rows}) == 500


@pytest.mark.parametrize("times", [1, 2])
def test_a_count_that_is_too_large_is_asked_for_once_more(monkeypatch, times):
    monkeypatch.setattr(content, "LARGEST", 2**20)
    count = {"ia::result": [{"count:key": "3"}], "ia::meta": {"totalCount": 1}}
    false = response(bomb(4), Content_Encoding="gzip")
    with raw_server(one_by_one(*[false] * times, response(count))) as server:
        query = Query.build(CUSTOMER, ["key"])
        if times == 1:
            assert raw_client(server.url).totals(query).count == 3
        else:
            with pytest.raises(IntacctAnswerTooLargeError):
                raw_client(server.url).totals(query)
        assert len(server.asked("/services/core/query")) == 2


def test_a_row_that_is_too_large_is_an_error(monkeypatch):
    monkeypatch.setattr(content, "LARGEST", 310)
    with running() as company, client_of(company) as client:
        company.seed(CUSTOMER, [{"id": f"C{n}", "name": str(n) * 80} for n in range(9)])
        with pytest.raises(IntacctAnswerTooLargeError) as caught:
            list(client.iter_rows(CUSTOMER, ["key", "id", "name"]))
        assert not caught.value.retryable


BODY = json.dumps({"ia::result": [{"key": str(n), "id": "x" * 50, "href": ""} for n in range(5000)]}).encode()


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
        ("gzip", gzip.compress(BODY) + b"\0" * 512),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("identity", BODY),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("", BODY),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_every_documented_encoding_is_read_and_its_connection_is_kept(encoding, data, chunked):
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:7], data[7:])) + b"0\r\n\r\n"
    answer = response(data, Content_Encoding=encoding)
    if chunked:
        answer = response(chunks, length="", Transfer_Encoding="chunked", Content_Encoding=encoding)
    with raw_server(one_by_one(answer)) as server:
        client = raw_client(server.url)
        for _ in range(3):
            assert len(client.list(CUSTOMER)) == 5000
        assert server.connections == 1


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", gzip.compress(BODY)[:-20]), ("gzip", BODY), ("deflate", zlib.compress(BODY)[:500])],
)
def test_a_damaged_response_is_asked_for_again(encoding, data):
    broken = response(data, Content_Encoding=encoding)
    with raw_server(one_by_one(broken, response(BODY))) as server:
        assert len(raw_client(server.url).list(CUSTOMER)) == 5000
        assert len(server.asked("customer")) == 2


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip, gzip", "\x1b[31mx"])
def test_an_encoding_that_nobody_asked_for_is_an_error(encoding):
    with raw_server(one_by_one(response(BODY, Content_Encoding=encoding))) as server:
        with pytest.raises(
            IntacctResponseError, match="which was not asked for; is a proxy in between"
        ) as caught:
            raw_client(server.url).list(CUSTOMER)
        assert "Accept-Encoding: gzip, deflate" in server.asked("customer")[0]
    assert "\x1b" not in str(caught.value)


# --- the time of a response


@pytest.fixture
def hurry(monkeypatch):
    """Let a response take one second as a whole."""
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["status line", "header", "body", "chunk sizes", "interim responses"])
def test_a_response_that_never_ends_is_an_error_in_time(hurry, part):
    def answer(*_):
        if part == "status line":
            yield from slowly(b"HTTP/1.1 200 OK" * 1000, 0.05)
        elif part == "interim responses":
            while True:
                yield from slowly(b"HTTP/1.1 100 Continue\r\n\r\n", 0.05, piece=25)
        elif part == "header":
            yield b"HTTP/1.1 200 OK\r\n"
            yield from slowly(b"X-A: b" * 1000, 0.05)
        elif part == "body":
            yield response(b"", length=100_000)
            yield from slowly(b" " * 1000, 0.05)
        else:
            yield response(b"", length="", Transfer_Encoding="chunked")
            yield from slowly(b"0" * 1000, 0.05)

    with raw_server(answer) as server:
        started = time.monotonic()
        with pytest.raises(IntacctConnectionError, match="the response was not complete within 1 s"):
            raw_client(server.url, retry=ONCE, timeout=0.2).list(CUSTOMER)
        assert 0.9 < time.monotonic() - started < 5


def test_a_long_timeout_lengthens_the_time_of_a_whole_response():
    assert [connections.compute_deadline(timeout) for timeout in (0.1, 60, 100, 3600)] == [
        300,
        300,
        500,
        18000,
    ]


def test_a_slow_response_within_its_time_is_read(hurry):
    with raw_server(lambda *_: slowly(response(LIST), 0.005, piece=2)) as server:
        assert raw_client(server.url, timeout=0.2).list(CUSTOMER) == LIST["ia::result"]


@pytest.mark.slow
def test_the_next_request_on_a_connection_has_all_its_time(hurry):
    with raw_server(lambda *_: slowly(response(LIST), 0.1, piece=40)) as server:
        client = raw_client(server.url, timeout=0.2)
        for _ in range(5):
            assert client.list(CUSTOMER) == LIST["ia::result"]
        assert server.connections == 1


# --- proxies


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "LOCALHOST"])
@pytest.mark.parametrize("given", ["environment", "extra"])
def test_loopback_is_never_reached_through_a_proxy(monkeypatch, host, given):
    with raw_server(one_by_one(response({}, 502))) as proxy, raw_server(one_by_one(response(LIST))) as server:
        address = f"http://127.0.0.1:{proxy.port}"
        if given == "environment":
            for name in PROXIES:
                monkeypatch.setenv(name, address)
                monkeypatch.setenv(name.lower(), address)
        client = raw_client(
            f"http://{host}:{server.port}/ia/api/v1", proxy=address if given == "extra" else ""
        )
        assert client.list(CUSTOMER) == LIST["ia::result"]
        assert proxy.connections == 0


@pytest.fixture(params=["environment", "extra"])
def behind(request, monkeypatch):
    """Return what makes a client that reaches ``intacct.test`` through a proxy."""

    def build(proxy, **changes):
        if request.param == "environment":
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            proxy = ""
        return raw_client("https://intacct.test/ia/api/v1", proxy=proxy, retry=TWICE, **changes)

    return build


def test_a_dead_proxy_is_named_without_its_credentials(behind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    masked = []
    with pytest.raises(IntacctConnectionError) as caught:
        behind(f"http://user:hun%2Fter2@127.0.0.1:{port}", on_secret=masked.append).list(CUSTOMER)
    assert (
        f"could not connect to the proxy http://127.0.0.1:{port}; check the connection's extra proxy"
        in str(caught.value)
    )
    assert "after 2 attempts" in str(caught.value)
    assert "user" not in str(caught.value)
    assert masked[:2] == ["hun/ter2", "hun%2Fter2"]


def test_a_proxy_that_wants_credentials_is_named_with_what_to_do(behind):
    with raw_server(one_by_one(response(b"<html>", 407))) as proxy:
        with pytest.raises(IntacctConnectionError) as caught:
            behind(f"http://user:hunter2@127.0.0.1:{proxy.port}").list(CUSTOMER)
        [head] = proxy.requests
        assert head.startswith("CONNECT intacct.test:443 ")
    said = str(caught.value)
    assert f"the proxy http://127.0.0.1:{proxy.port} wants a user and a password" in said
    assert "give them in the connection's extra proxy" in said
    assert "hunter2" not in said


def test_a_server_that_answers_407_is_taken_for_a_proxy():
    with (
        raw_server(one_by_one(response({}, 407))) as server,
        pytest.raises(IntacctConnectionError, match="407"),
    ):
        raw_client(server.url).list(CUSTOMER)


@pytest.mark.parametrize(("status", "tries"), [(403, 1), (502, 2), (503, 2)])
def test_a_proxy_that_does_not_connect_is_named(behind, status, tries):
    with raw_server(one_by_one(response(b"", status))) as proxy:
        with pytest.raises(IntacctConnectionError) as caught:
            behind(f"http://127.0.0.1:{proxy.port}").list(CUSTOMER)
        assert len(proxy.requests) == tries
    assert f"the proxy http://127.0.0.1:{proxy.port} does not connect to Intacct (HTTP {status})" in str(
        caught.value
    )


@pytest.mark.parametrize("proxy", ["user:hunter2@[bad", "http://user:hunter2@:1", "user:hunter2@127.0.0.1:1"])
def test_a_proxy_of_the_environment_that_is_no_url_shows_no_password(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(IntacctConnectionError, match="proxy") as caught:
        raw_client("https://intacct.test/ia/api/v1", retry=ONCE).list(CUSTOMER)
    assert "hunter2" not in str(caught.value)


# --- certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the paths of a certificate that nobody has signed but itself, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = [str(folder / "cert.pem"), str(folder / "key.pem")]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, *names, "-out", made[0], "-keyout", made[1]], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("openssl is missing")
    return made


@pytest.fixture
def secure(certificate):
    """Return the address of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with raw_server(one_by_one(response(LIST))) as server, socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                    wrapped = context.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    continue
                except OSError:
                    return
                threading.Thread(target=server._serve, args=(wrapped,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}/ia/api/v1"


def test_an_unknown_authority_is_named_with_what_to_do(secure):
    with pytest.raises(IntacctConnectionError) as caught:
        raw_client(secure).list(CUSTOMER)
    said = str(caught.value)
    assert "the server's TLS certificate is not trusted: self" in said
    assert "give the path of its CA bundle in the connection's extra verify" in said
    assert "after" not in said


def test_a_certificate_of_the_own_bundle_is_trusted(secure, certificate, monkeypatch):
    assert raw_client(secure, verify=certificate[0]).list(CUSTOMER) == LIST["ia::result"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    assert raw_client(secure).list(CUSTOMER) == LIST["ia::result"]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_without_a_check_the_log_warns_once(secure, caplog):
    caplog.set_level(logging.WARNING, "intacct_provider")
    for _ in range(3):
        assert raw_client(secure, verify=False).list(CUSTOMER) == LIST["ia::result"]
    [warning] = [text for text in caplog.messages if "verify is false" in text]
    assert "localhost" in warning


def test_a_bundle_that_is_none_is_an_error_before_anything_is_sent(tmp_path):
    (tmp_path / "ca.pem").write_text("not PEM")
    with pytest.raises(IntacctConfigError, match="cannot be read as CA certificates in PEM format"):
        raw_client("https://intacct.test", verify=os.fspath(tmp_path / "ca.pem"))


def test_a_bundle_that_is_replaced_is_read_again(tmp_path):
    bundle = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), bundle)
    raw_client("https://intacct.test", verify=os.fspath(bundle))
    bundle.write_text("not PEM")
    with pytest.raises(IntacctConfigError, match="cannot be read as CA certificates in PEM format"):
        raw_client("https://intacct.test", verify=os.fspath(bundle))


def test_a_server_without_tls_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            with listener.accept()[0] as connection:
                connection.sendall(response({}, 400))

        threading.Thread(target=refuse, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/ia/api/v1"
        with pytest.raises(IntacctConnectionError, match=r"no TLS connection \(WRONG_VERSION_NUMBER\)"):
            raw_client(url, retry=ONCE).list(CUSTOMER)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_the_environment_that_is_missing_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "/missing/ca.pem")
    with pytest.raises(
        IntacctConfigError, match=f"{name} '/missing/ca.pem' cannot be read as CA certificates"
    ):
        raw_client("https://intacct.test")
    with raw_server(one_by_one(response(LIST))) as server:
        assert raw_client(server.url).list(CUSTOMER) == LIST["ia::result"]


def test_a_proxy_for_which_a_package_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1")
    with pytest.raises(IntacctConnectionError) as caught:
        raw_client("https://intacct.test/ia/api/v1", retry=ONCE).list(CUSTOMER)
    assert "the proxy socks5://127.0.0.1:1 needs the package PySocks" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_rejected_token_request_keeps_the_advice_of_its_causes():
    error = {
        "code": "invalid_client",
        "message": "No",
        "details": [{"message": "why", "correction": "Do this"}],
    }
    with (
        raw_server(one_by_one(response(LIST)), token=lambda _head: response({"error": error}, 401)) as server,
        pytest.raises(IntacctAPIError, match="why, correction: Do this"),
    ):
        raw_client(server.url, retry=ONCE).list(CUSTOMER)


# --- keys


@pytest.mark.parametrize(
    "keys",
    [("007", "1_0", "11", "12", "13"), ("1_0", " 11", "12", "13", "14"), ("007", "8.0", "9", "10", "11")],
)
def test_keys_that_are_not_numbers_are_never_compared_and_come_as_they_are(keys):
    queries = []

    def answer(_head, body):
        query = json.loads(body)
        queries.append(query)
        if "count:key" in query["fields"]:
            return response({"ia::result": [{"count:key": len(keys)}], "ia::meta": {"totalCount": 1}})
        found = keys[::-1] if query["orderBy"] == [{"key": "desc"}] else keys
        start, end = query["start"] - 1, query["start"] - 1 + query["size"]
        meta = {"totalCount": len(keys), "start": start + 1, "pageSize": query["size"]}
        meta["next"] = end + 1 if end < len(keys) else None
        return response({"ia::result": [{"key": key} for key in found[start:end]], "ia::meta": meta})

    with raw_server(answer) as server:
        rows = raw_client(server.url, page_size=2).iter_rows(CUSTOMER, ["key"])
        assert [row["key"] for row in rows] == [*keys]
    assert not any(query.get("filters") for query in queries), "they were compared as if they were numbers"
