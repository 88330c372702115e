"""A model of Intacct that is small enough to be believed by reading it: one object, a few records, five services.

It shares no code with the sandbox and none with the client. It always answers truthfully; what goes wrong on the way is
added by :mod:`small_events`.
"""

import hashlib
import json
import operator
import re
from decimal import Decimal
from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

OBJECT = "accounts-receivable/customer"
#: Keys begin here, so that they have one digit and two: compared as text, "10" is below "9".
FIRST_KEY = 7
STAMP = "audit.modifiedDateTime"
REPLAYED = "x-ia-idempotency-cached-date"

COMPARE = {
    "$eq": operator.eq, "$ne": operator.ne, "$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt,
    "$gte": operator.ge, "$in": lambda value, some: value in some, "$notIn": lambda value, some: value not in some,
    "$startsWith": lambda value, start: str(value).startswith(start),
}  # fmt: skip
AGGREGATES = {
    "count": lambda values: str(len(values)),
    "sum": lambda values: str(sum(map(Decimal, values))),
    "min": lambda values: min(values, key=int, default=None),
    "max": lambda values: max(values, key=int, default=None),
}


class Company:
    """The records of one object, and the answers of the services that read and write them.

    :param count: number of records at the beginning.
    :param inactive: every how many records one is inactive; 0 for none.
    :param cap: rows that a page has at most, whatever was asked for; the answer says so.
    :param remembers: whether answers are kept under idempotency keys.
    """

    def __init__(self, count, inactive=0, cap=None, remembers=True):
        self.records = {}
        self.moment = 100
        self.cap, self.remembers = cap, remembers
        self.kept = {}
        self.written = []
        self.names = {}
        self.jobs = {}
        self.next_key = FIRST_KEY
        for n in range(count):
            self.add(status="inactive" if inactive and n % inactive == 1 else "active")

    # --- what happens to records, whatever the cause

    def add(self, backdated=False, **values):
        """Let a record come, with a key higher than all before; backdated, it seems to be older than all."""
        key = self.next_key
        self.next_key += 1
        # Names have another order than keys.
        record = {"key": str(key), "id": f"C{key}", "name": f"{'abcdefghijk'[key * 5 % 11]}{key}"}
        record |= {"status": "active", "totalDue": f"{key}.00", STAMP: self.now(0 if backdated else None)}
        self.records[key] = record | {k: v for k, v in values.items() if v is not None and k != "key"}
        self.names[key] = self.records[key]["name"]
        return self.records[key]

    def set(self, key, **values):
        """Change a record, if it still exists."""
        if key in self.records:
            self.records[key] = self.records[key] | values | {STAMP: self.now()}
        return self.records.get(key)

    def set_unstamped(self, key, **values):
        """Change a record in a way that its stamp does not show, if it still exists."""
        if key in self.records:
            self.records[key] = self.records[key] | values

    def remove(self, key):
        """Let a record go."""
        return self.records.pop(key, None)

    def now(self, moment=None):
        """Return a moment as Intacct writes it; each is later than the one before."""
        self.moment += moment is None
        seconds = self.moment if moment is None else moment
        return f"2026-11-20T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"

    # --- services

    def answer(self, method, url, headers, body):
        """Return the status, the body and whether it is a replay, of any request but those for a token."""
        parts = urlsplit(url)
        path = unquote(parts.path.partition("/ia/api/v1")[2])
        keyed = method in ("POST", "PATCH") and self.remembers and path.startswith("/objects/")
        key = headers.get("Idempotency-Key") if keyed else None
        digest = hashlib.sha256(repr((method, path, body)).encode()).hexdigest() if key else None
        if key in self.kept:
            before, status, content = self.kept[key]
            if before == digest:
                return status, content, True
            return 409, error(409, "The idempotency key was used with different content"), False
        if path == "/services/core/query":
            status, content = 200, self.query(body)
        elif path == "/services/core/model":
            status, content = 200, model(parse_qs(parts.query).get("name", [""])[0], self.remembers)
        elif path == "/services/core/composite":
            status, content = self.composite(body)
        elif path == "/services/bulk/job/create":
            status, content = 200, {"ia::result": {"jobId": self.submit(body)}}
        elif path == "/services/bulk/job/status":
            status, content = 200, self.job(**{k: v[0] for k, v in parse_qs(parts.query).items()})
        elif path.startswith(f"/objects/{OBJECT}"):
            keys = [int(k) for k in path.removeprefix(f"/objects/{OBJECT}").strip("/").split(",") if k]
            atomic = headers.get("X-IA-API-Param-Transaction") == "true"
            status, content = self.read(keys) if method == "GET" else self.write(method, keys, body, atomic)
        else:
            status, content = 404, error(404, f"There is no {path}")
        if key is not None:
            self.kept[key] = (digest, status, content)
        return status, content, False

    def query(self, body):
        """Answer a query: one page of the records that match, or one row of aggregates."""
        rows = [record for record in self.records.values() if matches(record, body)]
        fields = body["fields"]
        if any(":" in name for name in fields):
            rows = [{name: aggregate(name, rows) for name in fields}]
        rows.reverse()  # without an order there is none to rely on
        for order in reversed(body.get("orderBy", ())):
            ((name, direction),) = order.items()
            rows.sort(key=lambda row, name=name: comparable(name, row[name]), reverse=direction == "desc")
        start, size = body.get("start", 1), min(body.get("size", 100), self.cap or 4000)
        page = [{name: row.get(name) for name in fields} for row in rows[start - 1 :][:size]]
        following = start + size if start + size <= len(rows) else None
        meta = {"totalCount": len(rows), "start": start, "pageSize": size, "next": following}
        return {"ia::result": page, "ia::meta": meta}

    def read(self, keys):
        """Answer with whole records."""
        found = [nested(self.records[key]) if key in self.records else missing(key) for key in keys]
        if len(keys) == 1:
            return found[0].get("ia::status", 200), {"ia::result": found[0]}
        if all("ia::status" not in one for one in found):
            return 200, {"ia::result": found}
        return 207, {"ia::result": [{"ia::status": 200} | one for one in found]}

    def write(self, method, keys, body, atomic):
        """Carry out a write of one record or many, and answer for each."""
        many = isinstance(body, list) or len(keys) > 1
        items = [{"key": key} for key in keys] if body is None else body if many else [body]
        items = [{**item, "key": keys[0]} if keys and body and not many else item for item in items]
        refused = [self.refusal(method, item) for item in items]
        if atomic and any(refused):
            skipped = {"ia::error": {"code": "unprocessed", "message": "Skipped"}, "ia::status": 422}
            refused = [refusal or skipped for refusal in refused]
        results = [no or self.carry_out(method, item) for item, no in zip(items, refused, strict=True)]
        done = 204 if method == "DELETE" else 201 if method == "POST" else 200
        wrong = sum(bool(refusal) for refusal in refused)
        if not many:
            return results[0]["ia::status"], None if done == 204 and not wrong else {"ia::result": results[0]}
        if not wrong and done == 204:
            return 204, None
        counts = {"totalCount": len(items), "totalSuccess": len(items) - wrong, "totalError": wrong}
        return 207 if wrong else done, {"ia::result": results, "ia::meta": counts}

    def composite(self, parts):
        """Carry out requests up to the first that fails, and answer for each under its name."""
        made, elements, failed = {}, [], False
        for part in parts:
            filled = json.loads(re.sub(r"@\{(\w+)\.(\w+)\}", lambda n: made[n[1]][n[2]], json.dumps(part)))
            element = {"ia::error": {"code": "unprocessed", "message": "Skipped"}, "ia::status": 422}
            if not failed:
                url = f"https://intacct.test/ia/api/v1{filled['path']}"
                headers = filled.get("headers", {})
                status, content, replayed = self.answer(filled["method"], url, headers, filled.get("body"))
                element = {**(content or {}), "ia::status": status}
                element |= {"ia::headers": {REPLAYED: "2026-11-20T00:00:00Z"} if replayed else {}}
            failed = failed or element["ia::status"] >= 400
            if "resultReference" in part:
                element["resultReference"], made[part["resultReference"]] = (
                    part["resultReference"],
                    element.get("ia::result"),
                )
            elements.append(element)
        wrong = sum(one["ia::status"] >= 400 for one in elements)
        counts = {"totalCount": len(parts), "totalSuccess": len(parts) - wrong, "totalError": wrong}
        return 207 if failed else 200, {"ia::result": elements, "ia::meta": counts}

    def submit(self, content):
        """Take a bulk job, carry it out at once, and return its id."""
        order, records = (
            json.loads(part) for part in re.findall(rb"\r\n\r\n(.*?)\r\n--", content, re.DOTALL)
        )
        method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[order["operation"]]
        results = [self.refusal(method, record) or self.carry_out(method, record) for record in records]
        self.jobs[f"job-{len(self.jobs) + 1}"] = results
        return f"job-{len(self.jobs)}"

    def job(self, jobId, download=None):  # noqa: N803
        """Answer with the state of a job, or with the results of its records."""
        if download:
            return {"ia::result": self.jobs[jobId]}
        return {"ia::result": {"jobId": jobId, "status": "completed", "percentComplete": 100}}

    def refusal(self, method, item):
        """Return why a record is not written, or nothing."""
        if method != "POST":
            return None if int(item["key"]) in self.records else missing(item["key"])
        if not item.get("name"):
            return {**error(400, "name is required")["ia::result"], "ia::status": 400}
        if item.get("id") in {record["id"] for record in self.records.values()}:
            return {**error(400, "Another record with the value exists")["ia::result"], "ia::status": 400}
        return None

    def carry_out(self, method, item):
        """Write one record, and return its part of the answer."""
        if method == "DELETE":
            record, status = self.remove(int(item["key"])), 204
        elif method == "PATCH":
            record, status = self.set(int(item["key"]), **{k: v for k, v in item.items() if k != "key"}), 200
        else:
            record, status = self.add(**item), 201
        self.written.append((method, int(record["key"])))
        if status == 204:
            return {"ia::status": 204}
        href = f"/objects/{OBJECT}/{record['key']}"
        return {"key": record["key"], "id": record["id"], "href": href, "ia::status": status}


