"""The paths of objects and records on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from intacct_provider.client.arguments import as_plain_number
from intacct_provider.client.keys import as_number
from intacct_provider.client.query.request import check_object_name
from intacct_provider.exceptions import IntacctArgumentError

#: In a key, what separates keys or paths; a server or proxy may decode it before it looks at the path.
_LEADS_ELSEWHERE = re.compile(r"[,/\\%?#]")


def collection_path(object_name: str) -> str:
    """Return the path of an object's records.

    :raises IntacctArgumentError: if the name cannot be an object's path.
    """
    check_object_name(object_name)
    return f"/objects/{quote(object_name, safe='/:')}"


def record_path(object_name: str, keys: Sequence[str]) -> str:
    """Return the path of one record, or of several at once.

    :param keys: from :func:`check_keys`, or from Intacct.
    :raises IntacctArgumentError: if a key would lead to another place.
    """
    for key in keys:
        if not key.strip(" .") or not key.isprintable() or _LEADS_ELSEWHERE.search(key):
            raise _reject_key(key)
    return f"{collection_path(object_name)}/{','.join(quote(key, safe='') for key in keys)}"


def check_key(key: Any, where: str = "") -> str:
    """Return a key that somebody gave as text.

    :param where: it stands, such as ``keys[3]: ``, if it is not an argument itself.
    :raises IntacctArgumentError: unless it is a number: a path without a key, or with another one, leads to other
        records.
    """
    key = as_plain_number(key)
    if as_number(key) is None:
        raise _reject_key(key, where)
    return str(key)


def check_keys(keys: Iterable[Any], argument: str = "keys") -> list[str]:
    """Return keys that somebody gave in a list as text, as :func:`check_key`."""
    return [check_key(key, f"{argument}[{n}]: ") for n, key in enumerate(keys)]


def _reject_key(key: object, where: str = "") -> IntacctArgumentError:
    # Python writes no number of thousands of digits.
    long = isinstance(key, int) and key.bit_length() > 1000
    shown = "a number of hundreds of digits" if long else repr(key)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return IntacctArgumentError(
        f"{where}key must be a record's key, such as '24', not {shown}; keys are whole numbers. To name a record by "
        "its id, look the key up with client.find(), or give an operator record_id instead of key."
    )
