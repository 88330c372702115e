"""Access tokens that expire during a run, refresh tokens that two workers use, and clocks that are wrong."""

import threading

import pytest
from raw_client import token
from reliability_work import PAGE, PURPOSE, SEED, TOKEN, do_work, work_at_every_call
from sandbox_client import RETRY, calls, client_of, config_of, running
from token_stores import FileStore

from intacct_provider.client import IntacctClient
from intacct_provider.exceptions import IntacctTokenError

SECTION = "Tokens and clocks"
RENEWS = "gets a new token once, and retries the call"


def line(fault, does=RENEWS, *result):
    return pytest.mark.line(SECTION, fault, does, *result)


@line("token that expires at any call of a run")
def test_a_token_that_expires_at_any_call_of_a_run(sandbox):
    work_at_every_call(sandbox, {"kind": "expire"})
    assert {call.status for call in calls(sandbox, TOKEN)} == {200}


def refusal(status, body, text):
    return pytest.param({"status": status, "body": body}, marks=line(text), id=text.replace(" ", "-"))


REFUSALS = [
    refusal(
        401, {"error": {"code": "GW-0040", "message": "Token expired"}}, "token rejected with 401 and GW-0040"
    ),
    refusal(401, b"", "token rejected with 401 and an empty body"),
    refusal(401, "<html>Unauthorized</html>", "token rejected with 401 and an HTML page"),
    refusal(
        400,
        {
            "ia::result": {
                "ia::error": {"code": "invalidRequest", "errorId": "REST-1206", "message": "Not valid"}
            }
        },
        "token rejected with 400 and REST-1206",
    ),
    refusal(
        400, {"error": {"code": "REST-2102", "message": "Invalid"}}, "token rejected with 400 and REST-2102"
    ),
    refusal(
        200,
        {"ia::error": {"code": "invalidRequest", "errorId": "REST-2102", "message": "Invalid"}},
        "token rejected with HTTP 200 and REST-2102",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", REFUSALS)
def test_every_way_of_refusing_a_token_at_any_call_of_a_run(sandbox, fault):
    work_at_every_call(sandbox, fault)


FORMS = pytest.mark.parametrize(
    "form", [{"status": 401}, {"status": 400, "body": REFUSALS[3].values[0]["body"]}]
)


@line("token rejected again, right after it was renewed", "gets another one after a pause")
@FORMS
def test_a_second_refusal_is_no_reason_to_give_up(sandbox, client, form):
    client.query(PURPOSE, ["key"], size=1)
    sandbox.fail(**form, times=2, path="/services/core/query")
    client.query(PURPOSE, ["key"], size=1)
    assert not sandbox.faults.fail
    assert len(calls(sandbox, TOKEN)) == 3


@line(
    "every new token rejected",
    "gets as many as the retry policy allows, with growing pauses",
    "an error that Airflow retries",
)
@FORMS
def test_refusals_without_end_end_the_task(sandbox, client, form):
    client.query(PURPOSE, ["key"], size=1)
    sandbox.fail(**form, times=99, path="/services/core/query")
    with pytest.raises(IntacctTokenError) as caught:
        client.query(PURPOSE, ["key"], size=1)
    assert caught.value.retryable
    assert len(calls(sandbox, TOKEN)) == 1 + RETRY.attempts


def sharing(company, **changes):
    """Return the client of a worker that shares its tokens with others."""
    return IntacctClient(
        config_of(company, page_size=PAGE, **changes), store=FileStore("shared"), retry=RETRY
    )


@pytest.mark.parametrize("skew", [-300, 300])
@line("server clock five minutes wrong, in either direction", "is not affected")
def test_a_server_whose_clock_is_wrong(skew):
    with running(SEED, faults={"clock_skew": skew}) as company, client_of(company, page_size=PAGE) as client:
        do_work(company, client, "Skewed")
        do_work(company, client, "Skewed more")
        assert len(calls(company, TOKEN)) == 1


@pytest.mark.parametrize("skew", [-300, 300])
@line("worker clock five minutes wrong, with tokens shared between workers", RENEWS)
def test_a_worker_whose_clock_is_wrong_shares_its_token(tmp_path, monkeypatch, skew):
    """Tokens live 400 s. A worker that trusts another's clock uses an expired token, or renews a valid one."""
    monkeypatch.setenv("INTACCT_TEST_STORES", str(tmp_path))
    with running(SEED, faults={"token_life": 400}) as company:
        with sharing(company) as first:
            do_work(company, first, "First")
        company.faults.clock_skew = skew  # relative to the others, the first clock was wrong
        for number in range(3):
            with sharing(company) as other:
                do_work(company, other, f"Other {number}")
        assert len(calls(company, TOKEN)) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("rotation", ["single-use", "reusable", "silent"])
@line(
    "refresh token used by two workers at once",
    "the slower worker takes the new token from the store",
)
def test_two_workers_rotate_at_once(tmp_path, monkeypatch, rotation):
    monkeypatch.setenv("INTACCT_TEST_STORES", str(tmp_path))
    # So slow that both have sent a request before either gets a response.
    with running(SEED, faults={"rotation": rotation, "latency": 0.05}) as company:
        given = {"auth_type": "refresh_token", "refresh_token": token(company).json()["refresh_token"]}
        together, failed = threading.Barrier(2), []

        def work(number):
            try:
                with sharing(company, **given) as client:
                    for turn in range(2):
                        together.wait(60)
                        if number:
                            company.expire_tokens()
                        together.wait(60)
                        do_work(company, client, f"W{number}{turn}")
            except BaseException as error:
                failed.append(error)
                together.abort()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        with sharing(company, **given) as third:
            company.expire_tokens()
            third.query(PURPOSE, ["key"], size=1)
        refused = [call.status for call in calls(company, TOKEN) if call.status != 200]
        assert len(refused) <= (2 if rotation == "single-use" else 0)
