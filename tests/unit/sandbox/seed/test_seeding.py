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


@pytest.mark.parametrize("first", ["empty", "demo"])
@pytest.mark.parametrize("second", ["empty", "demo"])
def test_a_second_seed_does_what_it_does_in_a_file(tmp_path, first, second):
    in_memory, in_file = Store(), Store(str(tmp_path / "company.db"))
    for store in (in_memory, in_file):
        seed(store, first)
        seed(store, second)
    assert everything(in_memory) == everything(in_file)


def test_the_demo_company_survives_a_second_seed():
    once, twice = Store(), Store()
    seed(once, "demo")
    seed(twice, "demo")
    seed(twice, "empty")
    assert everything(twice) == everything(once)
