"""A person's consent, from the page to the refresh token: the sandbox's part over HTTP, ours as the real command."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import raw_client
import requests
from sandbox_client import calls, config_of, running
from sandbox_pages import Page, problems

from intacct_provider.client import IntacctClient
from intacct_provider.sandbox.site import POLICY

BACK = "https://127.0.0.1:8443/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
WISH = {
    "response_type": "code",
    "client_id": "sandbox-client",
    "redirect_uri": BACK,
    "scope": "offline_access",
    "state": "s & t",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def page_for(sandbox, **changes):
    """Open the page as a browser does."""
    wish = {name: value for name, value in {**WISH, **changes}.items() if value is not None}
    return requests.get(f"{sandbox.url}/oauth2/authorize?{urlencode(wish)}", timeout=10)


def decide(shown, decision="allow", user="airflow", **options):
    """Send the form of the page and return the answer, which a browser would follow."""
    [form] = Page(shown).all("form")
    assert form["method"] == "post"
    fields = {"user": user, "decision": decision}
    target = urljoin(shown.url, form["action"])
    return requests.post(target, data=fields, timeout=10, allow_redirects=False, **options)


def query_of(answer):
    """Return what the browser takes back to the application."""
    assert answer.status_code == 303
    address = answer.headers["Location"]
    return {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}


def code_of(sandbox, **changes):
    return query_of(decide(page_for(sandbox, **changes)))["code"]


def redeem(sandbox, code, **changes):
    """Exchange a code and return the answer; None leaves a field out."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "username": None,
        **changes,
    }
    return raw_client.token(sandbox, **form)


def problem_of(answer):
    assert answer.status_code in (400, 401), answer.text
    return answer.json()["error"], answer.json()["error_description"]


# --- the page


def test_the_page_says_who_asks_and_where_the_browser_goes(sandbox):
    answer = page_for(sandbox)
    shown = Page(answer)
    assert problems(shown) == []
    assert "sandbox-client" in shown.text
    assert BACK in shown.text
    assert "renew its access" in shown.text
    assert "renew" not in Page(page_for(sandbox, scope=None)).text
    assert [option for option in shown.all("option") if "selected" in option] == [{"selected": None}]


