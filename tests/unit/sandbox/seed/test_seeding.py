"""A company in memory is a copy of one that was made before; nobody can tell it from a new one."""

import pytest

from intacct_provider.sandbox.seed.seeding import seed
from intacct_provider.sandbox.store import Store

NEW = 'INSERT INTO "accounts-receivable/customer" ("id", "name") VALUES (?, ?)'


def everything(store):
    """Return what makes up the database: tables, indexes, views, rows and the numbers that come next."""
    with store.transaction() as conn:
        return sorted(line for line in conn.iterdump() if not line.startswith(("BEGIN", "COMMIT")))


@pytest.mark.parametrize("what", ["empty", "demo"])
def test_a_copy_is_what_a_new_file_is(tmp_path, what):
    in_memory, in_file = Store(), Store(str(tmp_path / "company.db"))
    for store in (in_memory, in_file):
        seed(store, what)
    assert everything(in_memory) == everything(in_file)


@pytest.mark.parametrize("what", ["empty", "demo"])
def test_copies_share_nothing(what):
    first, second = Store(), Store()
    seed(first, what)
    with first.transaction() as conn:
        conn.execute(NEW, ("C-1", "Acme"))
    seed(second, what)
    third = Store()
    seed(third, what)
    assert everything(second) == everything(third) != everything(first)


def test_what_was_written_before_the_company_was_seeded_stays():
    store = Store()
    with store.transaction() as conn:
        conn.execute(NEW, ("C-1", "Acme"))
    seed(store, "empty")
    with store.transaction() as conn:
        assert [row["id"] for row in conn.execute('SELECT "id" FROM "accounts-receivable/customer"')] == [
            "C-1"
        ]


def test_the_demo_company_can_follow_the_empty_one():
    later, at_once = Store(), Store()
    seed(later, "empty")
    seed(later, "demo")
    seed(at_once, "demo")
    assert everything(later) == everything(at_once)
