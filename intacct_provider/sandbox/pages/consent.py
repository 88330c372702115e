"""The consent page, where a person allows the application to act for a user and is sent back to it with a code.

Its address is below the API's, but it is a page for browsers and is served like the other pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from intacct_provider.sandbox.auth import CODE_LIFE, OFFLINE
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.names import USER
from intacct_provider.sandbox.pages.shell import address, page, reject_other_sites

if TYPE_CHECKING:
    from starlette.requests import Request

    from intacct_provider.sandbox.state import State

ADDRESS = f"{BASE}/oauth2/authorize"
# Sage's console accepts addresses of this form; the part behind the host may have any character of a header.
_REDIRECT = re.compile(
    r"(https://(?!localhost\b)(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)(?:[/?][!-\"$-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_S256 = re.compile(r"[\w-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What an application asks for.

    :param origin: origin of the redirect address.
    :param challenge: the PKCE challenge; empty without PKCE.
    :param scope: ``offline_access`` for a refresh token, or empty.
    """

    redirect_uri: str
    origin: str
    state: str
    challenge: str
    scope: str

    def redirect(self, **result: str) -> Response:
        """Send the browser back to the application."""
        query = address("", **result, state=self.state).removeprefix("?")
        url = f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"
        return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


class Consent:
    """The consent page.

    :param policy: content security policy of the other pages; this page may redirect to the application as well.
    """

    def __init__(self, state: State, policy: str) -> None:
        self._state = state
        self._policy = policy

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [Route(ADDRESS, self.show), Route(ADDRESS, self.decide, methods=["POST"])]

    def show(self, request: Request) -> Response:
        """Show the page."""
        wanted, identity = self._read_request(request), self._state.identity
        with self._state.store.transaction() as conn:
            users = [row["id"] for row in conn.execute(f'SELECT "id" FROM "{USER}" ORDER BY "id"')]  # noqa: S608
        action, minutes = address(ADDRESS, **request.query_params), CODE_LIFE // 60
        response = page(
            request,
            "consent.html",
            identity=identity,
            users=users,
            wanted=wanted,
            action=action,
            minutes=minutes,
        )
        # Chromium applies this to the redirects of a form too.
        own = "form-action 'self'"
        response.headers["Content-Security-Policy"] = self._policy.replace(own, f"{own} {wanted.origin}")
        return response

    async def decide(self, request: Request) -> Response:
        """Send the person's decision to the application."""
        reject_other_sites(request)
        wanted, form = self._read_request(request), await request.form()
        if form.get("decision") != "allow":
            return wanted.redirect(error="access_denied", error_description="The access was denied")
        code = await run_in_threadpool(self._issue_code, wanted, str(form.get("user", "")))
        return wanted.redirect(code=code)

    def _read_request(self, request: Request) -> AuthorizationRequest:
        """Return what the application asks for.

        :raises HTTPException: 400 for an invalid request; the browser is not redirected then.
        """
        query = request.query_params
        redirect_uri, challenge = query.get("redirect_uri", ""), query.get("code_challenge", "")
        redirect = _REDIRECT.fullmatch(redirect_uri)
        if query.get("client_id") != self._state.identity.client_id:
            problem = "client_id must be that of the registered application"
        elif redirect is None:
            problem = (
                "redirect_uri must be an https address without a fragment, such as https://127.0.0.1:8080/callback; "
                "for this machine use 127.0.0.1, not a name"
            )
        elif query.get("response_type") != "code":
            problem = "response_type must be code"
        elif query.get("scope", "") not in ("", OFFLINE):
            problem = f"scope must be {OFFLINE} or missing"
        elif challenge and not (query.get("code_challenge_method") == "S256" and _S256.fullmatch(challenge)):
            problem = "code_challenge must be 43 characters, with the code_challenge_method S256"
        else:
            return AuthorizationRequest(
                redirect_uri, redirect[1], query.get("state", ""), challenge, query.get("scope", "")
            )
        raise HTTPException(400, f"{problem}.")

    def _issue_code(self, wanted: AuthorizationRequest, user: str) -> str:
        with self._state.store.transaction() as conn:
            if conn.execute(f'SELECT 1 FROM "{USER}" WHERE "id" = ?', (user,)).fetchone() is None:  # noqa: S608
                raise HTTPException(400, f"The company has no user {user[:40]!r}.")
            claims = {
                "redirect_uri": wanted.redirect_uri,
                "code_challenge": wanted.challenge,
                "scope": wanted.scope,
            }
            return self._state.tokens.issue_code(conn, user, claims, self._state.store.now())
