"""What Intacct's audit history says about deleted records."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctIncompleteReadError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctValidationError,
)
from intacct_provider.export.incremental.latest import is_after, read_latest

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

AUDIT_HISTORY = "company-config/audit-history"
#: Sage says that it may take two hours until a change appears; others have seen deletions after two and a half.
LATE = dt.timedelta(hours=3)
#: Errors that mean that the history cannot be read, so that keys are compared.
REFUSALS = (
    IntacctPermissionError,
    IntacctNotFoundError,
    IntacctValidationError,
    IntacctIncompleteReadError,
)

_OBJECT = "changeDetails.objectName"
_RECORD = "changeDetails.objectId"
_ACTION = "changeSource.actionPerformed"
_TIME = "changeSource.accessDateTime"


class AuditHistory:
    """The deletions of one object's records.

    The history names records of some objects by key and of others by id, does not cover every object, and forgets at
    some time; an entry is no more than a hint.
    """

    def __init__(self, client: IntacctClient, object_name: str) -> None:
        self._client = client
        self._object_name = object_name

    def read_latest(self) -> str | None:
        """Return the time of the latest entry about any object that is not in the future; None if there is none.

        :raises IntacctAPIError: one of :data:`REFUSALS` where the user may not read it.
        """
        return read_latest(self._client, Query.build(AUDIT_HISTORY, [_TIME]), _TIME).past

    def read_deletions(self, since: str | None) -> dict[str, str]:
        """Return the time of the last deletion by what the history calls the record: its key or its id.

        :param since: the time to begin at, less :data:`LATE`; None, or a time in the future, for all entries.
        """
        wanted = (field(_OBJECT) == self._object_name) & (field(_ACTION) == "delete")
        if since is not None and not is_in_future(since):
            wanted &= field(_TIME) >= dt.datetime.fromisoformat(since) - LATE
        found: dict[str, str] = {}
        # With an order, since its keys are not numbers and finding that out would take a call.
        query = Query.build(AUDIT_HISTORY, [_RECORD, _TIME], filters=wanted, order_by=[{_TIME: "asc"}])
        for row in self._client.iter_rows(query.trust_values()):
            record, time = str(row[_RECORD]), str(row[_TIME])
            found[record] = max(time, found.get(record, ""))
        return found


def is_in_future(time: str) -> bool:
    """Whether a time is later than this machine's clock; nothing was deleted then."""
    return is_after(time, dt.datetime.now(dt.UTC))
