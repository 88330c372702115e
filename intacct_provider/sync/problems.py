"""How a wrong desired state is reported: every problem at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from intacct_provider.client.errors import IntacctArgumentError

#: More than this and a log line stops being read.
MOST_SHOWN = 10


def refuse(source: str, problems: Sequence[str]) -> NoReturn:
    """Raise one error for all problems; at most 10 are spelled out and the rest are counted.

    :param source: name of the file or argument that is wrong.
    :param problems: one sentence each, in the order of the records, beginning with the place.
    :raises IntacctArgumentError: always.
    """
    if len(problems) == 1:
        raise IntacctArgumentError(f"{source}: {problems[0]}")
    lines = [f"  {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"  and {len(problems) - MOST_SHOWN} more")
    raise IntacctArgumentError("\n".join([f"{source}: {len(problems)} problems", *lines]))


def shown(value: Any) -> str:
    """Return a value as an error message shows it: on one line and at most 60 characters long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
