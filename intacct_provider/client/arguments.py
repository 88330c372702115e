"""Checks of arguments, with messages that say what to give instead."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral
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


def as_plain_number(value: Any) -> Any:
    """Return a whole number of another library, such as numpy's, as one of Python; anything else as it is."""
    is_foreign = isinstance(value, Integral) and not isinstance(value, int)
    return int(value) if is_foreign else value


def read_id(name: str, value: Any) -> Any:
    """Return an id as text, of which a template that renders native objects makes a number; anything else as it is.

    :raises IntacctArgumentError: for a fraction, since ``1000.0`` may have been ``1e3``.
    """
    if isinstance(value, float | Decimal):
        raise IntacctArgumentError(
            f"{name} must be text, not {value!r}: Airflow's render_template_as_native_obj makes numbers of texts that "
            "look like one. Put quotes into the text, as in \"'1e3'\"."
        )
    return value if isinstance(value, bool) or not isinstance(value, Integral) else str(int(value))
