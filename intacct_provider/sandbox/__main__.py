"""``python -m intacct_provider.sandbox``: a local Sage Intacct for trying DAGs.

Exit codes: 0 after SIGINT or SIGTERM, 2 if it cannot start, with the reason in one line on stderr. With ``capture`` as
its first argument it is another command: :mod:`intacct_provider.capture.__main__`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from intacct_provider.sandbox.identity import CLIENT_SECRET
from intacct_provider.sandbox.server import HOST, Sandbox
from intacct_provider.sandbox.state import TIERS
from intacct_provider.sandbox.store import MEMORY

SECRET_VARIABLE = "INTACCT_SANDBOX_CLIENT_SECRET"  # noqa: S105 - a variable name
FAULTS_VARIABLE = "INTACCT_SANDBOX_FAULTS"
#: Named rather than imported, because the sandbox itself shares no code with the client, which this command uses.
CAPTURE = "intacct_provider.capture.__main__"


class StartError(Exception):
    """The sandbox cannot start; the message goes to stderr."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["capture"]:
        exit_code: int = importlib.import_module(CAPTURE).main(given[1:])
        return exit_code
    options = parse_arguments(given)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = start(options)
    except StartError as error:
        print(f"intacct sandbox: {error}", file=sys.stderr)
        return 2
    try:
        print_connection(sandbox)
        stop.wait()
    finally:
        sandbox.stop()
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; argparse itself exits with 2 on an unknown option."""
    parser = argparse.ArgumentParser(
        prog="python -m intacct_provider.sandbox",
        description="A local Sage Intacct on 127.0.0.1. "
        'The command "capture" takes the models of a real company instead; see "capture --help".',
    )
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow a --host that other machines can reach"
    )
    parser.add_argument("--port", type=parse_port, default=8765, help="0 for any free port (default: 8765)")
    parser.add_argument(
        "--db", default=MEMORY, metavar="PATH", help="file that stores the company (default: in memory)"
    )
    parser.add_argument(
        "--seed",
        default="demo",
        metavar="demo|empty|OBJECT=N",
        help="initial records of a company; separate several OBJECT=N with commas (default: demo)",
    )
    parser.add_argument(
        "--company",
        metavar="FILE|shipped",
        help="run the objects of this company file, by their models, besides the built-in ones; shipped for the models "
        "that the package has",
    )
    parser.add_argument(
        "--tier", type=int, choices=TIERS, default=1, help="Sage's performance tier (default: 1)"
    )
    parser.add_argument(
        "--faults",
        default=os.environ.get(FAULTS_VARIABLE) or "{}",
        metavar="JSON",
        help=f"what goes wrong, such as '{{\"latency\": 0.2}}' (default: the variable {FAULTS_VARIABLE})",
    )
    parser.add_argument(
        "--variant",
        default="",
        metavar="NAME,NAME",
        help="how the company differs from the default, such as keys-order-as-text; see docs/sandbox.md",
    )
    parser.add_argument(
        "--control", action="store_true", help="let clients change the faults at /sandbox/faults"
    )
    return parser.parse_args(arguments)


def parse_port(text: str) -> int:
    """Return a port number, for argparse."""
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


def start(options: argparse.Namespace) -> Sandbox:
    """Start a sandbox and return it.

    :raises StartError: if an option is invalid, the database cannot be opened or the port is in use.
    """
    secret = os.environ.get(SECRET_VARIABLE) or CLIENT_SECRET
    try:
        sandbox = Sandbox(
            port=options.port,
            db=options.db,
            seed=options.seed,
            client_secret=secret,
            tier=options.tier,
            faults=options.faults,
            variant=options.variant,
            control=options.control,
            host=options.host,
            allow_remote=options.allow_remote,
            company=options.company,
        )
    except sqlite3.Error as error:
        raise StartError(f"cannot open the database {options.db}: {error}") from None
    except ValueError as error:
        raise StartError(str(error)) from None
    try:
        sandbox.start()
    except OSError as error:
        raise StartError(f"cannot listen on {options.host}, port {options.port}: {error.strerror}") from None
    except ValueError as error:
        raise StartError(str(error)) from None
    return sandbox


def print_connection(sandbox: Sandbox) -> None:
    """Print the address of the sandbox and the connection for Airflow, without the user's own secret."""
    identity = sandbox.identity
    connection = json.loads(sandbox.connection())
    if identity.client_secret != CLIENT_SECRET:
        connection["password"] = f"<the value of {SECRET_VARIABLE}>"
    command = (
        "airflow connections add intacct_default --conn-type intacct"
        f" --conn-host {connection['host']} --conn-login {connection['login']}"
        f" --conn-password '{connection['password']}' --conn-extra '{json.dumps(connection['extra'])}'"
    )
    lines = [
        f"Sage Intacct sandbox ready: {sandbox.url}",
        f"  company {identity.company}, user {identity.user}, client id {identity.client_id}",
        f"  look around: {sandbox.site}",
        "The connection for Airflow, in three forms; use one of them:",
        f"  export AIRFLOW_CONN_INTACCT_DEFAULT='{json.dumps(connection)}'",
        f"  export AIRFLOW_CONN_INTACCT_DEFAULT='{connection_uri(connection)}'",
        f"  {command}",
    ]
    changed = sandbox.faults.changed()
    if changed:
        lines.append(f"Faults that are on: {json.dumps(changed)}")
    lines.append("Stop it with Ctrl+C.")
    # A single write, because a reader may close the pipe after the first line.
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def connection_uri(connection: Mapping[str, Any]) -> str:
    """Return a connection in Airflow's URI form, in which a host that is a URL must be quoted."""
    login, password, host = (quote(connection[part], safe="") for part in ("login", "password", "host"))
    return f"{connection['conn_type']}://{login}:{password}@{host}/?{urlencode(connection['extra'])}"


if __name__ == "__main__":
    sys.exit(main())