def matches(record, body):
    """Whether a record meets the filters of a query."""
    truths = []
    for condition in body.get("filters", ()):
        ((name, operand),) = condition.items()
        ((column, value),) = operand.items()
        truths.append(COMPARE[name](comparable(column, record[column]), comparable(column, value)))
    expression = body.get("filterExpression", "and")
    if expression in ("and", "or"):
        return all(truths) if expression == "and" else any(truths)
    return eval(joined(expression), {"truths": truths})  # noqa: S307


@lru_cache
def joined(expression):
    """Return ``1 and 2`` as Python that joins a list of truths."""
    return compile(re.sub(r"\d+", lambda n: f"truths[{int(n[0]) - 1}]", expression.lower()), "filter", "eval")


def comparable(column, value):
    """Return a value as the server compares it: keys as numbers, all else as text."""
    if isinstance(value, list):
        return [comparable(column, one) for one in value]
    return int(value) if column == "key" else "" if value is None else str(value)


def aggregate(name, rows):
    """Return one aggregate, such as ``count:key``; of no records, too."""
    function, _, column = name.partition(":")
    return AGGREGATES[function]([row[column] for row in rows])


def nested(record):
    """Return a record as GET shows it."""
    flat = {name: value for name, value in record.items() if name != STAMP}
    return flat | {"audit": {"modifiedDateTime": record[STAMP]}}


