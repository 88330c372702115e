"""The page of consent in a real Chromium, which lets a form go nowhere that the page does not name."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sandbox_client import running

pytestmark = pytest.mark.slow

BACK = "https://127.0.0.1:8443/callback"


@pytest.mark.parametrize(("press", "name"), [("Allow", "code"), ("Deny", "error")])
def test_either_button_takes_the_browser_back_to_the_application(chromium, press, name):
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": BACK,
        "scope": "offline_access",
        "state": "of ours",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    complaints = []
    with running() as sandbox:
        page = chromium.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.route(f"{BACK}**", lambda route: route.fulfill(status=200, body="here"))
        page.goto(f"{sandbox.url}/oauth2/authorize?{urlencode(query)}")
        page.get_by_label("Act as the user").select_option("airflow")
        page.get_by_role("button", name=press).click()
        page.wait_for_url(f"{BACK}**")
        given = {key: value for key, [value] in parse_qs(urlsplit(page.url).query).items()}
        page.close()
    assert given[name]
    assert given["state"] == "of ours"
    assert complaints == []
