"""Tokens: the token endpoint, and the check of the Authorization header.

Only the digests of tokens are stored, in the company's database, so that tokens survive a restart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from intacct_provider.sandbox.errors import ApiError, gateway
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.identity import Identity
from intacct_provider.sandbox.objects.names import ENTITY, USER
from intacct_provider.sandbox.store import find_key

# Sage documents no lifetime for refresh tokens, so no client may depend on one.
REFRESH_LIFE = 10 * 365 * 86400
CODE_LIFE = 300
# Sage's only scope: the response has a refresh token too.
OFFLINE = "offline_access"


class TokenRequestError(Exception):
    """A token request that fails, in the terms of OAuth 2.0.

    :param error: ``invalid_client``, ``invalid_grant``, ``invalid_request`` or ``unsupported_grant_type``.
    :param status: 401 for wrong credentials of the application, 400 for everything else.
    """

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.error = error

    def body(self) -> dict[str, str]:
        """Return the body of the response, in OAuth's form and not in Intacct's."""
        return {"error": self.error, "error_description": str(self)}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token grants: to act as a user, in an entity (its id) or at the top level (``None``)."""

    user: str
    entity: str | None


def read_token_request(body: bytes, content_type: str) -> dict[str, str]:
    """Return the fields of a token request, which may be a form or JSON."""
    if "json" not in content_type.lower():
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TokenRequestError("invalid_request", "The request body is not a JSON object") from None
    return {name: str(value) for name, value in fields.items() if value is not None}


