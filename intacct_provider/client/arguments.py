"""Checks of arguments, with messages that say what to give instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Reject an argument that is not one of its choices.

    :raises IntacctArgumentError: naming the choices, and the closest one.
    """
    known = tuple(choices)
    if value not in known:
        raise IntacctArgumentError(
            f"{name} must be one of {', '.join(known)}, not {value!r}.{did_you_mean(str(value), known)}"
        )


def check_whole_number(name: str, value: Any, *, low: int = 1, high: int | None = None) -> None:
    """Reject an argument that is not a whole number within its limits.

    :raises IntacctArgumentError: naming the limits.
    """
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= (high or value):
        return
    limits = f"of {low} or more" if high is None else f"from {low} to {high}"
    raise IntacctArgumentError(f"{name} must be a whole number {limits}, not {value!r}.")
