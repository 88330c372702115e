"""Measure the sandbox on this machine: seeding, serving a page of a query, and starting.

    python benchmarks/sandbox.py            # 200,000 customers, about a minute
    python benchmarks/sandbox.py --smoke    # 20,000 customers, for CI: checks that it runs and is correct

The page is compared with the minimum of work: the same rows and columns selected from the same file with SQLite and
encoded as JSON, alternating in the same run. The sandbox adds HTTP, the token, checking and translating the query,
counting rows, converting amounts, and locks. Times are printed only; a page with a wrong, missing or changed row ends
with exit code 1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from measuring import check, machine, sandbox, spread

from intacct_provider.sandbox.identity import Identity
from intacct_provider.sandbox.seed.seeding import seed
from intacct_provider.sandbox.store import Store

CUSTOMER = "accounts-receivable/customer"
BASE = "/ia/api/v1"
PAGE = 4000
FIELDS = (
    "key", "id", "name", "status", "creditLimit", "totalDue", "taxId", "currency", "isOnHold",
    "term.id", "audit.modifiedDateTime",
)  # fmt: skip
SELECT = f"""
    SELECT t."key", t."id", t."name", t."status", t."creditLimit", t."totalDue", t."taxId", t."currency", t."isOnHold",
           r."id", t."audit.modifiedDateTime"
    FROM "{CUSTOMER}" t LEFT JOIN "accounts-receivable/term" r ON r."key" = t."term.key"
    WHERE t."key" > ? ORDER BY t."key" LIMIT {PAGE}
"""  # noqa: S608 - our names


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description="Measure the sandbox.")
    parser.add_argument("--smoke", action="store_true", help="a tenth of the records, a few rounds")
    smoke = parser.parse_args().smoke
    records, rounds, starts = (20_000, 10, 2) if smoke else (200_000, 40, 7)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="intacct-benchmark-") as folder:
        file = Path(folder) / "company.db"
        print(f"\nSeed {records:,} customers into a file: {seed_customers(file, records):.1f} s")
        with sandbox("--db", str(file), "--seed", "empty") as (port, _):
            served, fetched, plain = pages(file, port, records, rounds)
    print(f"\nA page of {PAGE:,} rows x {len(FIELDS)} fields by key, {rounds} rounds")
    print(f"  the sandbox, over HTTP              {spread(served)}")
    print(f"  SQLite and JSON by msgspec          {spread(fetched)}")
    print(f"  SQLite and JSON by Python's json    {spread(plain)}")
    ratio, other = (statistics.median(served) / statistics.median(base) for base in (fetched, plain))
    print(f"  the sandbox takes {ratio:.2f} times the second, {other:.2f} times the third")
    print(f"\nFrom the command to the line that says ready, demo company, {starts} starts")
    print(f"  {spread([measure_start('--seed', 'demo') for _ in range(starts)])}")


def seed_customers(file: Path, records: int) -> float:
    """Create a company and return the seconds to seed its customers."""
    with closing(Store(str(file))) as store:
        seed(store, "empty")
        begun = time.perf_counter()
        seed(store, f"{CUSTOMER}={records}")
        seconds = time.perf_counter() - begun
        with store.transaction() as conn:
            [count] = conn.execute(f'SELECT COUNT(*) FROM "{CUSTOMER}"').fetchone()  # noqa: S608
    check(count == records, f"{count} customers instead of {records}")
    return seconds


def pages(file: Path, port: int, records: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Return the seconds of each round: the sandbox, SQLite with msgspec, SQLite with Python's json."""
    choose = random.Random(1)  # noqa: S311 - the same pages every time
    served, fetched, plain = [], [], []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as conn, api(port) as query:
        for number in range(-2, rounds):  # two rounds to warm up
            above = choose.randrange(0, records - PAGE)
            seconds, body = measure(query, above)
            times = (seconds, measure(by_hand, conn, above, msgspec.json.encode)[0])
            times += (measure(by_hand, conn, above, lambda rows: json.dumps(rows).encode())[0],)
            check_page(body, conn, above, records)
            if number >= 0:
                for kept, one in zip((served, fetched, plain), times, strict=True):
                    kept.append(one)
    return served, fetched, plain


def measure(work: Callable[..., bytes], *arguments: Any) -> tuple[float, bytes]:
    """Return the duration of some work, and its result."""
    begun = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - begun, result


def by_hand(conn: sqlite3.Connection, above: int, encode: Callable[[Any], bytes]) -> bytes:
    """Return the JSON of the same rows without the sandbox; amounts and booleans are left as stored."""
    rows = conn.execute(SELECT, (above,)).fetchall()
    return encode([dict(zip(FIELDS, row, strict=True)) for row in rows])


@contextmanager
def api(port: int) -> Iterator[Callable[[int], bytes]]:
    """Yield a function that requests the page above a key and returns the body, over one connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        identity = Identity()
        form = {
            "grant_type": "client_credentials",
            "client_id": identity.client_id,
            "client_secret": identity.client_secret,
            "username": f"{identity.user}@{identity.company}",
        }
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"{BASE}/oauth2/token", urlencode(form), form_type)
        token = json.load(connection.getresponse())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        payload = {"object": CUSTOMER, "fields": FIELDS, "orderBy": [{"key": "asc"}], "size": PAGE}

        def query(above: int) -> bytes:
            body = json.dumps({**payload, "filters": [{"$gt": {"key": str(above)}}]})
            connection.request("POST", f"{BASE}/services/core/query", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            check(answer.status == 200, f"the query answers {answer.status}")
            return content

        yield query


def check_page(body: bytes, conn: sqlite3.Connection, above: int, records: int) -> None:
    """Compare every value of a page with the file; customers are numbered from 1 without gaps."""
    answer = json.loads(body)
    total = answer["ia::meta"]["totalCount"]
    check(total == records - above, f"{total} customers above {above} instead of {records - above}")
    expected = [as_json(row) for row in conn.execute(SELECT, (above,))]
    check(len(expected) == PAGE, f"SQLite itself finds {len(expected)} rows")
    found = [{name: row[name] for name in FIELDS} for row in answer["ia::result"]]
    check(len(found) == PAGE, f"{len(found)} rows above {above} instead of {PAGE}")
    for one, other in zip(found, expected, strict=True):
        check(one == other, f"the row {one} should be {other}")


def as_json(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a stored row as in the API."""
    values = dict(zip(FIELDS, row, strict=True))
    due = values["totalDue"]
    values["key"] = str(values["key"])
    values["totalDue"] = None if due is None else f"{due // 100}.{due % 100:02d}"  # none is negative
    values["isOnHold"] = bool(values["isOnHold"])
    return values


def measure_start(*options: str) -> float:
    """Return the seconds from the command to the line that says ready."""
    with sandbox(*options) as (_, seconds):
        return seconds


if __name__ == "__main__":
    main()