class Tokens:
    """Issues and checks tokens.

    :param faults: set the lifetime of access tokens, and whether refresh tokens are single-use.
    """

    def __init__(self, identity: Identity, faults: Faults) -> None:
        self.identity = identity
        self.faults = faults

    def issue_tokens(
        self, conn: sqlite3.Connection, fields: Mapping[str, str], now: datetime
    ) -> dict[str, Any]:
        """Return the response body of a token request.

        :raises TokenRequestError: if the request is rejected.
        """
        self._check_application(fields)
        grant_type = fields.get("grant_type", "")
        if grant_type == "client_credentials":
            grant, renewable = self._client_credentials(conn, fields), True
        elif grant_type == "refresh_token":
            grant, renewable = self._refresh_token(conn, fields, now), self.faults.rotation != "silent"
        elif grant_type == "authorization_code":
            grant, renewable = self._authorization_code(conn, fields, now)
        else:
            raise TokenRequestError(
                "unsupported_grant_type", f'The grant type "{grant_type}" is not supported'
            )
        life = self.faults.token_life
        response: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": self._issue(conn, "access", grant, now.timestamp() + life),
        }
        if renewable:
            response["refresh_token"] = self._issue(conn, "refresh", grant, now.timestamp() + REFRESH_LIFE)
        return {**response, "expires_in": int(life)}

    def issue_code(
        self, conn: sqlite3.Connection, user: str, claims: Mapping[str, str], now: datetime
    ) -> str:
        """Return the authorization code of a person's consent, valid once and for 5 minutes.

        :param claims: the ``redirect_uri``, ``code_challenge`` and ``scope`` of the authorization request.
        """
        return self._issue(conn, "code", Grant(user, None), now.timestamp() + CODE_LIFE, claims)

    def check_bearer(self, conn: sqlite3.Connection, authorization: str | None, now: datetime) -> Grant:
        """Return what the token of an Authorization header grants.

        :raises ApiError: 401 GW-0034 if there is no bearer token, 401 GW-0040 if it has expired, and 400
            REST-1206 if it was never issued; recorded responses have 400 for that, not 401.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise gateway(401, "GW-0034", "The Authorization header must be of the form Bearer <token>")
        row = _find_token(conn, "access", token.strip())
        if row is None:
            raise ApiError(400, "invalidRequest", "The token is not valid", error_id="REST-1206")
        if row["expires"] <= now.timestamp():
            raise gateway(401, "GW-0040", "Expired token")
        return Grant(row["user"], row["entity"])

    def expire_access_tokens(self, conn: sqlite3.Connection) -> None:
        """Let every access token issued so far expire."""
        conn.execute("""UPDATE "ia::token" SET expires = 0 WHERE kind = 'access'""")

    def _check_application(self, fields: Mapping[str, str]) -> None:
        secret = fields.get("client_secret", "")
        if fields.get("grant_type") == "authorization_code" and "client_secret" not in fields:
            # With PKCE the verifier replaces the secret; it is checked with the code.
            secret = self.identity.client_secret if fields.get("code_verifier") else ""
        expected = (self.identity.client_id, self.identity.client_secret)
        given = (fields.get("client_id", ""), secret)
        if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, expected, strict=True)):
            raise TokenRequestError(
                "invalid_client", "The client id, client secret or application is incorrect", 401
            )

    def _client_credentials(self, conn: sqlite3.Connection, fields: Mapping[str, str]) -> Grant:
        user, at, rest = fields.get("username", "").partition("@")
        company, bar, entity = rest.partition("|")
        if not (at and user and company):
            raise TokenRequestError(
                "invalid_request", "The username format is invalid (expected user@company)"
            )
        if company != self.identity.company or find_key(conn, USER, "id", user) is None:
            raise TokenRequestError("invalid_grant", "The provided credentials are invalid")
        if bar and find_key(conn, ENTITY, "id", entity) is None:
            raise TokenRequestError("invalid_grant", "The entity of the username does not exist")
        return Grant(user, entity or None)

    def _refresh_token(self, conn: sqlite3.Connection, fields: Mapping[str, str], now: datetime) -> Grant:
        """Return the grant of a refresh token, which works once by default: the response has its successor."""
        token = fields.get("refresh_token", "")
        row = _find_token(conn, "refresh", token)
        if row is None or row["expires"] <= now.timestamp():
            raise TokenRequestError("invalid_grant", "The refresh token is invalid, expired or already used")
        if self.faults.rotation == "single-use":
            conn.execute('DELETE FROM "ia::token" WHERE digest = ?', (_digest(token),))
        return Grant(row["user"], row["entity"])

    def _authorization_code(
        self, conn: sqlite3.Connection, fields: Mapping[str, str], now: datetime
    ) -> tuple[Grant, bool]:
        """Return the grant of an authorization code, and whether its response has a refresh token."""
        code, verifier = fields.get("code", ""), fields.get("code_verifier", "")
        row = _find_token(conn, "code", code)
        if row is None or row["expires"] <= now.timestamp():
            raise TokenRequestError(
                "invalid_grant", "The authorization code is invalid, expired or already used"
            )
        claims = _read_claims(code)  # its digest is stored, so the code was issued here
        if fields.get("redirect_uri") != claims["redirect_uri"]:
            raise TokenRequestError(
                "invalid_grant", "The redirect_uri differs from that of the authorization"
            )
        challenge = _base64(hashlib.sha256(verifier.encode()).digest())
        if claims["code_challenge"] != (challenge if verifier else ""):
            raise TokenRequestError("invalid_grant", "The code_verifier does not fit the code_challenge")
        conn.execute('DELETE FROM "ia::token" WHERE digest = ?', (_digest(code),))
        return Grant(row["user"], row["entity"]), claims["scope"] == OFFLINE

    def _issue(
        self,
        conn: sqlite3.Connection,
        kind: str,
        grant: Grant,
        expires: float,
        claims: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        header = _encode_segment({"alg": "RS256", "typ": "JWT"})
        own = {"cnyId": self.identity.company, "exp": int(expires), "jti": secrets.token_hex(16)}
        token = f"{header}.{_encode_segment({**own, **claims})}.{secrets.token_urlsafe(32)}"
        row = (_digest(token), kind, grant.user, grant.entity, expires)
        conn.execute('INSERT INTO "ia::token" VALUES (?, ?, ?, ?, ?)', row)
        return token


def _encode_segment(claims: Mapping[str, object]) -> str:
    return _base64(msgspec.json.encode(claims))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _read_claims(token: str) -> dict[str, Any]:
    segment = token.split(".")[1]
    padding = "=" * (-len(segment) % 4)
    return msgspec.json.decode(base64.urlsafe_b64decode(segment + padding), type=dict[str, Any])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _find_token(conn: sqlite3.Connection, kind: str, token: str) -> sqlite3.Row | None:
    sql = 'SELECT * FROM "ia::token" WHERE digest = ? AND kind = ?'
    row: sqlite3.Row | None = conn.execute(sql, (_digest(token), kind)).fetchone()
    return row
