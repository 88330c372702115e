"""A request to the API as its operations see it, wherever it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.objects.catalog import known_object
from intacct_provider.sandbox.objects.definitions import ObjectType

if TYPE_CHECKING:
    from starlette.datastructures import Headers, QueryParams

    from intacct_provider.sandbox.state import Call


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request, which came over HTTP or as a part of a composite request.

    :param path: below ``/ia/api/v1``, decoded
    :param call: the record of it
    :param parts: contents of a form by the names of its parts; ``None`` when the body is not a whole form
    """

    method: str
    path: str
    query: QueryParams
    headers: Headers
    body: bytes
    call: Call
    parts: Mapping[str, bytes] | None = None

    @property
    def idempotency_key(self) -> str | None:
        """The key under which the answer is kept, if the client gave one."""
        return self.headers.get("idempotency-key") or None

    @property
    def atomic(self) -> bool:
        """Whether the client wants all records of a batch written or none."""
        return self.headers.get("x-ia-api-param-transaction", "").lower() == "true"

    def allow_parameters(self, *known: str) -> None:
        """Refuse query parameters that the address does not have.

        :raises ApiError: 400 REST-1034
        """
        for name in self.query:
            if name not in known:
                text = f"{name} is not a valid query parameter"
                raise ApiError(400, "invalidRequest", text, error_id="REST-1034")


def named_object(name: str) -> ObjectType:
    """Return the object that a body names; an address that names one is another matter.

    :raises ApiError: 400 when there is none; the message names the nearest
    """
    try:
        return known_object(name[:100])
    except ValueError as unknown:
        raise invalid(str(unknown)) from None
