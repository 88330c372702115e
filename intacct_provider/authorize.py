"""``python -m intacct_provider.authorize``: get a refresh token for a connection by a person's consent.

Exit codes: 0 if the token is stored or shown, 1 with one line on stderr if there is none or it could not be stored, 2
for invalid options. The client secret is never an option, because other users can see the options of a process.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from intacct_provider.cli_connection import (
    add_source_arguments,
    check_connection_options,
    find_airflow_connection,
    read_secret,
    run_command,
)
from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.http.auth import CredentialStore, Tokens
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.redaction import clean_text
from intacct_provider.exceptions import (
    IntacctAuthenticationError,
    IntacctAuthorizeError,
    IntacctConfigError,
    IntacctError,
)

#: Short, because a person is waiting.
_RETRY = RetryPolicy(attempts=3, base=0.5, budget=30.0)


@dataclass(frozen=True, slots=True)
class Application:
    """The application to authorize, and where its tokens are stored.

    :param store: None to show the token instead.
    :param conn_id: the Airflow connection; empty without one.
    :param ready: whether the connection already uses refresh tokens.
    """

    config: IntacctConfig
    store: CredentialStore | None = None
    conn_id: str = ""
    ready: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask for a person's consent and store the tokens; return the exit code."""
    options = parse_arguments(arguments)
    return run_command("authorize", lambda: authorize(options))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; argparse itself exits with 2 for invalid options."""
    parser = argparse.ArgumentParser(
        prog="python -m intacct_provider.authorize",
        description="Get a refresh token for Sage Intacct by a person's consent.",
    )
    add_source_arguments(parser)
    parser.add_argument(
        "--redirect-uri", required=True, help="exactly as registered; no server is needed at this address"
    )
    options = parser.parse_args(arguments)
    check_connection_options(parser, options)
    if not options.redirect_uri.startswith("https://"):
        parser.error(f"--redirect-uri must begin with https://, not {options.redirect_uri!r}")
    return options


def authorize(options: argparse.Namespace) -> int:
    """Authorize the application that the options name; return the exit code.

    :raises IntacctError: if there is no token.
    """
    if options.conn_id:
        application = read_connection(options.conn_id)
    else:
        application = Application(build_config(options.host, None, options.client_id, read_secret(), {}))
    return deliver(application, request_tokens(application.config, options.redirect_uri))


def read_connection(conn_id: str) -> Application:
    """Read an Airflow connection, and check that its credential store can be read.

    :raises IntacctConfigError: if either of them cannot be read or is invalid.
    """
    conn = find_airflow_connection(conn_id)
    config = build_config(conn.host, conn.port, conn.login, conn.password, conn.extra_dejson)
    from intacct_provider.hooks.credential_store import find_credential_store

    try:
        store = find_credential_store(config.credential_store, conn_id)
        if store is not None:
            store.load()  # fails before the person consents if the store cannot be reached
    except IntacctError:
        raise
    except Exception as err:
        raise IntacctConfigError(
            f"The credential store {config.credential_store!r} cannot be read ({type(err).__name__})."
        ) from err
    return Application(config, store, conn_id, conn.extra_dejson.get("auth_type") == config.auth_type)


def build_config(
    host: str | None, port: int | None, login: str | None, password: str | None, extra: Mapping[str, Any]
) -> IntacctConfig:
    """Return the configuration that will use the refresh token.

    :raises IntacctConfigError: for a missing or invalid part.
    """
    extra = {**extra, "auth_type": "refresh_token"}
    if extra.get("credential_store") in (None, "", "memory"):
        extra["refresh_token"] = "none yet"  # noqa: S105 - a placeholder, since there is none yet
    return IntacctConfig.from_connection(host=host, port=port, login=login, password=password, extra=extra)


def request_tokens(config: IntacctConfig, redirect_uri: str) -> Tokens:
    """Show the address to open, read the address that the browser is redirected to, and exchange its code.

    :raises IntacctAuthorizeError: if the code is missing, or Intacct rejects it.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect_uri,
        "scope": "offline_access",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    print(
        "Open this address in a browser, sign in as the user that Airflow is to act as, and allow access:\n\n"
        f"{config.base_url}/oauth2/authorize?{urlencode(query)}\n\n"
        f"The browser is then redirected to {redirect_uri}; that page need not load. Paste its full address here:",
        flush=True,
    )
    with suppress(ImportError):
        import readline  # noqa: F401 - without it a terminal truncates long lines, on macOS after 1,024 characters
    try:
        code = extract_code(input(), state)
    except EOFError:
        raise IntacctAuthorizeError("Nothing was pasted.") from None
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "client_id": config.client_id,
        "client_secret": config.client_secret,
    }
    return exchange_code(config, form)


def extract_code(address: str, state: str) -> str:
    """Return the code in the address that the browser was redirected to.

    :raises IntacctAuthorizeError: if there is no code, or its state is that of another request.
    """
    query_string = address.strip().partition("?")[2].partition("#")[0]
    query = {name: values[0] for name, values in parse_qs(query_string).items()}
    if not {"code", "error"} & query.keys():
        raise IntacctAuthorizeError(
            "The pasted address is not the one that the browser was redirected to: it has no code."
        )
    if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        raise IntacctAuthorizeError(
            "The pasted address belongs to another request: its state does not match. Start again."
        )
    if "code" not in query:
        reason = clean_text(query.get("error_description", query["error"]))[:200]
        raise IntacctAuthorizeError(f"Access was not granted: {reason}")
    return query["code"]


def exchange_code(config: IntacctConfig, form: Mapping[str, str]) -> Tokens:
    """Exchange a code for tokens.

    :raises IntacctAuthorizeError: if Intacct rejects the code, or returns no refresh token.
    """
    from intacct_provider.client.http.transport import Transport

    transport = Transport(config, retry=_RETRY)
    try:
        tokens = Tokens.from_response(transport.post_form(form), config)
    except IntacctAuthenticationError as err:
        raise IntacctAuthorizeError(
            f"{err.message}. A code works only once, and for a few minutes. Start again."
        ) from None
    finally:
        transport.close()
    if not tokens.refresh_token:
        raise IntacctAuthorizeError("Intacct returned no refresh token, so access could not be renewed.")
    return tokens


def deliver(application: Application, tokens: Tokens) -> int:
    """Store the tokens, or show the extra of the connection if there is no store or it fails."""
    store, setting = application.store, application.config.credential_store
    if store is not None:
        try:
            store.save(tokens.to_store())
        except Exception as err:  # whatever the error, do not lose the refresh token
            text = f"the credential store failed ({type(err).__name__}), so the token is shown instead"
            print(f"intacct authorize: {text}", file=sys.stderr)
        else:
            where = f"the credential store {setting!r} of connection {application.conn_id!r}"
            print(f"The refresh token is stored in {where}.")
            if not application.ready:
                print('To use it, set the extra auth_type of the connection to "refresh_token".')
            return 0
    extra = {
        "auth_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
        "credential_store": "variable" if store is None else setting,
    }
    print(f"Add this to the extra of the connection. It is secret.\n\n{json.dumps(extra)}")
    return 0 if store is None else 1


if __name__ == "__main__":
    sys.exit(main())
