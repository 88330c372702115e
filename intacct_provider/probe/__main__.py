"""``python -m intacct_provider.probe``: which assumptions of the provider hold for a company, asked read-only.

Exit codes: 0 if no assumption is contradicted, 1 if one is, if the company cannot be reached or if something that
``--write`` created is left, 2 for invalid options.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from intacct_provider.cli_connection import (
    CommandConnection,
    add_connection_arguments,
    check_connection_options,
    parse_number,
    read_connection,
    run_command,
)
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.http.transport import ENTITY_HEADER, Transport
from intacct_provider.client.query.request import check_object_name
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, Answer
from intacct_provider.probe.asking import Asker
from intacct_provider.probe.confirm import confirm_writes
from intacct_provider.probe.objects import DEFAULT_OBJECTS
from intacct_provider.probe.report import build_report, format_table, write_report
from intacct_provider.probe.run import run_inquiry, run_writes

#: HTTP requests at most, by default: of reads, and with writes.
MAX_REQUESTS, MAX_WITH_WRITES = 40, 70
_CLEAN = "Everything that the probe created is deleted: a query finds none of it."
_NOT_CLEAN = (
    "It was not shown that all records are deleted that the probe created: look for ids that begin with PRB."
)
#: Short, because each retry counts.
_RETRY = RetryPolicy(attempts=3, base=1.0, longest=10.0, budget=60.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, show the table, write the report and return the exit code."""
    options = parse_arguments(arguments)
    return run_command("probe", lambda: probe(options))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; argparse itself exits with 2 for invalid options."""
    parser = argparse.ArgumentParser(
        prog="python -m intacct_provider.probe",
        description="Ask a Sage Intacct company, read-only, which assumptions of the provider hold.",
    )
    add_connection_arguments(parser)
    parser.add_argument(
        "--objects",
        metavar="NAME,NAME",
        type=_parse_objects,
        default=list(DEFAULT_OBJECTS),
        help=f"objects to ask about (default: {','.join(DEFAULT_OBJECTS)})",
    )
    parser.add_argument(
        "--max-requests",
        metavar="N",
        type=parse_number(1),
        help="HTTP requests at most, tokens and retries included "
        f"(default: {MAX_REQUESTS}, or {MAX_WITH_WRITES} with --write)",
    )
    parser.add_argument(
        "--write",
        metavar="OBJECT",
        type=_parse_object,
        help="also write records of this object in a test company, and delete them again; asks twice before it does",
    )
    parser.add_argument("--report", metavar="FILE", help="write the answers to this file as JSON")
    options = parser.parse_args(arguments)
    check_connection_options(parser, options)
    return options


def _parse_objects(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("name at least one object, such as accounts-receivable/customer")
    return [_parse_object(name) for name in names]


def _parse_object(name: str) -> str:
    try:
        check_object_name(name)
    except IntacctArgumentError as err:
        raise argparse.ArgumentTypeError(str(err)) from None
    return name


def probe(options: argparse.Namespace) -> int:
    """Ask the company that the options name, and return the exit code.

    :raises IntacctError: if it cannot be reached.
    :raises OSError: if the report cannot be written.
    """
    connection = read_connection(options)
    transport = Transport(connection.config, store=connection.store, retry=_RETRY)
    try:
        return run(connection, transport, options)
    finally:
        transport.close()


def run(connection: CommandConnection, transport: Transport, options: argparse.Namespace) -> int:
    """Ask the company, and return the exit code.

    :raises IntacctError: if it cannot be reached.
    :raises OSError: if the report cannot be written.
    """
    config, writing = connection.config, options.write
    if writing and not confirm_writes(config, writing):
        print("intacct probe: the answers do not match, so nothing was sent.", file=sys.stderr)
        return 1
    limit = options.max_requests or (MAX_WITH_WRITES if writing else MAX_REQUESTS)
    print(f"At most {limit} requests{'' if writing else ', which read and never write'}:")
    headers = {ENTITY_HEADER: config.entity_id} if config.entity_id else {}
    asker = Asker(transport, headers, limit, print)
    inquiry = run_inquiry(asker, config, options.objects)
    clean = not writing or run_writes(inquiry, writing)
    answers = inquiry.finish(with_writes=bool(writing))
    print(f"\nEntity reached: {_describe_entity(answers, config.entity_id)}\n")
    print(format_table(answers))
    if writing:
        print(_CLEAN if clean else _NOT_CLEAN)
    if options.report:
        write_report(options.report, build_report(answers, asker, {"cleanedUp": clean} if writing else {}))
        print(f"The report is in {options.report}.")
    contradicted = any(answer.finding.answer == CONTRADICTED for answer in answers)
    return int(contradicted or not clean)


def _describe_entity(answers: Sequence[Answer], entity: str) -> str:
    """Return what the requests ran in, as far as it is known."""
    if not entity:
        return "none is configured, so the top level or that of the token"
    holds = any(one.assumption.id == "entity-header" and one.finding.answer == HOLDS for one in answers)
    return f"{entity!r}" if holds else f"{entity!r} is configured; that its header has an effect was not seen"


if __name__ == "__main__":
    sys.exit(main())
