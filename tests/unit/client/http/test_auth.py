"""Tokens: asked for once, renewed in time, dropped when refused, never shown and never sent elsewhere."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import ClassVar
from urllib.parse import parse_qs

import pytest
import requests
from urllib3 import HTTPResponse

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.http import auth
from intacct_provider.client.http.auth import Tokens
from intacct_provider.exceptions import (
    IntacctAuthenticationError,
    IntacctConfigError,
    IntacctError,
    IntacctResponseError,
    IntacctServerError,
    IntacctTokenError,
)

SECRET = "s3cret-of-the-app"
CUSTOMER = "accounts-receivable/customer"
#: Never set; waiting for it gives the other threads the time to come.
LULL = threading.Event()
LIST = {"ia::result": [{"key": "1", "id": "C1", "href": "/x/1"}]}
JSON = {"Content-Type": "application/json"}
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ia", error="invalid_token"'}
REFUSALS = [
    pytest.param({"status_code": 401, "text": "Unauthorized", "headers": JSON}, id="401 with text as JSON"),
    pytest.param(
        {"status_code": 403, "text": "", "headers": {**JSON, **CHALLENGE}}, id="403 with a header only"
    ),
    pytest.param({"status_code": 401}, id="401 without a body"),
    pytest.param({"status_code": 401, "text": "<html>"}, id="401 with a page"),
    pytest.param(
        {
            "status_code": 400,
            "json": {"ia::result": {"ia::error": {"errorId": "REST-1206", "message": "no"}}},
        },
        id="400 REST-1206",
    ),
    pytest.param(
        {
            "status_code": 400,
            "json": {"error": {"code": "tokenInvalid", "errorId": "REST-2102", "message": "no"}},
        },
        id="400 REST-2102",
    ),
    pytest.param(
        {"status_code": 400, "json": {"error": {"code": "GW-0040", "message": "no"}}}, id="400 GW-0040"
    ),
    pytest.param({"status_code": 401, "json": {"ia::error": {"errorId": "GW-0040"}}}, id="401 GW-0040"),
]


class Store:
    """Keeps a text and records in which order things happened."""

    def __init__(self, text=None, events=None):
        self.text = text
        self.events = [] if events is None else events

    def load(self):
        return self.text

    def save(self, text):
        self.events.append(f"saved {json.loads(text)['refresh_token']}")
        self.text = text

    def kept(self, name):
        return json.loads(self.text)[name]


class Broken(Store):
    """Cannot be reached for this many saves."""

    def __init__(self, times, **options):
        super().__init__(**options)
        self.times = times

    def save(self, text):
        self.times -= 1
        if self.times >= 0:
            raise OSError("disk full")
        super().save(text)


def forms(intacct):
    return [{k: v[0] for k, v in parse_qs(call.text).items()} for call in intacct.calls(intacct.token)]


def bearers(intacct):
    return [call.headers.get("Authorization") for call in intacct.calls("/objects")]


def with_cookie(_request, _context):
    """Answer as a connection does whose headers set a cookie, which the mock alone would not show a session."""
    message = HTTPMessage()
    message["Set-Cookie"] = "DFT_SESSION=abc; Path=/"
    original = SimpleNamespace(msg=message, isclosed=lambda: True)
    body = io.BytesIO(json.dumps(LIST).encode())
    return HTTPResponse(body, dict(message.items()), 200, preload_content=False, original_response=original)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that a test sets forward."""

    class Clock:
        now = 1000.0
        #: What the clock on the wall shows beyond that, which anybody may set.
        wall = 1e9
        slept: ClassVar[list[float]] = []

    Clock.slept = []
    # The module's own name for it: the clock itself belongs to servers of other tests, too.
    ours = SimpleNamespace(
        monotonic=lambda: Clock.now, time=lambda: Clock.now + Clock.wall, sleep=Clock.slept.append
    )
    monkeypatch.setattr(auth, "time", ours)
    return Clock


# --- asking for one


