"""Sending: patient with a server that is away, never with one that says no, and quiet about secrets."""

from __future__ import annotations

import logging

import pytest
import requests
from urllib3.exceptions import (
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from intacct_provider.client.http.replies import classify_failure
from intacct_provider.client.http.transport import Reply, Request
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctConflictError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctIncompleteReadError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

SECRET = "s3cret-of-the-app"
CUSTOMER = "accounts-receivable/customer"
LIST = {"ia::result": [{"key": "1", "id": "C1", "href": "/x/1"}]}
REFERENCE = {"ia::result": {"key": "1", "id": "C1", "href": "/x/1"}}
AT_ONCE = {"Retry-After": "0"}
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
CUT = {"text": '{"ia::result": [{"key": "1"', "headers": JSON}
PAGE = {"text": "<html>Sign in</html>", "headers": HTML}
LOST = {"exc": requests.ConnectionError("reset")}
REFUSED = {"exc": requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))}
OK = {"json": {}}


def sent(intacct, method="GET"):
    return len(intacct.calls("/objects", method))


@pytest.fixture
def no_sleep(monkeypatch):
    """Return the waits that the client would have slept."""
    waits: list[float] = []
    monkeypatch.setattr("intacct_provider.client.http.transport.time.sleep", waits.append)
    return waits


# --- again


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [{"text": ""}, PAGE, {"json": {"ia::error": {"message": "later"}}}])
def test_a_read_is_sent_again_until_the_server_is_back(intacct, status, body):
    later = {"status_code": status, **body, "headers": {**body.get("headers", {}), **AT_ONCE}}
    intacct.on("GET", intacct.customers, later, later, {"json": LIST})
    client = intacct.client()
    assert client.list(CUSTOMER) == LIST["ia::result"]
    assert sent(intacct) == 3
    assert client.transactions == 1


@pytest.mark.parametrize(
    "failure",
    [
        LOST,
        CUT,
        {"exc": requests.ReadTimeout("t")},
        {"exc": requests.ConnectTimeout("t")},
        {"exc": requests.exceptions.ChunkedEncodingError("cut")},
        {"exc": requests.exceptions.ContentDecodingError("gzip")},
    ],
)
def test_a_read_is_sent_again_when_its_answer_did_not_come_whole(intacct, failure):
    intacct.on("GET", intacct.customers, failure, {"json": LIST})
    assert intacct.client().list(CUSTOMER) == LIST["ia::result"]


@pytest.mark.parametrize("failure", [LOST, CUT, PAGE, {"status_code": 503}, {"status_code": 429}])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_keyed_write_is_sent_again_under_the_same_key(intacct, failure, method):
    path = intacct.customers + ("/1" if method == "PATCH" else "")
    intacct.on(method, path, failure, {"json": REFERENCE})
    client = intacct.client()
    if method == "POST":
        client.create(CUSTOMER, {"id": "C1"})
    else:
        client.update(CUSTOMER, "1", {"name": "x"})
    keys = [call.headers["Idempotency-Key"] for call in intacct.calls(intacct.customers, method)]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert client.transactions == 1


@pytest.mark.parametrize(
    "name", ["Retry-After", "X-IA-Throttle-Limit-Retry-After", "X-IA-Minute-Rate-Limit-Retry-After"]
)
def test_the_wait_is_as_long_as_the_server_asks(intacct, no_sleep, name):
    intacct.on("GET", intacct.customers, {"status_code": 429, "headers": {name: "17"}}, {"json": LIST})
    intacct.client().list(CUSTOMER)
    assert no_sleep == [17]


def test_places_that_others_have_are_waited_for_by_the_time_and_not_by_the_number(intacct, no_sleep):
    busy = {"status_code": 429, "headers": {"Retry-After": "1"}}
    intacct.on("GET", intacct.customers, *[busy] * 10, {"json": LIST})
    intacct.client().list(CUSTOMER)
    assert no_sleep == [1] * 10


