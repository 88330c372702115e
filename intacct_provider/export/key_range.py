"""A range of keys, which one of several tasks exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from intacct_provider.client.keys import as_number
from intacct_provider.exceptions import IntacctArgumentError


class KeyRange(msgspec.Struct, frozen=True):
    """One of the ranges of a plan: the records with ``above < key <= upto``.

    :param number: from 1.
    :param of: how many ranges the plan has.
    :param above: None for the first range.
    :param upto: None for the last range, so that records created after the plan are not lost.
    """

    number: int
    of: int
    above: str | None
    upto: str | None

    @property
    def label(self) -> str:
        """What the file names of the range's parts have in them."""
        return range_label(self.number)

    @classmethod
    def parse(cls, given: Any) -> KeyRange:
        """Return the range that a task was given.

        :raises IntacctArgumentError: unless it is one that :class:`IntacctKeyRangesOperator` returns.
        """
        names = cls.__struct_fields__
        if not isinstance(given, Mapping) or set(given) != set(names):
            raise IntacctArgumentError(
                f"key_range must be one of the ranges that IntacctKeyRangesOperator returns, with {', '.join(names)}, "
                f"not {given!r}."
            )
        number, of, above, upto = (given[name] for name in names)
        numbered = isinstance(number, int) and isinstance(of, int) and 1 <= number <= of
        # Only the ends are open: a plan with a gap would lose records silently.
        open_ends = numbered and (above is None) == (number == 1) and (upto is None) == (number == of)
        low, high = (as_number(one) if isinstance(one, str) else None for one in (above, upto))
        if not open_ends or (low is None and above is not None) or (high is None and upto is not None):
            raise IntacctArgumentError(
                f"key_range {dict(given)!r} is not one that IntacctKeyRangesOperator makes: number from 1 to of, above "
                "and upto keys, with None for above of the first range and for upto of the last one only."
            )
        if low is not None and high is not None and low >= high:
            raise IntacctArgumentError(f"key_range is empty: no key is above {above} and up to {upto}.")
        return cls(number, of, above, upto)


def range_label(number: int) -> str:
    """Return what the file names of a range have in them, such as ``r00003``."""
    return f"r{number:05}"