def test_the_token_request_is_a_form_with_user_at_company(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    (call,) = intacct.calls(intacct.token)
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in call.headers
    assert call.query == ""
    assert forms(intacct) == [
        {
            "grant_type": "client_credentials",
            "client_id": "app-id",
            "client_secret": SECRET,
            "username": "ws_user@Acme",
        }
    ]
    assert bearers(intacct) == ["Bearer token-1"]


def test_the_refresh_grant_sends_its_token_and_no_username(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client(auth_type="refresh_token", refresh_token="first").list(CUSTOMER)
    assert forms(intacct) == [
        {
            "grant_type": "refresh_token",
            "client_id": "app-id",
            "client_secret": SECRET,
            "refresh_token": "first",
        }
    ]


def test_a_token_serves_many_requests(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    client = intacct.client()
    for _ in range(3):
        client.list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1"] * 3


def test_clients_with_the_same_credentials_share_one_token(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    intacct.client(page_size=10, entity_id="E1").list(CUSTOMER)
    assert len(forms(intacct)) == 1


@pytest.mark.parametrize("change", [{"client_secret": "new"}, {"company_id": "Other"}, {"user_id": "other"}])
def test_other_credentials_get_a_token_of_their_own(intacct, change):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    intacct.client(**change).list(CUSTOMER)
    intacct.client().list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1", "Bearer token-2", "Bearer token-1"]


def test_twenty_threads_without_a_token_ask_for_one_only(intacct):
    together = threading.Barrier(20)

    def slow_token(request, context):
        LULL.wait(0.02)
        return intacct.new_token(request, context)

    def read(client):
        together.wait(5)
        return client.list(CUSTOMER)

    intacct.on("POST", intacct.token, json=slow_token)
    intacct.on("GET", intacct.customers, json=LIST)
    clients = [intacct.client() for _ in range(20)]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(read, clients))
    assert answers == [LIST["ia::result"]] * 20
    assert len(forms(intacct)) == 1
    assert set(bearers(intacct)) == {"Bearer token-1"}


def test_twenty_threads_whose_token_is_refused_renew_it_once(intacct):
    posted, together = [], threading.Barrier(20)

    def post_form(form):
        posted.append(form)
        LULL.wait(0.02)
        return {"access_token": f"token-{len(posted)}"}

    def refused(_):
        source = auth.TokenSource(intacct.config(), post_form)
        token = source.get()
        together.wait(5)
        source.reject(token)
        return token, source.get()

    with ThreadPoolExecutor(20) as threads:
        tokens = set(threads.map(refused, range(20)))
    assert tokens == {("token-1", "token-2")}
    assert len(posted) == 2


# --- renewing it


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [
        (43200, 43200 - 300),
        ("3600", 3300),
        (60, 54),
        (None, 3300),
        ("soon", 3300),
        (-5, 0.9),
        ("nan", 3300),
        ("Infinity", 3300),
        (10**400, 3300),
    ],
)
def test_a_token_is_renewed_before_it_ends(intacct, clock, expires_in, good_for):
    answer = {"access_token": "short", "expires_in": expires_in}
    intacct.on("POST", intacct.token, json=answer)
    intacct.on("GET", intacct.customers, json=LIST)
    client = intacct.client()
    client.list(CUSTOMER)
    clock.now += good_for - 0.1
    client.list(CUSTOMER)
    assert len(forms(intacct)) == 1
    clock.now += 0.2
    client.list(CUSTOMER)
    assert len(forms(intacct)) == 2


@pytest.mark.parametrize("expires_in", ["nan", "inf", 10**400])
def test_a_refresh_token_is_kept_whatever_the_lifetime_of_the_access_token(expires_in):
    config = IntacctConfig(client_id="a", client_secret="b", auth_type="refresh_token", refresh_token="first")
    response = {"access_token": "token-1", "refresh_token": "second", "expires_in": expires_in}
    kept = Tokens.from_response(response, config).to_store()
    assert Tokens.from_store(kept, config).refresh_token == "second"


@pytest.mark.parametrize("token", ["s3cret\ntoken", "s3cret\0", "s3crèt"])
def test_a_token_that_no_header_can_have_is_an_error_without_it(intacct, token):
    answers(intacct, {"access_token": token, "expires_in": 3600})
    with pytest.raises(IntacctResponseError, match="an access token that cannot be sent") as caught:
        intacct.client().list(CUSTOMER)
    assert token not in repr(caught.value)


@pytest.mark.parametrize("kept", [b"first", {"token": "first"}, 5])
def test_a_store_that_keeps_something_else_than_text_is_named(intacct, kept):
    class VaultStore:
        def load(self):
            return kept

    client = intacct.client(
        store=VaultStore(), auth_type="refresh_token", refresh_token="first", credential_store="own"
    )
    with pytest.raises(
        IntacctConfigError, match=r"VaultStore must return text or None, not (bytes|dict|int)"
    ):
        client.list(CUSTOMER)


def test_rejected_credentials_come_without_advice_about_access_tokens(intacct):
    intacct.on("POST", intacct.token, status_code=401, text="<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(IntacctAuthenticationError, match="rejected client id") as caught:
        intacct.client().list(CUSTOMER)
    assert "new access tokens" not in str(caught.value)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_token_is_dropped_renewed_once_and_the_request_repeated_once(intacct, refusal):
    intacct.on("GET", intacct.customers, refusal, {"json": LIST})
    client = intacct.client()
    assert client.list(CUSTOMER) == LIST["ia::result"]
    assert bearers(intacct) == ["Bearer token-1", "Bearer token-2"]
    assert client.transactions == 1


@pytest.mark.parametrize("refusal", REFUSALS)
def test_new_tokens_that_are_refused_every_time_end_in_an_error_that_a_retry_may_mend(intacct, refusal):
    intacct.on("GET", intacct.customers, refusal)
    with pytest.raises(IntacctTokenError, match="issued new access tokens and rejected them") as caught:
        intacct.client().list(CUSTOMER)
    assert bearers(intacct) == [f"Bearer token-{n}" for n in (1, 2, 3, 4)]
    assert caught.value.retryable
    with pytest.raises(IntacctTokenError):
        intacct.client().list(CUSTOMER)
    assert len(bearers(intacct)) == 5, "others of the process do not begin again"
    intacct.on("GET", intacct.customers, json=LIST)
    assert intacct.client().list(CUSTOMER) == LIST["ia::result"]


def test_the_same_token_issued_again_and_refused_ends_too(intacct):
    answers(intacct, {"access_token": "same", "expires_in": 3600})
    intacct.on("GET", intacct.customers, status_code=401)
    with pytest.raises(IntacctTokenError):
        intacct.client().list(CUSTOMER)
    assert bearers(intacct) == ["Bearer same"] * 4


def test_a_record_that_is_refused_like_a_token_ends_while_others_are_read(intacct):
    """Each new token is accepted for the others, so it cannot be the tokens."""
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.on("GET", f"{intacct.customers}/7", status_code=401, json={"ia::error": {"message": "Not yours"}})
    client, done = intacct.client(), threading.Event()

    def read_on():
        while not done.is_set():
            client.list(CUSTOMER)

    with ThreadPoolExecutor(2) as threads:
        others = [threads.submit(read_on) for _ in range(2)]
        try:
            with pytest.raises(IntacctTokenError, match="Not yours"):
                client.get(CUSTOMER, "7")
        finally:
            done.set()
        assert [other.result(10) for other in others] == [None, None]
    assert len(intacct.calls(f"{intacct.customers}/7")) <= 4 + 4


def test_a_write_refused_for_its_token_is_sent_again_under_the_same_idempotency_key(intacct):
    reference = {"ia::result": {"key": "1", "id": "C1", "href": "/x/1"}}
    intacct.on("POST", intacct.customers, {"status_code": 401}, {"json": reference, "status_code": 201})
    client = intacct.client()
    assert client.create(CUSTOMER, {"id": "C1"})["key"] == "1"
    first, second = intacct.calls(intacct.customers, "POST")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert client.transactions == 1


@pytest.mark.parametrize("status", [400, 403])
def test_any_other_refusal_keeps_the_token(intacct, status):
    intacct.on("GET", intacct.customers, status_code=status, json={"ia::error": {"errorId": "REST-1043"}})
    client = intacct.client()
    for _ in range(2):
        with pytest.raises(IntacctError):
            client.list(CUSTOMER)
    assert len(forms(intacct)) == 1


# --- being refused one


def test_refused_credentials_are_named_without_the_secret(intacct):
    intacct.on(
        "POST",
        intacct.token,
        status_code=400,
        json={"error": "invalid_client", "error_description": "Client authentication failed"},
    )
    with pytest.raises(IntacctAuthenticationError) as caught:
        intacct.client().list(CUSTOMER)
    said = str(caught.value)
    assert "Intacct rejected client id 'app-id' for user 'ws_user' of company 'Acme'" in said
    assert "Client authentication failed" in said
    assert "Check login (client id) and password (client secret) of the connection." in said
    assert SECRET not in said
    assert len(forms(intacct)) == 1, "asking again cannot help and may lock the user out"
    assert not caught.value.retryable


def test_an_unauthorised_company_says_what_an_admin_must_do(intacct):
    intacct.on(
        "POST", intacct.token, status_code=401, json={"ia::error": {"errorId": "REST-1216", "message": "No"}}
    )
    with pytest.raises(IntacctAuthenticationError, match="that the company has authorized the application"):
        intacct.client().list(CUSTOMER)


def test_a_refused_grant_without_a_user_speaks_of_the_refresh_token(intacct):
    intacct.on("POST", intacct.token, status_code=400, json={"error": "invalid_grant"})
    client = intacct.client(auth_type="refresh_token", refresh_token="first", company_id="", user_id="")
    with pytest.raises(IntacctAuthenticationError, match="for the refresh token: invalid_grant"):
        client.list(CUSTOMER)


@pytest.mark.parametrize("answer", [{}, {"access_token": ""}, {"access_token": 5}, ["x"], "x"])
def test_an_answer_without_a_token_is_said_to_be_one(intacct, answer):
    intacct.on("POST", intacct.token, json=answer)
    with pytest.raises(IntacctResponseError, match="token endpoint answered without an access token"):
        intacct.client().list(CUSTOMER)


def test_a_token_endpoint_that_is_down_is_asked_again(intacct):
    down = {"status_code": 503, "headers": {"Retry-After": "0"}}
    intacct.on("POST", intacct.token, down, {"exc": requests.ConnectionError}, {"json": intacct.new_token})
    intacct.on("GET", intacct.customers, json=LIST)
    assert intacct.client().list(CUSTOMER)


def test_a_token_endpoint_that_stays_down_is_a_server_error_that_a_retry_may_mend(intacct):
    intacct.on("POST", intacct.token, status_code=503)
    with pytest.raises(IntacctServerError, match="HTTP 503") as caught:
        intacct.client().list(CUSTOMER)
    assert caught.value.retryable
    assert len(forms(intacct)) == 4


# --- rotating refresh tokens


def rotating(intacct, **given):
    return intacct.client(auth_type="refresh_token", **{"refresh_token": "first", **given})


def sent(intacct):
    return [form["refresh_token"] for form in forms(intacct)]


def answers(intacct, *several):
    intacct.on("POST", intacct.token, *({"json": one} for one in several))


def refusals(code):
    return {"status_code": 400, "json": {"error": code, "error_description": "No"}}


def test_rotated_tokens_are_stored_before_they_are_used(intacct):
    events = []

    def answer(_request, _context):
        events.append("used")
        return LIST

    answers(intacct, {"access_token": "a", "refresh_token": "second", "expires_in": 3600})
    intacct.on("GET", intacct.customers, json=answer)
    rotating(intacct, store=Store(events=events)).list(CUSTOMER)
    assert events == ["saved second", "used"]


def test_tokens_that_could_not_be_stored_are_not_used_and_saved_again_before_anything_else(intacct):
    answers(
        intacct,
        {"access_token": "a", "refresh_token": "second"},
        {"access_token": "b", "refresh_token": "third"},
    )
    intacct.on("GET", intacct.customers, json=LIST)
    client = rotating(intacct, store=(store := Broken(2)))
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            client.list(CUSTOMER)
    assert bearers(intacct) == []
    client.list(CUSTOMER)
    assert (bearers(intacct), sent(intacct)) == (["Bearer a"], ["first"])
    assert store.kept("refresh_token") == "second"


@pytest.mark.parametrize("stored", [True, False])
def test_the_newest_refresh_token_is_sent_from_then_on(intacct, stored):
    answers(intacct, *({"access_token": f"a{n}", "refresh_token": f"r{n}"} for n in (1, 2, 3)))
    intacct.on(
        "GET", intacct.customers, {"status_code": 401}, {"json": LIST}, {"status_code": 401}, {"json": LIST}
    )
    given = {"refresh_token": "r0", "store": Store() if stored else None}
    rotating(intacct, **given).list(CUSTOMER)
    rotating(intacct, **given).list(CUSTOMER)
    assert sent(intacct) == ["r0", "r1", "r2"]


@pytest.mark.parametrize("text", ["of-another-worker", " of-another-worker\n"])
def test_a_refresh_token_that_somebody_put_into_the_store_comes_before_the_connections(intacct, text):
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct, store=Store(text)).list(CUSTOMER)
    assert sent(intacct) == ["of-another-worker"]


def test_a_token_that_was_stored_since_comes_before_the_one_got_here(intacct):
    store = Store()
    answers(intacct, {"access_token": "a", "refresh_token": "second"})
    intacct.on("GET", intacct.customers, {"json": LIST}, {"status_code": 401}, {"json": LIST})
    client = rotating(intacct, store=store)
    client.list(CUSTOMER)
    store.text = "of-another-worker"
    client.list(CUSTOMER)
    assert sent(intacct) == ["first", "of-another-worker"]


def test_a_store_that_forgot_does_not_bring_back_a_spent_token(intacct):
    store = Store()
    answers(
        intacct,
        {"access_token": "a", "refresh_token": "second"},
        {"access_token": "b", "refresh_token": "third"},
    )
    intacct.on("GET", intacct.customers, {"json": LIST}, {"status_code": 401}, {"json": LIST})
    client = rotating(intacct, store=store)
    client.list(CUSTOMER)
    store.text = None
    client.list(CUSTOMER)
    assert sent(intacct) == ["first", "second"]


@pytest.mark.parametrize(
    "reported", [{}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 7}]
)
def test_an_answer_without_a_refresh_token_keeps_the_old_one(intacct, reported):
    store = Store()
    answers(intacct, {"access_token": "a", **reported})
    intacct.on("GET", intacct.customers, {"status_code": 401}, {"json": LIST})
    rotating(intacct, store=store).list(CUSTOMER)
    assert sent(intacct) == ["first", "first"]
    assert store.events == ["saved first", "saved first"]


@pytest.mark.parametrize(
    "failure", [{"exc": requests.ConnectionError}, {"exc": requests.Timeout}, {"status_code": 503}]
)
def test_a_rotating_token_request_is_repeated_like_any_other(intacct, failure):
    intacct.on("POST", intacct.token, failure, {"json": intacct.new_token})
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct).list(CUSTOMER)
    assert sent(intacct) == ["first", "first"]