def test_a_pause_of_no_seconds_is_no_advice(intacct, no_sleep):
    busy = {"status_code": 429, "headers": AT_ONCE}
    intacct.on("GET", intacct.customers, *[busy] * 10, {"json": LIST})
    with pytest.raises(IntacctRateLimitError):
        intacct.client().list(CUSTOMER)
    assert sent(intacct) == 4


def test_a_pause_beyond_the_budget_is_not_waited_for(intacct, no_sleep):
    intacct.on("GET", intacct.customers, status_code=429, headers={"Retry-After": "301"})
    with pytest.raises(IntacctRateLimitError):
        intacct.client().list(CUSTOMER)
    assert no_sleep == []
    assert sent(intacct) == 1


def test_every_repetition_is_logged_with_its_reason_and_wait(intacct, no_sleep, caplog):
    caplog.set_level(logging.WARNING, "intacct_provider")
    intacct.on(
        "GET", intacct.customers, {"status_code": 503, "headers": {"Retry-After": "2"}}, LOST, {"json": LIST}
    )
    intacct.client().list(CUSTOMER)
    start = f"Intacct: GET {intacct.customers}: "
    assert caplog.messages == [
        f"{start}HTTP 503; retrying in 2.0 s (attempt 2 of 4)",
        f"{start}the connection closed before the response was complete; retrying in 0.0 s (attempt 3 of 4)",
    ]


# --- not again


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 422])
def test_a_no_is_not_asked_again(intacct, status):
    intacct.on("GET", intacct.customers, status_code=status, json={"ia::error": {"message": "no"}})
    with pytest.raises(IntacctAPIError, match=f"no .HTTP {status}"):
        intacct.client().list(CUSTOMER)
    assert sent(intacct) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_stays_down_raises_after_the_last_attempt(intacct, status):
    intacct.on("GET", intacct.customers, status_code=status, text="<html>Bad Gateway</html>", headers=HTML)
    with pytest.raises(IntacctServerError, match=f"Intacct answered HTTP {status}") as caught:
        intacct.client().list(CUSTOMER)
    assert sent(intacct) == 4
    assert "<html>" not in str(caught.value)
    assert caught.value.retryable


def test_a_rate_limit_that_stays_raises_with_what_to_do(intacct):
    error = {"error": {"code": "GW-0010", "message": "Too many requests"}}
    intacct.on("GET", intacct.customers, status_code=429, json=error)
    with pytest.raises(
        IntacctRateLimitError, match="lower max_concurrency or put the tasks in an Airflow pool"
    ):
        intacct.client().list(CUSTOMER)
    assert sent(intacct) == 4


@pytest.mark.parametrize(
    ("exception", "said"),
    [
        (
            requests.ConnectionError("reset"),
            "the connection closed before the response was complete after 4 attempts in 0 s",
        ),
        (
            requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused"))),
            "could not connect; is the host right and reachable? after 4 attempts",
        ),
        (requests.ReadTimeout("read"), "no response within 60 s after 4 attempts"),
        (
            requests.ConnectionError(
                MaxRetryError(None, "/", ReadTimeoutError(None, "/", "Read timed out."))
            ),
            "no response within 60 s",
        ),
        (
            requests.ConnectionError(ProtocolError("aborted")),
            "the connection closed before the response was complete",
        ),
        (requests.exceptions.SSLError("self-signed"), "the server's TLS certificate is not trusted."),
        (requests.exceptions.InvalidURL("x"), "the request could not be sent (InvalidURL)."),
    ],
)
def test_without_an_answer_the_error_says_where_what_and_how_often(intacct, exception, said):
    intacct.on("GET", intacct.customers, exc=exception)
    with pytest.raises(IntacctConnectionError) as caught:
        intacct.client().list(CUSTOMER)
    assert str(caught.value).startswith(f"GET {intacct.customers} at {intacct.url}: ")
    assert said in str(caught.value)
    assert caught.value.__cause__ is exception


@pytest.mark.parametrize(
    "exception", [requests.exceptions.SSLError("x"), requests.exceptions.InvalidURL("x")]
)
def test_what_waiting_cannot_mend_is_tried_once(intacct, exception):
    intacct.on("GET", intacct.customers, exc=exception)
    with pytest.raises(IntacctConnectionError):
        intacct.client().list(CUSTOMER)
    assert sent(intacct) == 1


