"""The paths of objects and records on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from intacct_provider.client.query.request import check_object_name
from intacct_provider.exceptions import IntacctArgumentError


def collection_path(object_name: str) -> str:
    """Return the path of an object's records.

    :raises IntacctArgumentError: if the name cannot be an object's path.
    """
    check_object_name(object_name)
    return f"/objects/{quote(object_name, safe='/:')}"


def record_path(object_name: str, keys: Sequence[str]) -> str:
    """Return the path of one record, or of several at once.

    :raises IntacctArgumentError: if a key cannot be one.
    """
    check_keys(keys)
    return f"{collection_path(object_name)}/{','.join(quote(str(key), safe='') for key in keys)}"


def check_keys(keys: Sequence[str]) -> None:
    """Reject what cannot be the key of a record.

    :raises IntacctArgumentError: for the first such key.
    """
    for key in keys:
        if not str(key).strip() or "," in str(key):
            raise IntacctArgumentError(
                f"key must be a record's key, such as '24', not {key!r}; look the key up with "
                "client.find(), or give an operator record_id."
            )