def missing(key):
    """Return the answer for a record that does not exist."""
    return {**error(404, f"There is no record {key}")["ia::result"], "ia::status": 404}


def error(status, message, code="invalidRequest", **more):
    """Return an error body in the shape that is commonest in practice."""
    return {
        "ia::result": {"ia::error": {"code": code, "message": message, **more}},
        "ia::meta": {"totalError": 1},
    }


def model(name, remembers=True):
    """Answer the model service, which describes an unknown object by an empty list."""
    if name != OBJECT:
        return {"ia::result": []}
    text = {"type": "string", "readOnly": False, "nullable": False, "mutable": True}
    fixed = {**text, "readOnly": True, "mutable": False}
    fields = {
        "key": fixed,
        "id": {**text, "mutable": False},
        "name": text,
        "totalDue": {**fixed, "format": "decimal-precision-2"},
    }
    fields["status"] = {**text, "enum": ["active", "inactive"], "default": "active"}
    audit = {"modifiedDateTime": {**fixed, "format": "date-time"}}
    described = {"apiObject": f"objects/{OBJECT}", "type": "rootObject", "idempotenceSupported": remembers}
    described |= {"fields": fields, "groups": {"audit": {"fields": audit}}, "refs": [], "lists": []}
    return {"ia::result": {**described, "httpMethods": "GET,POST,PATCH,DELETE"}}