def test_an_unrepeatable_request_is_sent_once_whatever_comes_back(intacct):
    transport = intacct.client()._session.transport
    request = Request("POST", "/services/x", content=b"{}", repeatable=False)
    for failure in (LOST, CUT, {"status_code": 503}, {"status_code": 429}, {"text": ""}, PAGE):
        intacct.on("POST", "/services/x", failure, {"json": {}})
        with pytest.raises(IntacctError):
            transport.send(request).raise_for_error()
    assert len(intacct.calls("/services/x")) == 6


def test_an_unrepeatable_request_is_sent_again_after_a_dead_token_which_did_nothing(intacct):
    intacct.on("POST", "/services/x", {"status_code": 401}, {"json": {}})
    intacct.on("GET", intacct.model, status_code=401)
    request = Request("POST", "/services/x", content=b"{}", repeatable=False)
    assert intacct.client()._session.transport.send(request).raise_for_error().status == 200


@pytest.mark.parametrize("repeat", [{"repeatable": False}, {"may_repeat": lambda: False}])
def test_what_must_not_happen_twice_is_not_sent_again_when_the_refused_token_is_good(intacct, repeat):
    intacct.on("POST", "/services/x", {"status_code": 401}, {"json": {}})
    request = Request("POST", "/services/x", content=b"{}", **repeat)
    with pytest.raises(IntacctResponseError, match="unknown whether this one was carried out"):
        intacct.client()._session.transport.send(request)
    assert len(intacct.calls("/services/x")) == 1


@pytest.mark.parametrize("fault", [{"status_code": 503}, {"exc": requests.ConnectionError("reset")}])
def test_whether_a_request_may_come_again_is_asked_only_when_it_may_have_been_carried_out(intacct, fault):
    asked = []
    request = Request("POST", "/services/x", content=b"{}", may_repeat=lambda: asked.append(1))
    intacct.on("POST", "/services/x", {"status_code": 429}, {"json": {}})
    assert intacct.client()._session.transport.send(request).status == 200
    assert not asked
    intacct.on("POST", "/services/x", fault, {"json": {}})
    with pytest.raises((IntacctConnectionError, IntacctServerError)):
        intacct.client()._session.transport.send(request).raise_for_error()
    assert asked


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("", "; is the host spelled right?"),
        ("http://[::1", " through the proxy http://[::1; check the connection's extra"),
    ],
)
def test_an_address_that_is_not_one_is_named_without_the_password_in_it(proxy, said):
    failure = classify_failure(LocationParseError("http://me:s3cret@[::1"), 60, proxy)
    assert failure.what.startswith(f"no request can be sent to this address{said}")
    assert not failure.transient
    assert not failure.maybe_done
    assert failure.cause is None


def test_an_error_of_a_request_that_cannot_be_sent_holds_none_of_it(intacct):
    intacct.on("GET", intacct.customers, exc=ValueError("Invalid header value b'Bearer token-1'"))
    with pytest.raises(IntacctConnectionError, match=r"could not be sent \(ValueError\)") as caught:
        intacct.client().list(CUSTOMER)
    assert caught.value.__cause__ is None


def test_answers_that_stay_cut_raise(intacct):
    intacct.on("GET", intacct.customers, **CUT)
    with pytest.raises(
        IntacctConnectionError, match="the response was truncated or is not JSON after 4 attempts"
    ):
        intacct.client().list(CUSTOMER)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"text": ""}, id="success without a body"),
        pytest.param({"status_code": 201, "text": "", "headers": JSON}, id="creation without a body"),
        pytest.param({"status_code": 404, "text": "", "headers": JSON}, id="refusal without its body"),
        pytest.param({**CUT, "status_code": 400}, id="refusal cut"),
        pytest.param({**CUT, "status_code": 409}, id="conflict cut"),
        pytest.param({"content": b'{"ia::result": "\xff\xfe"}', "headers": JSON}, id="not UTF-8"),
        pytest.param({"text": "[" * 100_000 + "]" * 100_000, "headers": JSON}, id="nested without end"),
    ],
)
def test_an_answer_that_cannot_be_read_is_asked_for_again(intacct, broken):
    intacct.on("GET", intacct.customers, broken, {"json": LIST})
    assert intacct.client().list(CUSTOMER) == LIST["ia::result"]
    assert sent(intacct) == 2
    intacct.on("GET", intacct.customers, broken)
    with pytest.raises(
        IntacctConnectionError, match="the response was truncated or is not JSON after 4 attempts"
    ):
        intacct.client().list(CUSTOMER)