def test_a_right_secret_that_is_refused_once_is_sent_once_more(intacct):
    intacct.on("POST", intacct.token, refusals("invalid_client"), {"json": {"access_token": "a"}})
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct).list(CUSTOMER)
    assert sent(intacct) == ["first", "first"]


def test_a_wrong_secret_is_refused_twice_and_no_more(intacct):
    intacct.on("POST", intacct.token, refusals("invalid_client"))
    with pytest.raises(IntacctAuthenticationError, match="Check login") as caught:
        rotating(intacct, store=Store()).list(CUSTOMER)
    assert sent(intacct) == ["first", "first"]
    assert not caught.value.retryable


# --- refused a refresh token, because another worker was quicker


class Slow(Store):
    """Holds what another worker saves from the nth load on."""

    def __init__(self, loads, later, text=None):
        super().__init__(text)
        self.loads, self.later = loads, later

    def load(self):
        self.loads -= 1
        if self.loads < 0:
            self.text, self.later = self.later or self.text, None
        return super().load()


def of_another(intacct, clock, good_for=60.0, **changes):
    """Return what another worker stores for the same connection: tokens named ``theirs`` and ``second``."""
    config = intacct.config(**{"auth_type": "refresh_token", "refresh_token": "first", **changes})
    use_until = clock.now + clock.wall + good_for
    return auth.Tokens("theirs", use_until, "second", auth._fingerprint(config)).to_store()


