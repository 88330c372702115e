"""Intacct as far as the client's unit tests need it: answers over mocked HTTP, and what was asked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http import auth
from intacct_provider.client.http.retry import RetryPolicy

#: Never sleeps, whatever fails.
IMPATIENT = RetryPolicy(base=0, attempts=4)
SECRET = "s3cret-of-the-app"


class FakeIntacct:
    """Answers that a test has put there, under ``https://intacct.test/ia/api/v1``."""

    url = "https://intacct.test/ia/api/v1"
    customers = "/objects/accounts-receivable/customer"
    query = "/services/core/query"
    model = "/services/core/model"
    token = "/oauth2/token"

    def __init__(self, http: Any) -> None:
        self.http = http
        self._numbers = itertools.count(1)
        self.on("POST", self.token, json=self.new_token)
        self.on("GET", self.model, json={"ia::result": []})

    def new_token(self, _request: Any, _context: Any) -> dict[str, Any]:
        """Answer with a token that differs from all before it."""
        return {"token_type": "Bearer", "access_token": f"token-{next(self._numbers)}", "expires_in": 43200}

    def on(self, method: str, path: str, *answers: dict[str, Any], **answer: Any) -> None:
        """Put answers to a request there; the last one is repeated."""
        self.http.register_uri(method, self.url + path, list(answers or [answer]))

    def calls(self, path: str = "", method: str = "") -> list[Any]:
        """Return the requests so far whose path begins so, in order."""
        start = "/ia/api/v1" + path
        return [
            call
            for call in self.http.request_history
            if call.path.startswith(start.lower()) and method in ("", call.method)
        ]

    def config(self, **changes: Any) -> IntacctConfig:
        """Return a configuration that reaches this Intacct."""
        given = {
            "client_id": "app-id",
            "client_secret": SECRET,
            "company_id": "Acme",
            "user_id": "ws_user",
            "base_url": self.url,
        }
        return IntacctConfig(**{**given, **changes})

    def client(self, *, retry: RetryPolicy = IMPATIENT, **changes: Any) -> IntacctClient:
        """Return a client of this Intacct; ``store`` and ``on_secret`` go to it, the rest to its configuration."""
        own = {name: changes.pop(name) for name in ("store", "on_secret") if name in changes}
        return IntacctClient(self.config(**changes), retry=retry, **own)


@pytest.fixture(autouse=True)
def _no_token_is_left():
    """Let no test use a token of another."""
    auth.forget_tokens()
    yield
    auth.forget_tokens()


@pytest.fixture
def intacct(requests_mock):
    """Return an Intacct that hands out tokens and knows no objects."""
    return FakeIntacct(requests_mock)
