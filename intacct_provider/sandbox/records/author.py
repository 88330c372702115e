"""Who writes a record, and the audit stamps of a write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.values import stamp

Columns = dict[str, object]
"""The values that a write sets, by column."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when.

    :param user: key of the user.
    :param entity: key of the entity; ``None`` for the top level.
    """

    user: int
    entity: int | None
    now: datetime


def audit_stamps(object_type: ObjectType, author: Author, *, created: bool) -> Columns:
    """Return the audit columns of a write; empty for an object that has none."""
    if object_type.field("audit.createdDateTime") is None:
        return {}
    values = {"DateTime": stamp(author.now), "By": str(author.user), "ByUser.key": author.user}
    verbs = ("created", "modified") if created else ("modified",)
    return {f"audit.{verb}{name}": value for verb in verbs for name, value in values.items()}
