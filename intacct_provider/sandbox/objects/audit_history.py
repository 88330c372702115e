"""The audit history, which can be queried: a row for each created or deleted record and for each changed field.

It is kept as odd as Sage's: keys are not numbers, customers appear by id and other records by key, and rows have no
audit stamps of their own, only ``changeSource.accessDateTime``.
"""

from __future__ import annotations

from intacct_provider.sandbox.objects.definitions import HIDDEN_ENTITY_REF, KEY, Field, ObjectType

AUDIT_HISTORY = ObjectType(
    "company-config/audit-history",
    (
        KEY,
        Field("changeDetails.objectName", read_only=True),
        Field("changeDetails.objectId", read_only=True),
        Field("changeDetails.fieldName", read_only=True),
        Field("changeDetails.previousValue", read_only=True),
        Field("changeDetails.newValue", read_only=True),
        Field("changeSource.completedBy", read_only=True),
        Field("changeSource.accessDateTime", format="date-time", read_only=True),
        Field("changeSource.actionPerformed", enum=("create", "modify", "delete"), read_only=True),
        HIDDEN_ENTITY_REF,
    ),
)

# The id of a customer: from an event that changes it, else from the record, else from the event of its deletion.
_CUSTOMER_ID = """COALESCE(
        json_extract(h.changes, '$.id[0]'), json_extract(h.changes, '$.id[1]'),
        (SELECT c."id" FROM "accounts-receivable/customer" c WHERE c."key" = h.key),
        (SELECT json_extract(d.changes, '$.id[0]') FROM "ia::history" d
         WHERE d.object = h.object AND d.key = h.key AND d.action = 'deleted')
    )"""

VIEW = f"""
DROP VIEW IF EXISTS "{AUDIT_HISTORY.name}";
CREATE VIEW "{AUDIT_HISTORY.name}" AS SELECT
    hex(h.number || ':' || COALESCE(f.key, '')) AS "key",
    h.object AS "changeDetails.objectName",
    CASE h.object WHEN 'accounts-receivable/customer' THEN {_CUSTOMER_ID} ELSE CAST(h.key AS TEXT) END
        AS "changeDetails.objectId",
    f.key AS "changeDetails.fieldName",
    CAST(json_extract(f.value, '$[0]') AS TEXT) AS "changeDetails.previousValue",
    CAST(json_extract(f.value, '$[1]') AS TEXT) AS "changeDetails.newValue",
    u."id" AS "changeSource.completedBy",
    h.moment AS "changeSource.accessDateTime",
    CASE h.action WHEN 'created' THEN 'create' WHEN 'modified' THEN 'modify' ELSE 'delete' END
        AS "changeSource.actionPerformed",
    NULL AS "entity.key"
FROM "ia::history" h
LEFT JOIN "company-config/user" u ON u."key" = h.user
LEFT JOIN json_each(h.changes) f ON h.action = 'modified';
"""  # noqa: S608 - names of ours
"""The SQL view of the object, on the events of :mod:`~intacct_provider.sandbox.records.audit`."""