@pytest.mark.parametrize("loads", [1, 2, 5, len(auth.LOOK_AGAIN)])
def test_the_access_token_of_the_quicker_worker_is_used_without_another_call(intacct, clock, loads):
    intacct.on("POST", intacct.token, refusals("invalid_grant"))
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct, store=Slow(loads, of_another(intacct, clock))).list(CUSTOMER)
    assert (bearers(intacct), sent(intacct)) == (["Bearer theirs"], ["first"])
    assert clock.slept == list(auth.LOOK_AGAIN[:loads])
    assert clock.slept == sorted(clock.slept)


def test_the_refresh_token_of_the_quicker_worker_is_used_when_its_access_token_has_ended(intacct, clock):
    intacct.on("POST", intacct.token, refusals("invalid_grant"), {"json": {"access_token": "a"}})
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct, store=Slow(1, of_another(intacct, clock, good_for=0))).list(CUSTOMER)
    assert (bearers(intacct), sent(intacct)) == (["Bearer a"], ["first", "second"])


def test_a_refresh_token_that_nobody_replaces_is_an_error_that_says_what_to_run(intacct, clock):
    intacct.on("POST", intacct.token, refusals("invalid_grant"))
    with pytest.raises(IntacctAuthenticationError) as caught:
        rotating(intacct, store=Store(of_another(intacct, clock, good_for=0))).list(CUSTOMER)
    assert "python -m intacct_provider.authorize" in str(caught.value)
    assert "company_id" not in str(caught.value)
    assert not caught.value.retryable
    assert sent(intacct) == ["second"]
    assert 5 < sum(clock.slept) < 30
    assert len(clock.slept) == len(auth.LOOK_AGAIN)


