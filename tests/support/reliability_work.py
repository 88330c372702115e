"""A little of everything that a task does, checked against the records of the sandbox."""

from collections import Counter

from sandbox_client import RETRY, client_of

from intacct_provider.client.query.expressions import field

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOKEN = "/oauth2/token"
#: Records that the company starts with, in three pages of a read.
SEEDED = 250
PAGE = 100
SEED = f"{PURPOSE}={SEEDED}"


def attempt(sandbox, retry=RETRY, **options):
    """Return the client of one attempt of a task; each attempt generates the same idempotency keys."""
    client = client_of(sandbox, retry, **options)
    client.idempotency.scopes = {"POST": "dag run task", "PATCH": "dag run task"}
    return client


def events(sandbox, object_name=CUSTOMER):
    """Return how often the server created, modified and deleted each record."""
    with sandbox.store.transaction() as conn:
        rows = conn.execute(
            'SELECT key, action FROM "ia::history" WHERE object = ?', (object_name,)
        ).fetchall()
    return Counter((str(row["key"]), row["action"]) for row in rows)


def do_work(sandbox, client, tag):
    """Read, create, update and delete records, singly and in batches, and check that the result is exact.

    The new customers have no id, so only an idempotency key prevents a duplicate.

    :param tag: distinguishes the records from those of other runs.
    """
    rows = [*client.iter_rows(PURPOSE, ["key", "id"])]
    assert [row["key"] for row in rows] == [str(n) for n in range(1, SEEDED + 1)]
    assert [row["id"] for row in rows] == [f"Purpose {n:05d}" for n in range(1, SEEDED + 1)]

    one = client.create(CUSTOMER, {"name": f"{tag} 0"})
    created = client.create_many(CUSTOMER, [{"name": f"{tag} {n}"} for n in range(1, 6)])
    keys = [one["key"], *(result.key for result in created)]
    assert all(result.ok for result in created)
    assert client.get(CUSTOMER, keys[0])["name"] == f"{tag} 0"

    client.update(CUSTOMER, keys[0], {"name": f"{tag} new 0"})
    changes = [{"key": key, "name": f"{tag} new {n}"} for n, key in enumerate(keys[1:4], start=1)]
    assert [(result.ok, result.key) for result in client.update_many(CUSTOMER, changes)] == [
        (True, key) for key in keys[1:4]
    ]
    client.delete(CUSTOMER, keys[0])
    assert [(result.ok, result.key) for result in client.delete_many(CUSTOMER, keys[4:])] == [
        (True, key) for key in keys[4:]
    ]

    left = [(keys[n], f"{tag} new {n}") for n in range(1, 4)]
    mine = client.iter_rows(CUSTOMER, ["key", "name"], filters=field("name").startswith(tag))
    assert [(row["key"], row["name"]) for row in mine] == left
    kept = [(r["key"], r["name"]) for r in sandbox.records(CUSTOMER) if r["name"].startswith(f"{tag} ")]
    assert kept == left
    expected = {(key, "created"): 1 for key in keys}
    expected |= {(key, "modified"): 1 for key in keys[:4]}
    expected |= {(key, "deleted"): 1 for key in (keys[0], *keys[4:])}
    happened = {event: times for event, times in events(sandbox).items() if event[0] in keys}
    assert happened == expected, "each write must happen once"


def count_work_calls(sandbox):
    """Return how many calls the work takes without faults, including the token request."""
    with client_of(sandbox, page_size=PAGE) as client:
        client.query(PURPOSE, ["key"], size=1)
        before = len(sandbox.requests)
        do_work(sandbox, client, "Undisturbed")
    return len(sandbox.requests) - before


def work_at_every_call(sandbox, fault, **options):
    """Do the work once for each of its calls, and apply the fault to that call.

    :param options: changes of the client's configuration.
    """
    for number in range(count_work_calls(sandbox)):
        with client_of(sandbox, page_size=PAGE, **options) as client:
            client.query(PURPOSE, ["key"], size=1)
            begun = len(sandbox.requests)
            sandbox.fail(**fault, skip=number)
            do_work(sandbox, client, f"T{number:03d}")
        struck = [call for call in sandbox.requests[begun:] if call.fault]
        assert len(struck) == fault.get("times", 1), f"call {number} was not hit"
