"""The addresses of a record: its ``href`` in the API, and its ``webURL`` in Intacct's user interface."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b

WEB_URL = "https://www.intacct.com/ia/acct/ur.phtml?.r="


def record_href(object_name: str, key: object) -> str:
    """Return the address of a record, without ``/ia/api/v1``, as at Sage."""
    return f"/objects/{object_name}/{key}"


def web_url(number: str) -> str:
    """Return the address of a record.

    It is stored with the record, so it never changes. Like Sage's, it is opaque: 32 bytes that a client can
    neither read nor predict.

    :param number: unique for each record; the same number gives the same address, so that demos are stable.
    """
    opaque = blake2b(number.encode(), digest_size=32, key=b"sandbox").digest()
    return WEB_URL + urlsafe_b64encode(opaque).decode().rstrip("=")