def test_a_deletion_is_answered_without_a_body(intacct):
    intacct.on("DELETE", intacct.customers + "/1", status_code=204)
    intacct.client().delete(CUSTOMER, "1")
    assert sent(intacct, "DELETE") == 1


@pytest.mark.parametrize(
    ("status", "code"), [(200, "GW-0010"), (400, "GW-0010"), (403, "GW-0010"), (200, "GW-0001")]
)
def test_an_overload_reported_under_any_status_is_waited_for(intacct, status, code):
    error = {"error": {"code": code, "message": "Not now"}}
    intacct.on("GET", intacct.customers, {"status_code": status, "json": error}, {"json": LIST})
    assert intacct.client().list(CUSTOMER) == LIST["ia::result"]


# --- a key that is still being worked on


LOCKED = {
    "status_code": 409,
    "json": {"ia::error": {"message": "A request with this Idempotency-Key is in progress"}},
}
TAKEN = {"status_code": 409, "json": {"ia::error": {"message": "Another record with the value C1 exists"}}}
REPLAYED = {"headers": {"x-ia-idempotency-cached-date": "Sat, 21 Nov 2026 07:28:00 GMT"}}


def post(intacct, *answers, headers=None):
    intacct.on("POST", "/x", *answers)
    keyed = {"Idempotency-Key": "k"} if headers is None else headers
    reply = intacct.client()._session.transport.send(Request("POST", "/x", content=b"{}", headers=keyed))
    return reply, len(intacct.calls("/x"))


def test_a_write_waits_for_its_own_earlier_sending(intacct):
    reply, times = post(intacct, LOST, LOCKED, LOCKED, {"json": REFERENCE, **REPLAYED})
    assert (reply.raise_for_error().result["key"], times) == ("1", 4)


def test_a_write_waits_for_another_worker_that_sends_the_same(intacct):
    reply, times = post(intacct, LOCKED, {"json": REFERENCE, **REPLAYED})
    assert (reply.raise_for_error().result["key"], times) == ("1", 2)


def test_a_conflict_of_records_after_a_lost_answer_is_asked_again_once_and_is_a_conflict_then(intacct):
    reply, times = post(intacct, LOST, TAKEN, {**TAKEN, **REPLAYED}, {"json": REFERENCE})
    assert isinstance(reply.error(), IntacctConflictError)
    assert times == 3


@pytest.mark.parametrize(
    ("first", "headers"),
    [
        pytest.param(TAKEN, None, id="a conflict of records"),
        pytest.param({**LOCKED, **REPLAYED}, None, id="a replay"),
        pytest.param(LOCKED, {}, id="no key"),
    ],
)
def test_any_other_conflict_is_one_at_once(intacct, first, headers):
    reply, times = post(intacct, first, {"json": REFERENCE}, headers=headers)
    assert isinstance(reply.error(), IntacctConflictError)
    assert times == 1


def test_a_key_that_stays_refused_is_a_defect_of_ours_and_says_so(intacct):
    reply, times = post(intacct, LOCKED)
    assert isinstance(reply.error(), IntacctIdempotencyError)
    assert "a defect of the provider: please report it" in str(reply.error())
    assert times == 4


