"""The page on which a person lets the application act for a user; from there the browser takes a code back to it.

It belongs to the API by its address alone: a browser asks for it, so it is served like the other pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from intacct_provider.sandbox.auth import CODE_LIFE, OFFLINE, Tokens
from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.definitions import USER
from intacct_provider.sandbox.pages.shell import address, page

if TYPE_CHECKING:
    from starlette.requests import Request

    from intacct_provider.sandbox.state import State

ADDRESS = f"{BASE}/oauth2/authorize"
# Sage's console takes addresses of this kind; what is behind the host may be anything that a header can hold.
_REDIRECT = re.compile(
    r"(https://(?!localhost\b)(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)(?:[/?][!-\"$-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_S256 = re.compile(r"[\w-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an application asks for.

    :param origin: of the redirect address
    :param challenge: of PKCE; empty without it
    :param scope: ``offline_access`` for a refresh token, or empty
    """

    redirect_uri: str
    origin: str
    state: str
    challenge: str
    scope: str

    def back(self, **result: str) -> Response:
        """Send the browser back to the application."""
        given = {**result, "state": self.state}
        query = address("", **given).removeprefix("?")
        url = f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"
        return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


class Consent:
    """The page and what becomes of it.

    :param policy: what the other pages allow a browser; this one sends it elsewhere in the end
    """

    def __init__(self, state: State, policy: str) -> None:
        self._state = state
        self._policy = policy
        self._tokens = Tokens(state.identity, state.faults)

    def routes(self) -> list[Route]:
        """Return the one address."""
        return [Route(ADDRESS, self.show), Route(ADDRESS, self.decide, methods=["POST"])]

    def show(self, request: Request) -> Response:
        """Ask the person."""
        wish, identity = self.wish(request), self._state.identity
        with self._state.store.transaction() as conn:
            users = [row["id"] for row in conn.execute(f'SELECT "id" FROM "{USER}" ORDER BY "id"')]  # noqa: S608
        action, minutes = address(ADDRESS, **request.query_params), CODE_LIFE // 60
        shown = page(
            request, "consent.html", identity=identity, users=users, wish=wish, action=action, minutes=minutes
        )
        # Chromium holds a form to this wherever it is redirected to.
        own = "form-action 'self'"
        shown.headers["Content-Security-Policy"] = self._policy.replace(own, f"{own} {wish.origin}")
        return shown

    async def decide(self, request: Request) -> Response:
        """Take the person's answer back to the application."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403, "This form was sent from another site; open the page itself.")
        wish, form = self.wish(request), await request.form()
        if form.get("decision") != "allow":
            return wish.back(error="access_denied", error_description="The access was denied")
        code = await run_in_threadpool(self._code, wish, str(form.get("user", "")))
        return wish.back(code=code)

    def wish(self, request: Request) -> Wish:
        """Read what the application asks for.

        :raises HTTPException: 400 for what cannot be; the browser is sent nowhere then
        """
        query = request.query_params
        redirect_uri, challenge = query.get("redirect_uri", ""), query.get("code_challenge", "")
        redirect = _REDIRECT.fullmatch(redirect_uri)
        if query.get("client_id") != self._state.identity.client_id:
            problem = "client_id must be that of the registered application"
        elif redirect is None:
            problem = (
                "redirect_uri must be an https address such as https://127.0.0.1:8080/callback, by number when it "
                "is this machine, and without a fragment"
            )
        elif query.get("response_type") != "code":
            problem = "response_type must be code"
        elif query.get("scope", "") not in ("", OFFLINE):
            problem = f"scope must be {OFFLINE} or left out"
        elif challenge and not (query.get("code_challenge_method") == "S256" and _S256.fullmatch(challenge)):
            problem = "code_challenge must be 43 characters, with the code_challenge_method S256"
        else:
            return Wish(redirect_uri, redirect[1], query.get("state", ""), challenge, query.get("scope", ""))
        raise HTTPException(400, f"{problem}.")

    def _code(self, wish: Wish, user: str) -> str:
        with self._state.store.transaction() as conn:
            if conn.execute(f'SELECT 1 FROM "{USER}" WHERE "id" = ?', (user,)).fetchone() is None:  # noqa: S608
                raise HTTPException(400, f"The company has no user {user[:40]!r}.")
            asked = {"redirect_uri": wish.redirect_uri, "code_challenge": wish.challenge, "scope": wish.scope}
            return self._tokens.code(conn, user, asked, self._state.store.now())