def test_the_page_allows_the_browser_what_the_others_do_and_the_one_way_back(sandbox):
    headers = page_for(sandbox).headers
    assert headers["Content-Security-Policy"] == POLICY.replace(
        "form-action 'self'", "form-action 'self' https://127.0.0.1:8443"
    )
    assert headers["Content-Security-Policy"] != POLICY
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_it_counts_as_no_call_and_costs_nothing(sandbox):
    decide(page_for(sandbox))
    assert (calls(sandbox), sandbox.transactions) == ([], 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"response_type": "token"},
        {"response_type": None},
        {"scope": "everything"},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
        {"redirect_uri": None},
        {"redirect_uri": "http://127.0.0.1:8443/callback"},
        {"redirect_uri": "https://localhost/callback"},
        {"redirect_uri": "https://a.example/#part"},
        {"redirect_uri": "https://a.example/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "https://a.example; script-src *"},
        {"redirect_uri": "https://me@a.example/"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_a_wish_that_cannot_be_is_shown_and_leads_nowhere(sandbox, changes):
    answer = page_for(sandbox, **changes)
    assert answer.status_code == 400
    assert next(iter(changes)) in Page(answer).text
    assert answer.headers["Content-Security-Policy"] == POLICY
    wish = {name: value for name, value in {**WISH, **changes}.items() if value is not None}
    sent = requests.post(
        f"{sandbox.url}/oauth2/authorize?{urlencode(wish)}", data={"decision": "deny"}, timeout=10
    )
    assert sent.status_code == 400


@pytest.mark.parametrize("back", ["https://a.example", "https://a.example/x?y=1", "https://[::1]:1/x"])
def test_the_browser_goes_back_with_a_code_and_the_state(sandbox, back):
    answer = decide(page_for(sandbox, redirect_uri=back))
    assert answer.headers["Location"].startswith(back)
    assert query_of(answer)["state"] == WISH["state"]
    code = query_of(answer)["code"]
    assert code.count(".") == 2
    assert redeem(sandbox, code, redirect_uri=back).status_code == 200


@pytest.mark.parametrize("decision", ["deny", "", "Allow"])
def test_whoever_does_not_allow_it_gives_no_code(sandbox, decision):
    given = query_of(decide(page_for(sandbox), decision))
    assert (given["error"], given["state"]) == ("access_denied", WISH["state"])
    assert "code" not in given


def test_another_site_cannot_send_the_form(sandbox):
    shown = page_for(sandbox)
    for site in ("cross-site", "same-site", "none"):
        assert decide(shown, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert decide(shown, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    foreign = requests.get(shown.url, headers={"Host": "evil.example"}, timeout=10)
    assert foreign.status_code == 400


def test_only_a_user_of_the_company_can_be_acted_for(sandbox):
    assert decide(page_for(sandbox), user="<nobody>").status_code == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_page_takes_no_other_method(sandbox, method):
    assert requests.request(method, f"{sandbox.url}/oauth2/authorize", timeout=10).status_code == 405


# --- the code


def test_a_code_gives_tokens_that_work_and_can_be_renewed(sandbox):
    answer = redeem(sandbox, code_of(sandbox)).json()
    assert set(answer) == {"token_type", "access_token", "refresh_token", "expires_in"}
    listed = requests.get(
        f"{sandbox.url}/objects/company-config/entity",
        headers={"Authorization": f"Bearer {answer['access_token']}"},
        timeout=10,
    )
    assert listed.status_code == 200
    assert calls(sandbox, "/objects")[0].caller == "airflow@SANDBOX"
    renewed = raw_client.token(sandbox, grant_type="refresh_token", refresh_token=answer["refresh_token"])
    assert renewed.status_code == 200


def test_without_the_scope_there_is_no_refresh_token(sandbox):
    for scope in (None, ""):
        answer = redeem(sandbox, code_of(sandbox, scope=scope)).json()
        assert set(answer) == {"token_type", "access_token", "expires_in"}


def test_a_code_works_once(sandbox):
    code = code_of(sandbox)
    assert redeem(sandbox, code).status_code == 200
    error, said = problem_of(redeem(sandbox, code))
    assert (error, "already used" in said) == ("invalid_grant", True)


def test_a_code_is_good_for_five_minutes():
    moments = [datetime(2026, 7, 1, tzinfo=UTC)]
    with running(clock=lambda: moments[0]) as sandbox:
        codes = [code_of(sandbox), code_of(sandbox)]
        moments[0] += timedelta(seconds=299)
        assert redeem(sandbox, codes[0]).status_code == 200
        moments[0] += timedelta(seconds=1)
        assert problem_of(redeem(sandbox, codes[1]))[0] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"code": "guessed"}, "invalid_grant", "invalid, expired"),
        ({"code": None}, "invalid_grant", "invalid, expired"),
        ({"redirect_uri": f"{BACK}/"}, "invalid_grant", "redirect_uri"),
        ({"redirect_uri": None}, "invalid_grant", "redirect_uri"),
        ({"code_verifier": "w" * 43}, "invalid_grant", "code_verifier"),
        ({"code_verifier": None}, "invalid_grant", "code_verifier"),
        ({"client_secret": "wrong"}, "invalid_client", "incorrect"),
        ({"client_secret": ""}, "invalid_client", "incorrect"),
        ({"client_secret": None, "code_verifier": None}, "invalid_client", "incorrect"),
        ({"client_secret": None, "code_verifier": "w" * 43}, "invalid_grant", "code_verifier"),
        ({"client_secret": None, "client_id": "other"}, "invalid_client", "incorrect"),
    ],
)
def test_a_code_is_good_for_nobody_else(sandbox, changes, error, said):
    code = code_of(sandbox)
    found = problem_of(redeem(sandbox, **{"code": code, **changes}))
    assert (found[0], said in found[1]) == (error, True), found
    assert redeem(sandbox, code).status_code == 200, "a refusal does not use it up"


def test_the_verifier_takes_the_place_of_the_secret(sandbox):
    assert redeem(sandbox, code_of(sandbox), client_secret=None).status_code == 200
    for form in ({}, {"grant_type": "refresh_token", "refresh_token": "x"}):
        answer = raw_client.token(sandbox, **form, client_secret=None, code_verifier=VERIFIER)
        assert problem_of(answer)[0] == "invalid_client"


def test_a_code_that_was_asked_for_without_a_challenge_takes_no_verifier(sandbox):
    """Else somebody who strips the challenge from the address would get away with it."""
    without = {"code_challenge": None, "code_challenge_method": None}
    assert redeem(sandbox, code_of(sandbox, **without), code_verifier=None).status_code == 200
    for secret in ({}, {"client_secret": None}):
        assert problem_of(redeem(sandbox, code_of(sandbox, **without), **secret))[0] == "invalid_grant"


def test_codes_and_tokens_are_not_each_other(sandbox):
    code = code_of(sandbox)
    wrong = raw_client.token(sandbox, grant_type="refresh_token", refresh_token=code)
    assert problem_of(wrong)[0] == "invalid_grant"
    refresh = raw_client.token(sandbox).json()["refresh_token"]
    assert problem_of(redeem(sandbox, refresh))[0] == "invalid_grant"


# --- the command


class Command:
    """``python -m intacct_provider.authorize`` as a person runs it, who copies addresses to and from a browser."""

    def __init__(self, *options, **env):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "intacct_provider.authorize", "--redirect-uri", BACK, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )

    def address(self):
        """Read until the address to open comes."""
        for line in self.process.stdout:
            if line.startswith("http"):
                return line.strip()
        raise AssertionError(self.process.stderr.read())

    def paste(self, text):
        """Finish and return the exit code, and what was printed since."""
        printed, problem = self.process.communicate(text, timeout=60)
        assert "Traceback" not in problem, problem
        return self.process.returncode, printed.strip(), problem