def test_looking_comes_to_an_end_when_every_token_in_the_store_is_refused(intacct, clock):
    class Endless(Store):
        def load(self):
            self.events.append("loaded")
            return f"refresh-{len(self.events)}"

    intacct.on("POST", intacct.token, refusals("invalid_grant"))
    with pytest.raises(IntacctAuthenticationError):
        rotating(intacct, store=(store := Endless())).list(CUSTOMER)
    assert len(store.events) == 1 + len(auth.LOOK_AGAIN)


@pytest.mark.parametrize(
    "given", [{"auth_type": "client_credentials"}, {"auth_type": "refresh_token", "store": None}]
)
def test_without_a_rotating_token_in_a_store_a_refused_grant_fails_at_once(intacct, clock, given):
    intacct.on("POST", intacct.token, refusals("invalid_grant"))
    with pytest.raises(IntacctAuthenticationError):
        intacct.client(**{"refresh_token": "first", "store": Store(), **given}).list(CUSTOMER)
    assert (clock.slept, len(forms(intacct))) == ([], 1)


def test_no_refresh_token_anywhere_is_said_before_anything_is_sent(intacct):
    client = rotating(intacct, refresh_token="", credential_store="variable", store=Store())
    with pytest.raises(IntacctConfigError, match=r"no refresh token.*python -m intacct_provider\.authorize"):
        client.list(CUSTOMER)
    assert forms(intacct) == []


