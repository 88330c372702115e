"""What Intacct's audit history knows about deleted records."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import (
    IntacctIncompleteReadError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctValidationError,
)

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

AUDIT_HISTORY = "company-config/audit-history"
#: Sage says that it may take two hours until a change shows.
LATE = dt.timedelta(hours=3)
#: What says that the history cannot be had, and that the keys must tell.
REFUSALS = (
    IntacctPermissionError,
    IntacctNotFoundError,
    IntacctValidationError,
    IntacctIncompleteReadError,
)

_OBJECT = "changeDetails.objectName"
_WHOSE = "changeDetails.objectId"
_ACTION = "changeSource.actionPerformed"
_MOMENT = "changeSource.accessDateTime"


class AuditHistory:
    """The deletions of one object's records.

    The history names records of some objects by key and of others by id, does not know every object, and forgets in
    its own time; what it tells is no more than a hint.
    """

    def __init__(self, client: IntacctClient, object_name: str) -> None:
        self._client = client
        self._object_name = object_name

    def latest(self) -> str | None:
        """Return the moment of the latest entry about anything; None if there is none.

        :raises IntacctAPIError: one of :data:`REFUSALS` where the user may not read it.
        """
        page = self._client.query(
            AUDIT_HISTORY,
            [_MOMENT],
            filters=field(_MOMENT).is_not_null(),
            order_by=[{_MOMENT: "desc"}],
            size=1,
        )
        return str(page.rows[0][_MOMENT]) if page.rows else None

    def deletions(self, since: str | None) -> dict[str, str]:
        """Return the moment of the last deletion by whatever the history calls the record: its key or its id.

        :param since: the moment to begin at, less :data:`LATE`; None for all that it knows.
        """
        wanted = (field(_OBJECT) == self._object_name) & (field(_ACTION) == "delete")
        if since is not None:
            wanted &= field(_MOMENT) >= dt.datetime.fromisoformat(since) - LATE
        found: dict[str, str] = {}
        # In an order of its own, since its keys are no numbers, which would take a call to find out.
        rows = self._client.iter_rows(
            AUDIT_HISTORY, [_WHOSE, _MOMENT], filters=wanted, order_by=[{_MOMENT: "asc"}]
        )
        for row in rows:
            whose, moment = str(row[_WHOSE]), str(row[_MOMENT])
            found[whose] = max(moment, found.get(whose, ""))
        return found