# --- no answer, or none of Intacct's


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("headers", [HTML, {"Content-Type": "text/plain"}, {}])
def test_a_page_under_a_success_is_no_success_and_says_what_may_stand_between(intacct, status, headers):
    intacct.on("GET", intacct.customers, status_code=status, text="<html>Sign in</html>", headers=headers)
    with pytest.raises(IntacctResponseError) as caught:
        intacct.client().list(CUSTOMER)
    kind = headers.get("Content-Type", "no content type").partition(";")[0]
    assert f"the response is {kind} (HTTP {status}), not JSON; is the host Intacct's API base URL" in str(
        caught.value
    )
    assert "<html>" not in str(caught.value)
    assert sent(intacct) == 4


def test_a_page_of_a_host_that_never_answered_as_intacct_does_is_not_asked_for_again(intacct):
    intacct.on("POST", intacct.token, **PAGE)
    with pytest.raises(IntacctResponseError, match="is the host Intacct's API base URL"):
        intacct.client().list(CUSTOMER)
    assert len(intacct.calls(intacct.token)) == 1


@pytest.mark.parametrize("answer", [{"text": "null"}, {"json": "ok"}, {"json": {"ia::result": {}}}])
def test_a_success_without_what_was_asked_for_is_no_success(intacct, answer):
    intacct.on("GET", intacct.customers, **answer)
    intacct.on("POST", intacct.query, **answer)
    client = intacct.client()
    with pytest.raises(IntacctResponseError, match=f"the list of {CUSTOMER} is not a list"):
        client.list(CUSTOMER)
    with pytest.raises(IntacctIncompleteReadError, match=f"the query of {CUSTOMER} has no list of rows"):
        client.query(CUSTOMER, ["key"])


def test_an_error_under_http_200_is_an_error(intacct):
    error = {
        "ia::result": {"ia::error": {"code": "invalidRequest", "message": "No such view", "supportId": "S1"}}
    }
    intacct.on("GET", intacct.customers, json=error)
    client = intacct.client()
    with pytest.raises(
        IntacctValidationError, match=r"No such view \(HTTP 200, invalidRequest, support id S1\)"
    ):
        client.list(CUSTOMER)
    assert client.transactions == 0


# --- what is sent


def test_every_request_says_who_asks_what_it_takes_and_for_which_entity(intacct):
    intacct.on("POST", intacct.query, json=LIST)
    intacct.client(entity_id="E 1").query(CUSTOMER, ["key"])
    headers = intacct.calls(intacct.query)[0].headers
    assert headers["User-Agent"].startswith("airflow-provider-intacct/")
    assert headers["Accept"] == headers["Content-Type"] == "application/json"
    assert headers["X-IA-API-Param-Entity"] == "E 1"