def test_a_refresh_token_in_the_store_needs_none_in_the_connection(intacct, clock):
    answers(intacct, {"access_token": "a"})
    intacct.on("GET", intacct.customers, json=LIST)
    given = {"refresh_token": "", "credential_store": "variable"}
    rotating(intacct, store=Store(of_another(intacct, clock, good_for=0, **given)), **given).list(CUSTOMER)
    assert sent(intacct) == ["second"]


# --- shared by workers


def another_process():
    """Forget what this one knows; the stores stay."""
    auth.forget_tokens()


def test_workers_one_after_another_share_a_token_through_the_store(intacct):
    store = Store()
    intacct.on("GET", intacct.customers, json=LIST)
    for _ in range(20):
        another_process()
        intacct.client(store=store).list(CUSTOMER)
    assert len(forms(intacct)) == 1
    assert set(bearers(intacct)) == {"Bearer token-1"}
    assert store.kept("refresh_token") == ""


def test_a_refused_token_is_never_taken_from_the_store_again(intacct):
    store = Store()
    intacct.on("GET", intacct.customers, {"json": LIST}, {"status_code": 401}, {"json": LIST})
    client = intacct.client(store=store)
    client.list(CUSTOMER)
    stale = store.text
    client.list(CUSTOMER)
    store.text = stale  # a worker that was slow
    auth._grants.copy().popitem()[1].renew_at = 0
    client.list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_a_token_that_another_worker_renewed_is_taken_instead_of_the_refused_one(intacct):
    store = Store()
    intacct.on("GET", intacct.customers, {"json": LIST}, {"status_code": 401}, {"json": LIST})
    client = intacct.client(store=store)
    client.list(CUSTOMER)
    kept = json.loads(store.text)
    store.text = json.dumps(kept | {"access_token": "theirs"})
    client.list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1", "Bearer token-1", "Bearer theirs"]
    assert len(forms(intacct)) == 1


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_a_worker_whose_clock_is_wrong_uses_a_shared_token_no_longer_than_it_lives(intacct, clock, minutes):
    store = Store()
    intacct.on("GET", intacct.customers, json=LIST)
    answers(
        intacct, {"access_token": "short", "expires_in": 3600}, {"access_token": "next", "expires_in": 3600}
    )
    intacct.client(store=store).list(CUSTOMER)
    another_process()
    clock.wall += 60 * minutes
    client = intacct.client(store=store)
    clock.now += 3600 - 300 - 60 * minutes - 1
    client.list(CUSTOMER)
    assert bearers(intacct)[-1] == "Bearer short"
    clock.now += 1
    client.list(CUSTOMER)
    assert bearers(intacct)[-1] == "Bearer next"


def test_a_clock_that_is_set_while_a_process_runs_does_not_matter(intacct, clock):
    intacct.on("GET", intacct.customers, json=LIST)
    client = intacct.client(store=Store())
    client.list(CUSTOMER)
    for change in (-86400, 2 * 86400):
        clock.wall += change
        client.list(CUSTOMER)
    assert len(forms(intacct)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": "new"},
        {"client_id": "new"},
        {"company_id": "Other"},
        {"user_id": "other"},
        {"auth_type": "refresh_token", "refresh_token": "new"},
    ],
)
def test_a_changed_connection_uses_nothing_that_was_stored_before(intacct, change):
    store = Store()
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client(store=store).list(CUSTOMER)
    another_process()
    intacct.client(store=store, **change).list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1", "Bearer token-2"]


