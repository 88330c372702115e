"""A company that shares no code with the sandbox and can differ from it in one behavior: it answers reads only."""

import json
import re

from raw_server import TOKEN, response

CUSTOMER, GROUP = "accounts-receivable/customer", "accounts-receivable/customer-group"
ACCOUNT_GROUP, PURPOSE = "general-ledger/account-group", "general-ledger/account-group-purpose"
HISTORY = "company-config/audit-history"
COUNTS = {CUSTOMER: 25, GROUP: 12, ACCOUNT_GROUP: 14, PURPOSE: 3}
#: What only records have: no report and no terminal may have it.
MARKERS = ("Zanzibar Trading", "ZZ-MARK", "98765.43", "zanzibar@example.com")
FIELDS = {
    "key": "string", "id": "string", "name": "string", "totalDue": "string", "email": "string",
    "comments": "string",
}  # fmt: skip


def make_record(number, *, private=False):
    """Return a record as flat names; each one without comments."""
    return {
        "key": str(number),
        "id": f"ZZ-MARK{number:05}",
        "name": f"Zanzibar Trading {number}",
        "totalDue": "98765.43",
        "email": "zanzibar@example.com",
        "comments": None,
        "term.id": "N30",
        "audit.createdDateTime": f"2025-05-{number % 27 + 1:02}T10:00:00Z",
        "audit.modifiedDateTime": f"2025-06-{number % 27 + 1:02}T10:00:00Z",
        "private": private,
    }


class ForeignCompany:
    """Answers requests; ``how`` has what differs.

    ``text_order`` and ``text_filter``: objects whose keys are text; ``missing``: objects that answer 404; ``clamp``
    and ``refuse``: the largest page; ``size_said``: whether pages say their size; ``nulls``: whether nulls are in rows;
    ``ids``: whether errors have ids; ``refused``: fields that a query refuses; ``flags``: of fields in models;
    ``headers``: of each response.
    """

    def __init__(self, counts=COUNTS, first_key=1, **how):
        self.how = {"nulls": True, "ids": True, "size_said": True, **how}
        self.records = {
            name: [make_record(number) for number in range(first_key, first_key + count)]
            for name, count in counts.items()
        }
        self.records[CUSTOMER] += [make_record(9000, private=True)]
        self.paths = []

    def among(self, what, name):
        """Whether something differs for an object."""
        return name in self.how.get(what, ())

    def answer(self, head, body):
        """Return the bytes of a response."""
        line, *lines = head.split("\r\n")
        path = line.split(" ")[1].removeprefix("/ia/api/v1")
        self.paths.append(path)
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "GW-0040")
        status, content = self.query(json.loads(body), headers) if "/query" in path else self.model(path)
        more = {"X-IA-Throttle-Limit": "8", "X-IA-TENANT-Throttle-Limit": "10"}
        return response(content, status, **self.how.get("headers", more))

    def refuse(self, status, error_id, names=None):
        """Return a refusal as bytes."""
        return response(self.error(error_id, names), status)

    def error(self, error_id, field=None):
        """Return the body of an error, with or without its id."""
        code = error_id if self.how["ids"] else "invalidRequest"
        error = {"code": code, "message": f"Zanzibar Trading: {field or 'no'}", "errorId": code}
        if not self.how["ids"]:
            del error["errorId"]
        return {"ia::error": error}

    def model(self, path):
        name = re.search(r"name=([^&]*)", path)[1].replace("%2F", "/")
        if name not in self.records or self.among("missing", name):
            return 200, {"ia::result": [], "ia::meta": {"totalCount": 0}}
        time = {"type": "string", "format": "date-time", "readOnly": True}
        groups = {"audit": {"fields": {"createdDateTime": time, "modifiedDateTime": time}}}
        refs = {"term": {"apiObject": "accounts-receivable/term", "fields": {"id": {"type": "string"}}}}
        flags = self.how.get("flags", {})
        fields = {name: {"type": kind, **flags.get(name, {})} for name, kind in FIELDS.items()}
        fields |= {one: {"type": "string"} for one in self.how.get("refused", ())} | {
            "webURL": {"type": "string"}
        }
        model = {"fields": fields, "groups": groups, "refs": refs, "lists": [], "idempotenceSupported": True}
        return 200, {"ia::result": model}

    def query(self, body, headers):
        name, fields = body["object"], body["fields"]
        if name not in self.records or self.among("missing", name):
            return 404, self.error("REST-1000")
        if "no-such-entity" in headers.get("x-ia-api-param-entity", ""):
            return 400, self.error("REST-1001")
        size, start = body.get("size", 100), body.get("start", 1)
        if size > self.how.get("refuse", 4000) and "clamp" not in self.how:
            return 400, self.error("REST-1002")
        size = min(size, self.how.get("clamp", size))
        if "count:key" in fields:
            return 200, {
                "ia::result": [{"count:key": len(self.matching(body))}],
                "ia::meta": {"totalCount": 1},
            }
        known = {*make_record(1), "webURL", "href"} - {"private"}
        wrong = [one for one in fields if one not in known]
        if wrong and not self.how.get("lenient"):
            return 400, self.error("REST-1106", wrong[0])
        rows = self.matching(body)
        for [(field, direction)] in map(dict.items, reversed(body.get("orderBy") or [])):
            is_number = field == "key" and not self.among("text_order", name)
            rows.sort(
                key=lambda row: int(row[field]) if is_number else row[field], reverse=direction == "desc"
            )
        page = rows[start - 1 : start - 1 + size]
        following = start + size if start + size <= len(rows) else None
        meta = {
            "totalCount": len(rows),
            "start": start,
            "pageSize": size,
            "next": following,
            "previous": None,
        }
        if not self.how["size_said"]:
            del meta["pageSize"]
        return 200, {"ia::result": [self.show(row, fields) for row in page], "ia::meta": meta}

    def show(self, row, fields):
        """Return the fields of a row that were asked for."""
        shown = {one: row.get(one) for one in fields}
        return {one: value for one, value in shown.items() if value is not None or self.how["nulls"]}

    def matching(self, body):
        """Return the records that a query matches."""
        parameters = body.get("filterParameters") or {}
        rows = [
            row
            for row in self.records[body["object"]]
            if parameters.get("includePrivate") or not row["private"]
        ]
        for [(operator, operand)] in map(dict.items, body.get("filters") or []):
            [(field, value)] = operand.items()
            as_number = field == "key" and not self.among("text_filter", body["object"])
            rows = [row for row in rows if self.fits(row[field], operator, value, as_number, parameters)]
        return rows

    def fits(self, found, operator, value, as_number, parameters):
        """Whether a value fits a condition."""
        if value == "currentYear":
            return found[:4] == parameters["asOfDate"][:4]
        change = int if as_number else str
        if parameters.get("caseSensitiveComparison") is False:
            change = lambda text: str(text).casefold()  # noqa: E731
        if operator == "$in":
            return change(found) in map(change, value)
        if value is None:
            return found is not None
        found, value = change(found), change(value)
        return {"$eq": found == value, "$gte": found >= value, "$lte": found <= value, "$gt": found > value}[
            operator
        ]
