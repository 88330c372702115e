"""Check that the benchmark's server answers like the sandbox: send the same requests to both, and compare.

    python benchmarks/check_server.py

A request that one refuses must be refused by the other with the same status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests
from measuring import FastServer, check
from served import ACCOUNT, FIELDS, account, key_of

from intacct_provider.sandbox import Sandbox

QUERY = "/services/core/query"
CUSTOMER = "accounts-receivable/customer"
WRITTEN = ("id", "name", "accountType", "normalBalance", "status", "closingType", "isTaxable", "category")
#: Members that depend on the clock, on chance or on the server.
CHANGING = ("supportId", "requestId", "access_token", "refresh_token", "message")
#: A member of each row that nobody reads; the benchmark's server leaves it out.
ALIAS = "API_QUERY_ALIAS__"
COUNT = 45
FORM = "application/x-www-form-urlencoded"


def main() -> None:
    """Compare all answers."""
    with Sandbox() as sandbox, FastServer() as server:
        fill(sandbox)
        server.change(rows=COUNT)
        asked = list(requests_to_compare())
        for method, path, body in asked:
            found, wanted = (answer(base, method, path, body) for base in (server.url, sandbox.url))
            check(found == wanted, f"{method} {path} {body}\n  server:  {found}\n  sandbox: {wanted}\n")
        print(f"{len(asked)} requests are answered like the sandbox answers them")


def fill(sandbox: Sandbox) -> None:
    """Add the server's accounts to the sandbox, with the same keys."""
    wanted = {key_of(number): account(number) for number in range(1, COUNT + 1)}
    every = [wanted.get(key, account(1) | {"id": f"gone-{key}"}) for key in range(1, max(wanted) + 1)]
    sandbox.seed(ACCOUNT, [{name: row[name] for name in WRITTEN} for row in every])
    with sandbox.store.transaction() as conn:
        for key in set(range(1, max(wanted))) - set(wanted):
            conn.execute(f'DELETE FROM "{ACCOUNT}" WHERE "key" = ?', (key,))  # noqa: S608
        for key, row in wanted.items():
            stamps = (row["audit.createdDateTime"], row["audit.modifiedDateTime"], key)
            conn.execute(
                f'UPDATE "{ACCOUNT}" SET "audit.createdDateTime" = ?, "audit.modifiedDateTime" = ? '  # noqa: S608
                'WHERE "key" = ?',
                stamps,
            )


def requests_to_compare() -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and body of each request."""
    asc, desc = [{"key": "asc"}], [{"key": "desc"}]
    for fields in (list(FIELDS), ["key"], ["id", "name"]):
        for start, size in ((1, 4000), (1, 10), (11, 10), (41, 10), (45, 1), (46, 10), (90, 4000)):
            for order in (asc, desc):
                yield query(fields=fields, start=start, size=size, orderBy=order)
    for low, high in (("4", "9"), (4, 9), ("0", "999"), ("30", "20"), ("10", "10"), ("20", "21")):
        for names in (("$gt", "$lte"), ("$gte", "$lt")):
            among = [{names[0]: {"key": low}}, {names[1]: {"key": high}}]
            yield query(fields=["key", "name"], filters=among, filterExpression="and", orderBy=asc)
            yield query(
                fields=["key"], filters=among, filterExpression="(1 and 2)", orderBy=desc, start=2, size=3
            )
            yield query(fields=["count:key"], filters=among)
            yield query(fields=["count:key", "min:key", "max:key"], filters=among)
    yield query(fields=["key"], filters=[{"$in": {"key": ["3", "10", "12", "77"]}}], orderBy=asc)
    yield query(fields=["key"], filters=[{"$eq": {"key": "12"}}], orderBy=asc)
    four = [{"$lte": {"key": "5"}}, {"$gte": {"key": "30"}}, {"$gt": {"key": "12"}}, {"$lte": {"key": "20"}}]
    for joined in (
        "1 or (3 and 4)",
        "(1 or 2) and 3",
        "(1 or 3) and (2 or 4)",
        "1 and 2 or 3 and 4",
        "1 and (2 and 3)",
    ):
        yield query(fields=["key"], filters=four, filterExpression=joined, orderBy=asc, start=2)
        yield query(fields=["count:key"], filters=four, filterExpression=joined)
    for joined in ("1 and", "1 and 9", "(1 and 2"):
        yield query(fields=["key"], filters=four, filterExpression=joined)
    yield query(fields=["key"], size=4001)
    yield query(fields=["key"], size=0)
    yield query(fields=["key"], start=0)
    yield query(fields=["nothing"])
    yield query(fields=["key"], filterParameters={"includePrivate": True}, orderBy=asc, filters=[])
    yield "GET", f"/services/core/model?name={ACCOUNT}&schema=true", None
    yield "GET", "/services/core/model?name=general-ledger/nothing&schema=true", None
    customers = [{"id": f"C-{n}", "name": f"Customer {n}"} for n in range(700)]
    yield "POST", f"/objects/{CUSTOMER}", customers[:3]
    yield "POST", f"/objects/{CUSTOMER}", customers[3]
    yield "POST", f"/objects/{CUSTOMER}", customers[100:700]
    yield "POST", f"/objects/{CUSTOMER}", customers[4:504]
    yield "PATCH", f"/objects/{CUSTOMER}", [{"key": "2", "name": "Other"}, {"key": "4", "name": "Another"}]
    yield "PATCH", f"/objects/{CUSTOMER}/3", {"name": "A third"}
    yield "GET", "/nothing", None


def query(**parts: Any) -> tuple[str, str, dict[str, Any]]:
    """Return a request to the query service."""
    return "POST", QUERY, {"object": ACCOUNT, **parts}


_TOKENS: dict[str, str] = {}


def answer(base: str, method: str, path: str, body: Any) -> tuple[int, list[str], Any]:
    """Return the status, the names of the headers that clients read, and the body without variable members."""
    token = _TOKENS.get(base) or _TOKENS.setdefault(base, get_token(base))
    headers = {"Authorization": f"Bearer {token}"}
    reply = requests.request(method, base + path, json=body, headers=headers, timeout=30)
    advice = sorted(name.lower() for name in reply.headers if "throttle" in name.lower())
    kept = [name for name in advice if "tenant" not in name]
    return reply.status_code, kept, remove_variable(reply.json())


def get_token(base: str) -> str:
    """Return a token."""
    identity = Sandbox().identity
    form = {
        "grant_type": "client_credentials",
        "client_id": identity.client_id,
        "client_secret": identity.client_secret,
        "username": f"{identity.user}@{identity.company}",
    }
    reply = requests.post(f"{base}/oauth2/token", data=form, timeout=30)
    check(sorted(reply.json()) == ["access_token", "expires_in", "refresh_token", "token_type"], reply.text)
    return str(reply.json()["access_token"])


def remove_variable(value: Any) -> Any:
    """Return a copy without the members that differ between runs."""
    if isinstance(value, dict):
        if "ia::error" in value or "error" in value:
            return {"refused": json.dumps(value).count("code")}
        kept = (name for name in value if name not in CHANGING and not name.startswith(ALIAS))
        return {name: remove_variable(value[name]) for name in kept}
    return [remove_variable(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