def plain(sandbox, **env):
    identity = sandbox.identity
    options = ("--client-id", identity.client_id, "--host", sandbox.url)
    return Command(*options, **{"INTACCT_CLIENT_SECRET": identity.client_secret, **env})


def allowed(address):
    """Allow the access in a browser; return the address that it is sent to."""
    return decide(requests.get(address, timeout=10)).headers["Location"]


def test_the_command_asks_with_pkce_a_state_and_the_scope_for_renewal(sandbox):
    addresses = []
    for _ in range(2):
        command = plain(sandbox)
        addresses.append(command.address())
        assert command.paste("") == (1, "", "intacct authorize: Nothing was pasted.\n")
    first, second = ({k: v for k, [v] in parse_qs(urlsplit(one).query).items()} for one in addresses)
    same = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": BACK,
        "scope": "offline_access",
        "code_challenge_method": "S256",
    }
    assert {name: first[name] for name in same} == same
    assert first.keys() == same.keys() | {"state", "code_challenge"}
    assert addresses[0].startswith(f"{sandbox.url}/oauth2/authorize?")
    for name in ("state", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]


def test_it_loads_neither_airflow_nor_the_http_library_before_it_needs_them():
    program = "import sys, intacct_provider.authorize; print({'airflow', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_without_airflow_it_prints_what_to_put_into_the_connection(sandbox):
    command = plain(sandbox)
    code, printed, problem = command.paste(f"  {allowed(command.address())}\n")
    assert (code, problem) == (0, "")
    extra = json.loads(printed.splitlines()[-1])
    assert extra == {
        "auth_type": "refresh_token",
        "refresh_token": extra["refresh_token"],
        "credential_store": "variable",
    }
    given = {"auth_type": "refresh_token", "refresh_token": extra["refresh_token"]}
    with IntacctClient(config_of(sandbox, **given)) as client:
        assert client.list("company-config/entity") != []
    assert sandbox.identity.client_secret not in printed
    assert all(call.caller in (None, "airflow@SANDBOX") for call in calls(sandbox))


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        (lambda url: url.replace("state=", "state=x"), "its state does not match"),
        (lambda url: url.partition("&state")[0], "its state does not match"),
        (lambda url: url.partition("?")[0], "it has no code"),
        (lambda _: "", "it has no code"),
        (lambda _: "https://[", "it has no code"),
        (
            lambda url: url.replace("code=", "code=x"),
            "invalid, expired or already used. A code works only once, and for a few minutes",
        ),
    ],
)
def test_an_address_that_is_not_ours_gives_no_token(sandbox, tampered, said):
    command = plain(sandbox)
    code, printed, problem = command.paste(tampered(allowed(command.address())) + "\n")
    assert (code, printed) == (1, "")
    assert said in problem
    exchanged = calls(sandbox, "/oauth2/token")
    assert len(exchanged) == ("invalid, expired" in said)


def test_a_denied_access_is_said_to_be_one(sandbox):
    command = plain(sandbox)
    back = decide(requests.get(command.address(), timeout=10), "deny").headers["Location"]
    assert command.paste(back + "\n") == (
        1,
        "",
        "intacct authorize: Access was not granted: The access was denied\n",
    )


def test_a_wrong_secret_is_refused_and_not_repeated(sandbox):
    command = plain(sandbox, INTACCT_CLIENT_SECRET="guessed-wrong")
    code, printed, problem = command.paste(allowed(command.address()) + "\n")
    assert (code, printed) == (1, "")
    assert "client id, client secret or application is incorrect" in problem
    assert "guessed-wrong" not in problem


def test_an_answer_without_a_refresh_token_is_said_to_be_one(sandbox):
    command = plain(sandbox)
    back = allowed(command.address())
    sandbox.fail(path="/oauth2/token", status=200, body={"access_token": "a-token", "expires_in": 60})
    code, printed, problem = command.paste(back + "\n")
    assert (code, printed) == (1, "")
    assert "no refresh token" in problem
    assert "a-token" not in problem


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "one of the arguments --conn-id --client-id is required"),
        (("--client-id", "x", "--conn-id", "y"), "not allowed with argument"),
        (("--conn-id", "y", "--host", "https://a.example"), "--host can only be used with --client-id"),
        (("--client-id", "x", "--redirect-uri", "http://a.example"), "must begin with https://"),
        (("--client-id", "x", "--client-secret", "y"), "unrecognized arguments"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    code, printed, problem = Command(*options).paste("")
    assert (code, printed) == (2, "")
    assert said in problem


def test_a_host_that_would_show_the_secret_to_the_network_is_refused():
    code, printed, problem = Command(
        "--client-id", "x", "--host", "http://a.example", INTACCT_CLIENT_SECRET="s"
    ).paste("")
    assert (code, printed) == (1, "")
    assert "plain http" in problem
