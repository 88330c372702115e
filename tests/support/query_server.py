"""Query services as the client's paging meets them: a model in memory, good or strange."""

import operator
import re
from dataclasses import replace

import msgspec

from intacct_provider.client.paging.pages import Totals
from intacct_provider.exceptions import IntacctIncompleteReadError, IntacctValidationError

STAMP = "audit.modifiedDateTime"

COMPARE = {
    "$eq": operator.eq, "$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le,
    "$in": lambda value, some: value in some,
}  # fmt: skip


def moment(calls):
    """Return the server's time after this many calls for pages, a second each."""
    return f"2026-01-01T{calls // 3600:02}:{calls // 60 % 60:02}:{calls % 60:02}Z"


class Server:
    """A query service over a list of records, which are stamped with the time at which they changed.

    :param sorts: whether keys are sorted as ``numbers`` or as ``text``.
    :param compares: the same for filters on keys.
    :param clamp: rows that a page has at most, whatever was asked for.
    :param largest: page size above which the request is refused.
    :param keys_filter: whether a filter on key is allowed.
    :param totals: whether the answer has a count.
    """

    def __init__(
        self,
        keys,
        *,
        sorts="numbers",
        compares="numbers",
        clamp=None,
        largest=None,
        keys_filter=True,
        totals=True,
    ):
        self.records = [key if isinstance(key, dict) else self.record(key) for key in keys]
        self.sorts, self.compares, self.clamp, self.largest = sorts, compares, clamp, largest
        self.keys_filter, self.totals = keys_filter, totals
        self.calls = []
        self.counts = 0
        self.between = lambda _server: None

    @staticmethod
    def record(key, at=0):
        record = {"key": str(key), "id": f"C{key}", "status": "active", "API_QUERY_ALIAS__1": "stray"}
        return {**record, STAMP: moment(at)}

    def keys(self):
        return {record["key"] for record in self.records}

    def delete(self, *keys):
        gone = {str(key) for key in keys}
        self.records = [record for record in self.records if record["key"] not in gone]

    def insert(self, *keys):
        self.records += [self.record(key, at=len(self.calls) + 1) for key in keys]

    def change(self, record, **changes):
        record.update(changes, **{STAMP: moment(len(self.calls) + 1)})

    def fields(self, _object_name):
        return dict.fromkeys(["key", "id", "status", STAMP])

    def count(self, query, sums=(), *, stopped=None):
        self.counts += 1
        body = query.payload()
        return Totals(sum(self.matches(record, body) for record in self.records), dict.fromkeys(sums, 0))

    def fetch_page(self, query, start, size, *, rows, stopped=None):
        body = query.payload(start=start, size=size)
        self.calls.append(body)
        if self.largest and size > self.largest:
            raise IntacctValidationError("The value of size is too large", status=400, target="/size")
        answer = self.answer(body)
        at = moment(len(self.calls))
        self.between(self)
        page = rows.read(msgspec.json.encode(answer), start, size)
        if page is None:
            raise IntacctIncompleteReadError("not a page")
        return replace(page, moment=at)

    def answer(self, body):
        rows = self.sorted([r for r in self.records if self.matches(r, body)], body.get("orderBy", []))
        size = min(body["size"], self.clamp or body["size"])
        page = rows[body["start"] - 1 :][:size]
        meta = {"totalCount": len(rows), "start": body["start"], "pageSize": size} if self.totals else {}
        return {"ia::result": page, "ia::meta": meta}

    def matches(self, record, body):
        truths = []
        for condition in body.get("filters", ()):
            ((name, operand),) = condition.items()
            ((column, value),) = operand.items()
            if column == "key" and not self.keys_filter:
                raise IntacctValidationError("The key field cannot be filtered", status=400)
            truths.append(
                COMPARE[name](self.comparable(column, record[column]), self.comparable(column, value))
            )
        expression = body.get("filterExpression", "and")
        if expression in ("and", "or"):
            return all(truths) if expression == "and" else any(truths)
        return eval(re.sub(r"\d+", lambda n: str(truths[int(n[0]) - 1]), expression), {})  # noqa: S307

    def comparable(self, column, value):
        if isinstance(value, list):
            return [self.comparable(column, one) for one in value]
        return int(value) if column == "key" and self.compares == "numbers" else str(value)

    def sorted(self, rows, orders):
        for order in reversed(orders):
            ((column, direction),) = order.items()
            number = column == "key" and self.sorts == "numbers"
            rows = sorted(
                rows, key=lambda r, c=column, n=number: int(r[c]) if n else r[c], reverse=direction == "desc"
            )
        return rows


class Miscounting(Server):
    """Reports a count that is off by ``off`` on the calls with these numbers; on all of them without numbers."""

    def __init__(self, keys, off, on=None, **options):
        super().__init__(keys, **options)
        self.off, self.on = off, on

    def answer(self, body):
        answer = super().answer(body)
        if self.on is None or len(self.calls) in self.on:
            meta = answer["ia::meta"]
            answer["ia::meta"] = {**meta, "totalCount": max(0, meta["totalCount"] + self.off)}
        return answer