def test_the_top_level_is_asked_without_an_entity_header(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    headers = intacct.calls("/objects")[0].headers
    assert "X-IA-API-Param-Entity" not in headers
    assert "Content-Type" not in headers


def test_the_configured_timeout_is_that_of_every_request(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client(timeout=7.5).list(CUSTOMER)
    assert [call.timeout for call in intacct.calls()] == [7.5, 7.5]


def test_certificates_are_verified(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    assert all(call.verify for call in intacct.calls())


# --- what an answer says


@pytest.mark.parametrize(
    ("body", "result"),
    [({"ia::result": [1]}, [1]), ({}, None), (None, None), ([1], None), ("x", None)],
)
def test_the_result_of_any_answer_can_be_asked_for(body, result):
    assert Reply(200, {}, body).result == result


def test_an_answer_from_the_idempotency_cache_says_so_and_so_does_its_error(intacct):
    intacct.on("GET", "/x", headers={"x-ia-idempotency-cached-date": "2026-01-01T00:00:00Z"}, status_code=422)
    reply = intacct.client()._session.transport.send(Request("GET", "/x"))
    assert reply.replayed
    assert reply.error().replayed


@pytest.mark.parametrize(
    ("answers", "unsure"),
    [
        ([OK], False),
        ([{"status_code": 429}, OK], False),
        ([{"status_code": 401}, OK], False),
        ([REFUSED, OK], False),
        ([{"status_code": 503}, OK], True),
        ([LOST, OK], True),
        ([{"text": ""}, OK], True),
        ([LOST, {"status_code": 401}, OK], True),
        ([LOST, {"status_code": 429}, OK], True),
        ([REFUSED, LOST, OK], True),
        ([{"status_code": 401}, LOST, OK], True),
    ],
)
def test_an_answer_knows_whether_an_earlier_sending_may_have_done_it(intacct, answers, unsure):
    intacct.on("GET", "/x", *answers)
    assert intacct.client()._session.transport.send(Request("GET", "/x")).maybe_already_done is unsure


# --- what nobody may see


def test_no_secret_or_token_is_in_any_error_log_record_or_repr(intacct, caplog):
    caplog.set_level(logging.DEBUG)
    rotating = {"auth_type": "refresh_token", "refresh_token": "r3fresh-0"}
    intacct.on("POST", intacct.token, json={"access_token": "acc3ss", "refresh_token": "r3fresh-1"})
    failures = [
        {"status_code": 401},
        {"status_code": 503},
        {"status_code": 429},
        {"status_code": 422, "json": {"ia::error": {"message": "no", "details": [{"message": "why"}]}}},
        {"status_code": 302, "headers": {"Location": "https://evil.example/?t=1"}},
        LOST,
        CUT,
        PAGE,
        {"exc": requests.exceptions.SSLError("x")},
    ]
    shown = []
    for failure in failures:
        intacct.on("POST", intacct.customers, failure)
        for given in ({}, rotating):
            client = intacct.client(**given)
            shown += [repr(client.config), str(client.config), repr(client), repr(client._session.transport)]
            with pytest.raises(IntacctError) as caught:
                client.create(CUSTOMER, {"id": "C1", "taxId": "confidential"})
            error = caught.value
            while error is not None:
                shown += [str(error), repr(error), repr(error.args), repr(vars(error))]
                error = error.__cause__
    assert len(caplog.messages) > 20
    everything = "\n".join([*shown, caplog.text, *map(str, caplog.messages)])
    for secret in (SECRET, "acc3ss", "r3fresh-0", "r3fresh-1", "confidential", "Bearer"):
        assert secret not in everything


def test_a_refused_token_request_shows_nothing_of_its_form(intacct, caplog):
    caplog.set_level(logging.DEBUG)
    for failure in (
        {"status_code": 400, "json": {"error": "invalid_grant"}},
        {"status_code": 503},
        LOST,
        PAGE,
    ):
        intacct.on("POST", intacct.token, failure)
        with pytest.raises(IntacctError) as caught:
            intacct.client(auth_type="refresh_token", refresh_token="r3fresh-0").list(CUSTOMER)
        assert "r3fresh-0" not in str(caught.value) + repr(caught.value) + caplog.text
        assert SECRET not in str(caught.value) + repr(caught.value) + caplog.text


def test_a_request_does_not_show_what_it_carries():
    request = Request("POST", "/x", content=b"confidential", form={"client_secret": SECRET})
    assert "confidential" not in repr(request)
    assert SECRET not in repr(request)


# --- counted


def test_every_request_is_announced_before_it_is_sent(intacct):
    intacct.on("GET", intacct.customers, {"status_code": 503, "headers": AT_ONCE}, {"json": LIST})
    client, paths = intacct.client(), []
    client._session.transport.before_request = lambda request: paths.append(request.path)
    client.list(CUSTOMER)
    assert paths == ["/oauth2/token", "/objects/" + CUSTOMER, "/objects/" + CUSTOMER]


def test_a_request_that_is_prevented_is_not_sent(intacct):
    def prevent(_request):
        raise KeyboardInterrupt

    client = intacct.client()
    client._session.transport.before_request = prevent
    with pytest.raises(KeyboardInterrupt):
        client.list(CUSTOMER)
    assert sent(intacct) == 0


def test_a_given_token_is_sent_and_not_replaced(intacct):
    intacct.on("GET", intacct.customers, {"status_code": 401, "json": {"error": {"code": "GW-0040"}}})
    transport = intacct.client()._session.transport
    reply = transport.send_with_token(Request("GET", "/objects/" + CUSTOMER), "given")
    assert (reply.status, sent(intacct)) == (401, 1)