def test_a_new_refresh_token_in_the_connection_counts_for_more_than_the_stored_one(intacct):
    store = Store()
    answers(intacct, *({"access_token": f"a{n}", "refresh_token": f"r{n}"} for n in (1, 2)))
    intacct.on("GET", intacct.customers, json=LIST)
    rotating(intacct, store=store).list(CUSTOMER)
    another_process()
    rotating(intacct, store=store, refresh_token="new").list(CUSTOMER)
    assert sent(intacct) == ["first", "new"]


def test_a_new_secret_of_the_application_leaves_the_stored_refresh_token_good(intacct, clock):
    answers(intacct, {"access_token": "a"})
    intacct.on("GET", intacct.customers, json=LIST)
    store = Store(of_another(intacct, clock, good_for=0))
    rotating(intacct, store=store, client_secret="new").list(CUSTOMER)
    assert sent(intacct) == ["second"]


def test_two_connections_that_differ_in_their_stores_only_share_nothing(intacct):
    """Each was authorized for a company of its own; the connections hold the application and no more."""
    answers(intacct, {"access_token": "of one"}, {"access_token": "of two"})
    intacct.on("GET", intacct.customers, json=LIST)
    for token in ("one", "two"):
        rotating(intacct, refresh_token="", credential_store="variable", store=Store(token)).list(CUSTOMER)
    assert sent(intacct) == ["one", "two"]
    assert bearers(intacct) == ["Bearer of one", "Bearer of two"]


@pytest.mark.parametrize(
    "text", ["plain", "", "{", "{}", "[]", '{"access_token": 5}', '{"fingerprint": "x"}', "\ud800"]
)
def test_whatever_else_a_store_holds_is_left_alone(intacct, text):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client(store=Store(text)).list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1"]


def test_a_store_that_fails_costs_client_credentials_a_call_and_no_task(intacct, caplog):
    class Gone(Broken):
        def load(self):
            raise OSError("secret of the store")

    intacct.on("GET", intacct.customers, json=LIST)
    client = intacct.client(store=Gone(99))
    for _ in range(3):
        client.list(CUSTOMER)
    assert len(forms(intacct)) == 1
    assert "the credential store failed (OSError); the access token is not shared" in caplog.text
    assert "secret of the store" not in caplog.text


class Offering:
    """A store in which another worker leaves a new token whenever one is looked for."""

    def __init__(self, config, tokens):
        self.config, self.tokens = config, iter(tokens)
        self.text = None

    def load(self):
        token = next(self.tokens, None)
        if token:
            answer = {"access_token": token, "expires_in": 43200}
            self.text = auth.Tokens.from_response(answer, self.config).to_store()
        return self.text

    def save(self, text):
        self.text = text


def refusing(intacct, *dead):
    """Let the company refuse some tokens."""

    def answer(request, context):
        refused = request.headers["Authorization"].removeprefix("Bearer ") in dead
        context.status_code = 401 if refused else 200
        return {} if refused else LIST

    intacct.on("GET", intacct.customers, json=answer)


def test_when_all_tokens_ended_together_those_of_others_are_no_reason_to_give_up(intacct):
    refusing(intacct, "theirs-1", "theirs-2", "theirs-3")
    store = Offering(intacct.config(), ["theirs-1", "theirs-2", "theirs-3"])
    assert intacct.client(store=store).list(CUSTOMER) == LIST["ia::result"]
    assert len(forms(intacct)) == 1
    assert [call.headers["Authorization"][7:] for call in intacct.calls("/objects")] == [
        "theirs-1", "theirs-2", "theirs-3", "token-1",
    ]  # fmt: skip


def test_refused_tokens_that_were_asked_for_are_replaced_as_well(intacct):
    refusing(intacct, "theirs-1", "token-1", "token-2")
    store = Offering(intacct.config(), ["theirs-1"])
    assert intacct.client(store=store).list(CUSTOMER)
    assert [bearer[7:] for bearer in bearers(intacct)] == ["theirs-1", "token-1", "token-2", "token-3"]


def test_others_tokens_are_not_tried_for_ever(intacct):
    theirs = [f"theirs-{n}" for n in range(100)]
    refusing(intacct, *theirs)
    assert intacct.client(store=Offering(intacct.config(), theirs)).list(CUSTOMER)
    assert [bearer[7:] for bearer in bearers(intacct)] == [*theirs[:4], "token-1"]


