"""``python -m intacct_provider.authorize``: a person's consent, which ends in a refresh token for a connection.

Exit codes: 0 when the token is stored or shown, 1 with one line on stderr when there is none or it could not be stored,
2 for options that cannot be. The client secret is never an option, since anyone can read those of a running process.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import hashlib
import hmac
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from intacct_provider.client.config import DEFAULT_BASE_URL, IntacctConfig
from intacct_provider.client.http.auth import CredentialStore, Tokens
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import (
    IntacctAuthenticationError,
    IntacctAuthorizeError,
    IntacctConfigError,
    IntacctError,
)

SECRET_VARIABLE = "INTACCT_CLIENT_SECRET"  # noqa: S105 - the name of a variable
#: A person waits for the answer.
_RETRY = RetryPolicy(attempts=3, base=0.5, budget=30.0)


@dataclass(frozen=True, slots=True)
class Application:
    """Who asks, and where the tokens go.

    :param store: None when they are to be shown.
    :param conn_id: the Airflow connection, if there is one.
    :param ready: whether the connection uses refresh tokens already.
    """

    config: IntacctConfig
    store: CredentialStore | None = None
    conn_id: str = ""
    ready: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask for a person's consent and keep the tokens; return the exit code."""
    options = parse(arguments)
    try:
        if options.conn_id:
            application = of_connection(options.conn_id)
        else:
            secret = os.environ.get(SECRET_VARIABLE) or getpass.getpass("Client secret: ")
            application = Application(configured(options.host, None, options.client_id, secret, {}))
        return keep(application, ask(application.config, options.redirect_uri))
    except IntacctError as err:
        print(f"intacct authorize: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; argparse itself exits with 2 on what cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m intacct_provider.authorize",
        description="Get a refresh token for Sage Intacct by a person's consent.",
    )
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "--conn-id", help="Airflow connection to authorize; its credential store gets the token"
    )
    whose.add_argument(
        "--client-id",
        help=f"id of the application, to do without Airflow; its secret comes from {SECRET_VARIABLE} or a prompt",
    )
    parser.add_argument("--host", help=f"API base URL, with --client-id (default: {DEFAULT_BASE_URL})")
    parser.add_argument(
        "--redirect-uri", required=True, help="exactly as registered; nothing needs to answer there"
    )
    options = parser.parse_args(arguments)
    if options.host and options.conn_id:
        parser.error("--host goes with --client-id; a connection has its own")
    if not options.redirect_uri.startswith("https://"):
        parser.error(f"--redirect-uri must begin with https://, not {options.redirect_uri!r}")
    return options


def of_connection(conn_id: str) -> Application:
    """Read an Airflow connection, and look into its credential store.

    :raises IntacctConfigError: if one of them cannot be read, or is wrong.
    """
    # As Airflow's own commands do it: without this, only the environment is searched.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        from intacct_provider.hooks.credential_store import credential_store
        from intacct_provider.hooks.intacct import IntacctHook

        conn = IntacctHook.get_connection(conn_id)
    except Exception as err:
        raise IntacctConfigError(
            f"The connection {conn_id!r} cannot be read ({type(err).__name__})."
        ) from err
    config = configured(conn.host, conn.port, conn.login, conn.password, conn.extra_dejson)
    try:
        store = credential_store(config.credential_store, conn_id)
        if store is not None:
            store.load()  # one that cannot be reached says so before anybody consents
    except IntacctError:
        raise
    except Exception as err:
        raise IntacctConfigError(
            f"The credential store {config.credential_store!r} cannot be read ({type(err).__name__})."
        ) from err
    return Application(config, store, conn_id, conn.extra_dejson.get("auth_type") == config.auth_type)


def configured(
    host: str | None, port: int | None, login: str | None, password: str | None, extra: Mapping[str, Any]
) -> IntacctConfig:
    """Return the configuration that the refresh token will be used with.

    :raises IntacctConfigError: for a part that is missing or wrong.
    """
    extra = {**extra, "auth_type": "refresh_token"}
    if extra.get("credential_store") in (None, "", "memory"):
        extra["refresh_token"] = "none yet"  # noqa: S105 - the first is what this is about
    return IntacctConfig.from_connection(host=host, port=port, login=login, password=password, extra=extra)


def ask(config: IntacctConfig, redirect_uri: str) -> Tokens:
    """Show the address to open, read the one that the browser was sent to, and exchange its code.

    :raises IntacctAuthorizeError: if there is no code in it, or Intacct does not take it.
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
        "Open this address in a browser, sign in as the user whom Airflow shall act as, and allow the access:\n\n"
        f"{config.base_url}/oauth2/authorize?{urlencode(query)}\n\n"
        f"The browser is then sent to {redirect_uri}, which need not answer. Paste the whole address that it shows:",
        flush=True,
    )
    with suppress(ImportError):
        import readline  # noqa: F401 - without it a terminal cuts a line, on macOS after 1,024 characters
    try:
        code = code_of(input(), state)
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
    return exchange(config, form)


def code_of(address: str, state: str) -> str:
    """Return the code in an address that the browser was sent to.

    :raises IntacctAuthorizeError: if there is none, or it answers another request than ours.
    """
    asked = address.strip().partition("?")[2].partition("#")[0]
    query = {name: values[0] for name, values in parse_qs(asked).items()}
    if not {"code", "error"} & query.keys():
        raise IntacctAuthorizeError(
            "What was pasted is not the address that the browser was sent to: it has no code."
        )
    if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
        raise IntacctAuthorizeError(
            "What was pasted answers another request: its state is not ours. Start again."
        )
    if "code" not in query:
        said = " ".join(query.get("error_description", query["error"]).split())[:200]
        raise IntacctAuthorizeError(f"The access was not granted: {said}")
    return query["code"]


def exchange(config: IntacctConfig, form: Mapping[str, str]) -> Tokens:
    """Exchange a code for tokens.

    :raises IntacctAuthorizeError: if Intacct does not take the code, or answers no refresh token.
    """
    from intacct_provider.client.http.transport import Transport

    transport = Transport(config, retry=_RETRY)
    try:
        tokens = Tokens.from_answer(transport.post_form(form), config)
    except IntacctAuthenticationError as err:
        raise IntacctAuthorizeError(
            f"{err.message}. A code works once, and for a few minutes: start again."
        ) from None
    finally:
        transport.close()
    if not tokens.refresh_token:
        raise IntacctAuthorizeError(
            "Intacct answered without a refresh token, so that the access cannot be renewed."
        )
    return tokens


def keep(application: Application, tokens: Tokens) -> int:
    """Store the tokens, or show what to put into the connection when there is no store or it fails."""
    store, setting = application.store, application.config.credential_store
    if store is not None:
        try:
            store.save(tokens.to_store())
        except Exception as err:  # whatever it is, the refresh token must not be lost with it
            said = f"the credential store failed ({type(err).__name__}), so the token is shown instead"
            print(f"intacct authorize: {said}", file=sys.stderr)
        else:
            print(
                f"The credential store {setting!r} of connection {application.conn_id!r} has the refresh token now."
            )
            if not application.ready:
                print('Set the extra auth_type of the connection to "refresh_token", so that it is used.')
            return 0
    extra = {
        "auth_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
        "credential_store": "variable" if store is None else setting,
    }
    print(f"Put this into the extra of the connection. It is secret.\n\n{json.dumps(extra)}")
    return 0 if store is None else 1


if __name__ == "__main__":
    sys.exit(main())
