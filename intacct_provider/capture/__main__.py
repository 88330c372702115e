"""``python -m intacct_provider.sandbox capture``: write the shape of a company into a file for the sandbox.

Exit codes: 0 if the file is written, 1 with one line on stderr if it is not, 2 for invalid options. It only reads:
models, the numbers of records and of entities, and with ``--sample`` the forms of values. No record is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from intacct_provider.capture.company_document import list_changes, read_earlier, write_document
from intacct_provider.capture.selection import split_patterns
from intacct_provider.cli_connection import (
    add_connection_arguments,
    check_connection_options,
    parse_number,
    read_connection,
    run_command,
)

#: Calls that may be billed at most, and records of an object whose forms are taken, if the options name no numbers.
_MAX_CALLS, _SAMPLE = 200, 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Capture a company; return the exit code."""
    options = parse_arguments(arguments)
    return run_command("capture", lambda: capture(options))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; argparse itself exits with 2 for invalid options."""
    parser = argparse.ArgumentParser(
        prog="python -m intacct_provider.sandbox capture",
        description="Write the models of a company into a file that the sandbox can run. No records are written.",
    )
    add_connection_arguments(parser)
    parser.add_argument(
        "--objects",
        required=True,
        metavar="PATTERNS",
        help='paths of objects, separated by commas; * stands for anything, as in "accounts-receivable/*"',
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace --out even if it is not a captured company"
    )
    parser.add_argument(
        "--no-counts", action="store_true", help="do not count records; saves a call per object"
    )
    parser.add_argument(
        "--sample",
        type=parse_number(1, 4000),
        nargs="?",
        const=_SAMPLE,
        default=0,
        metavar="N",
        help="also take lengths, patterns and shares of nulls from N records of each object, and no values "
        f"(default: {_SAMPLE})",
    )
    parser.add_argument(
        "--max-calls",
        type=parse_number(1, 100_000),
        default=_MAX_CALLS,
        metavar="N",
        help=f"calls that may be billed at most (default: {_MAX_CALLS})",
    )
    options = parser.parse_args(arguments)
    check_connection_options(parser, options)
    return options


def capture(options: argparse.Namespace) -> int:
    """Read the company that the options name, and write the file; return the exit code.

    :raises IntacctError: if that fails; then no file is written.
    """
    from intacct_provider.capture.reading import Request, read_company

    patterns = split_patterns(options.objects)
    earlier = read_earlier(options.out, overwrite=options.overwrite)
    request = Request(patterns, options.max_calls, counts=not options.no_counts, sample=options.sample)
    with read_connection(options).open_client() as client:
        document = read_company(client, request, print)
        calls = client.transactions
    write_document(options.out, document)
    print(f"Wrote {options.out}: {len(document['objects'])} objects, {calls} calls.")
    if earlier is not None:
        changes = list(list_changes(earlier, document))
        print("Since the capture before:" if changes else "No model has changed since the capture before.")
        print(*changes, sep="\n", end="\n" if changes else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