# --- keeping it to itself


def test_a_netrc_entry_does_not_replace_the_token(intacct, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine intacct.test login someone password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    assert bearers(intacct) == ["Bearer token-1"]
    assert "Authorization" not in intacct.calls(intacct.token)[0].headers
    requests.get(intacct.url + intacct.customers, timeout=1)
    assert bearers(intacct)[1].startswith("Basic "), "this .netrc is not one that requests would use"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://evil.example/ia", "https://intacct.test/elsewhere"])
@pytest.mark.parametrize("at", ["token", "customers"])
def test_no_redirection_is_followed_and_nothing_sent_to_another_host(intacct, status, target, at):
    method = "POST" if at == "token" else "GET"
    elsewhere = [intacct.http.register_uri(verb, target, json=LIST) for verb in ("GET", "POST")]
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.on(method, getattr(intacct, at), status_code=status, headers={"Location": target}, text="")
    with pytest.raises(IntacctResponseError, match=f"redirection .HTTP {status}., which is not followed"):
        intacct.client().list(CUSTOMER)
    assert not any(matcher.called for matcher in elsewhere)


@pytest.mark.parametrize("text", ["", "<html>Moved</html>"])
def test_a_redirected_write_does_not_pass_for_written(intacct, text):
    gone = {"status_code": 302, "headers": {"Location": "https://login.example/"}, "text": text}
    intacct.on("POST", intacct.customers, gone)
    intacct.on("DELETE", intacct.customers + "/1", gone)
    client = intacct.client()
    with pytest.raises(IntacctResponseError, match="redirection"):
        client.create(CUSTOMER, {"id": "C1"})
    with pytest.raises(IntacctResponseError, match="redirection"):
        client.delete(CUSTOMER, "1")
    assert client.transactions == 0


def test_cookies_are_not_kept(intacct):
    intacct.on("GET", intacct.customers, raw=with_cookie)
    client = intacct.client()
    client.list(CUSTOMER)
    client.list(CUSTOMER)
    assert "Cookie" not in intacct.calls(intacct.customers)[1].headers
    with requests.Session() as plain:
        plain.get(intacct.url + intacct.customers, timeout=1)
        plain.get(intacct.url + intacct.customers, timeout=1)
    assert "Cookie" in intacct.calls(intacct.customers)[3].headers, (
        "this cookie is not one that requests would keep"
    )


def test_every_token_is_told_to_the_masker_before_it_is_used(intacct):
    reported, known_at_use = [], []

    def answer(_request, _context):
        known_at_use.extend(reported)
        return LIST

    intacct.on("POST", intacct.token, json={"access_token": "access", "refresh_token": "second"})
    intacct.on("GET", intacct.customers, json=answer)
    client = intacct.client(auth_type="refresh_token", refresh_token="first", on_secret=reported.append)
    client.list(CUSTOMER)
    assert known_at_use == ["first", "access", "second"]


def test_closing_a_client_leaves_the_token_to_the_others(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    with intacct.client() as client:
        client.list(CUSTOMER)
    intacct.client().list(CUSTOMER)
    assert len(forms(intacct)) == 1
    assert not intacct.calls("/oauth2/revoke")


def test_forgotten_tokens_are_asked_for_again(intacct):
    intacct.on("GET", intacct.customers, json=LIST)
    intacct.client().list(CUSTOMER)
    auth.forget_tokens()
    intacct.client().list(CUSTOMER)
    assert len(forms(intacct)) == 2


def test_the_cache_holds_no_secret_in_its_keys(intacct):
    intacct.client(auth_type="refresh_token", refresh_token="r3fresh")
    assert len(auth._grants) == 1
    assert SECRET not in str([*auth._grants])
    assert "r3fresh" not in str([*auth._grants])


def test_every_token_is_told_to_the_masker_before_a_store_sees_it(intacct, clock):
    reported, known_at_save = [], []

    class Watching(Store):
        def save(self, text):
            known_at_save.extend(reported)
            super().save(text)

    answers(intacct, {"access_token": "access", "refresh_token": "third"})
    intacct.on("GET", intacct.customers, json=LIST)
    store = Watching(of_another(intacct, clock, good_for=0))
    rotating(intacct, store=store, on_secret=reported.append).list(CUSTOMER)
    assert {"theirs", "second", "access", "third"} <= set(known_at_save)
    reported.clear()
    another_process()
    rotating(intacct, store=store, on_secret=reported.append).list(CUSTOMER)
    assert {"access", "third"} <= set(reported)
