"""What the commands share: how they end, their numbers, and which company they reach.

That is an Airflow connection, or an application whose secret is in the environment: the client secret is never an
option, because other users can see the options of a process.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.config import DEFAULT_BASE_URL, IntacctConfig
from intacct_provider.client.http.auth import CredentialStore
from intacct_provider.exceptions import IntacctConfigError, IntacctError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.http.retry import RetryPolicy

SECRET_VARIABLE = "INTACCT_CLIENT_SECRET"  # noqa: S105 - a variable name
#: Options that are parts of an Airflow connection, so they cannot be given with one.
_PARTS = ("host", "company_id", "user_id", "client_secret_env")


@dataclass(frozen=True, slots=True)
class CommandConnection:
    """A company that a command reaches.

    :param store: where a connection keeps its tokens; None for nowhere.
    """

    config: IntacctConfig
    store: CredentialStore | None = None

    def open_client(self, retry: RetryPolicy | None = None) -> IntacctClient:
        """Return a client; nothing is sent before it is used."""
        from intacct_provider.client import IntacctClient

        return IntacctClient(self.config, store=self.store, retry=retry)


def run_command(name: str, command: Callable[[], int]) -> int:
    """Run a command, and return its exit code: 1, with one line on stderr, if it fails or a person stops it."""
    try:
        return command()
    except (IntacctError, OSError) as err:
        print(f"intacct {name}: {err}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"intacct {name}: stopped", file=sys.stderr)
    return 1


def parse_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number from an option, for argparse."""
    allowed = f"from {low}" if high is None else f"between {low} and {high:,}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low or (high is not None and number > high):
            raise argparse.ArgumentTypeError(f"must be a whole number {allowed}, not {text!r}")
        return number

    return parse


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--conn-id`` and ``--client-id``, of which one must be given, and ``--host``."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--conn-id", help="id of an Airflow connection of type intacct")
    source.add_argument(
        "--client-id",
        help=f"id of the application, to work without Airflow; its secret is read from {SECRET_VARIABLE} or a prompt",
    )
    parser.add_argument("--host", help=f"API base URL, with --client-id (default: {DEFAULT_BASE_URL})")


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments that say which company to reach, and as whom."""
    add_source_arguments(parser)
    parser.add_argument("--company-id", help="company, with --client-id")
    parser.add_argument("--user-id", help="Web Services user of the company, with --client-id")
    parser.add_argument(
        "--client-secret-env",
        metavar="NAME",
        help=f"environment variable with the client secret, with --client-id (default: {SECRET_VARIABLE})",
    )
    parser.add_argument(
        "--entity-id", help="entity to work in (default: that of the connection, or the top level)"
    )


def check_connection_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the command with exit code 2 if an option is given that the connection has itself."""
    for name in _PARTS:
        if options.conn_id and getattr(options, name, None):
            option = name.replace("_", "-")
            parser.error(f"--{option} can only be used with --client-id; a connection has its own")


def read_connection(options: argparse.Namespace) -> CommandConnection:
    """Return the company that the options name.

    :raises IntacctConfigError: if a connection cannot be read, a part is missing or invalid, or the command would use
        up a refresh token whose successor is kept nowhere.
    """
    if options.conn_id:
        found = _read_airflow_connection(options.conn_id, options.entity_id)
        if found.config.auth_type == "refresh_token" and found.store is None:
            raise IntacctConfigError(
                "The command would use up the refresh token of the connection, since its credential_store keeps no "
                "successor. Set credential_store, for example to variable."
            )
        return found
    extra = {name: getattr(options, name) or "" for name in ("company_id", "user_id", "entity_id")}
    config = IntacctConfig.from_connection(
        host=options.host,
        port=None,
        login=options.client_id,
        password=read_secret(options.client_secret_env),
        extra=extra,
    )
    return CommandConnection(config)


def read_secret(variable: str | None = None) -> str:
    """Return the client secret from the environment, or from a prompt if the usual variable is not set.

    :param variable: the name of another variable, without which there is no prompt.
    :raises IntacctConfigError: if there is none.
    """
    secret = os.environ.get(variable or SECRET_VARIABLE)
    if not secret and not variable:
        with suppress(EOFError):
            secret = getpass.getpass("Client secret: ")
    if not secret:
        raise IntacctConfigError(
            f"There is no client secret in the environment variable {variable or SECRET_VARIABLE}."
        )
    return secret


def find_airflow_connection(conn_id: str) -> Any:
    """Return an Airflow connection, wherever Airflow keeps it.

    :raises IntacctConfigError: if it cannot be read.
    """
    # As in Airflow's own commands; without it Airflow looks for connections in the environment only.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        from intacct_provider.hooks.intacct import IntacctHook

        return IntacctHook.get_connection(conn_id)
    except Exception as err:
        raise IntacctConfigError(
            f"The connection {conn_id!r} cannot be read ({type(err).__name__})."
        ) from err


def _read_airflow_connection(conn_id: str, entity_id: str | None) -> CommandConnection:
    find_airflow_connection(conn_id)  # its error names the connection, whatever is wrong with it
    from intacct_provider.hooks.credential_store import find_credential_store
    from intacct_provider.hooks.intacct import IntacctHook

    config = IntacctHook(conn_id, entity_id).config
    return CommandConnection(config, find_credential_store(config.credential_store, conn_id))
