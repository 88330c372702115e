"""Which objects of a company are captured: those whose paths match the patterns of ``--objects``."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from intacct_provider.client.query.request import check_object_name
from intacct_provider.client.spelling import find_nearest
from intacct_provider.exceptions import IntacctArgumentError

_WILDCARDS = frozenset("*?[")


def split_patterns(text: str) -> list[str]:
    """Return the patterns that a list, separated by commas, consists of.

    :raises IntacctArgumentError: if there is none.
    """
    patterns = [part.strip().removeprefix("objects/") for part in text.split(",") if part.strip()]
    if not patterns:
        raise IntacctArgumentError('--objects names no object; give paths such as "accounts-receivable/*".')
    return list(dict.fromkeys(patterns))


def select_objects(patterns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the objects that match, sorted.

    :param known: the objects of the company.
    :raises IntacctArgumentError: for a pattern without a match, naming the nearest object or application.
    """
    if not known:
        raise IntacctArgumentError(
            "The company lists no objects for this user, so nothing is captured; may the user see any?"
        )
    found: set[str] = set()
    for pattern in patterns:
        matches = [name for name in known if fnmatchcase(name, pattern)]
        if not matches:
            raise IntacctArgumentError(f"No object matches {pattern!r}.{_suggest(pattern, known)}")
        found.update(matches)
    return sorted(found)


def can_be_captured(name: str) -> bool:
    """Whether the name of an object is a path that the client and the sandbox can use."""
    try:
        check_object_name(name)
    except IntacctArgumentError:
        return False
    return '"' not in name


def select_named(patterns: Sequence[str], reason: str) -> list[str]:
    """Return the objects that are named in full, when the objects of the company cannot be listed.

    :param reason: why they cannot.
    :raises IntacctArgumentError: for a pattern with wildcards.
    """
    for pattern in patterns:
        if _WILDCARDS & set(pattern):
            raise IntacctArgumentError(
                f"The objects of the company cannot be listed ({reason}), so {pattern!r} matches nothing. "
                "Name each object in full, such as accounts-receivable/customer."
            )
        check_object_name(pattern)
    return sorted(set(patterns))


def _suggest(pattern: str, known: Sequence[str]) -> str:
    """Return what to write instead of a pattern that nothing matches."""
    whole_applications = {f"{name.partition('/')[0]}/*" for name in known}
    nearest = find_nearest(pattern, [*known, *whole_applications])
    return f" Did you mean {nearest!r}?" if nearest else ' Give --objects "*" to capture all.'
