"""The proof of a read: what Intacct counts and adds up against the rows; what came or went meanwhile against loss."""

from decimal import Decimal

import pytest
from sandbox_client import calls, client_of, running
from sandbox_clocks import StandingClock

from intacct_provider.client.paging.key_intervals import Interval, pack_keys
from intacct_provider.client.paging.pages import Totals
from intacct_provider.client.paging.proof import prove
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

CUSTOMER = "accounts-receivable/customer"
CONTACT = "company-config/contact"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL, PAGE = 2000, 100


@pytest.fixture
def company():
    """Two thousand records that nothing refers to, so that any of them can be deleted."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


@pytest.fixture
def reader(company):
    """Reads twenty pages of them."""
    with client_of(company, page_size=PAGE) as client:
        yield client


class Read:
    """A read to its end, and the facts about its rows."""

    def __init__(self, client, fields=("key", "id"), *, name=PURPOSE, filters=None, sums=(), **bounds):
        self.client = client
        self.pages = client.read_pages(
            Query.build(name, fields, filters=filters), StructRows(fields), sums=sums, **bounds
        )
        rows = [
            dict(zip(fields, StructRows.values(row), strict=True)) for page in self.pages for row in page.rows
        ]
        self.rows = len(rows)
        self.sums = {name: sum((Decimal(str(row[name] or 0)) for row in rows), Decimal(0)) for name in sums}

    def lose(self, *lost):
        """Let it have lost some of its rows, as if the server had never sent them."""
        for n, one in enumerate(self.pages.intervals):
            keys = [key for key in one.unpack() if key not in lost] or [0]
            self.pages.intervals[n] = one._replace(rows=len(keys), packed=pack_keys(keys))
        self.rows -= len(lost)
        return self

    def late(self):
        """Let it have had its count at the very end, so that what happens from now on is in it."""
        self.pages._counted = None
        return self

    def prove(self, **more):
        return prove(self.pages, rows=self.rows, sums=self.sums, **more)

    def asked(self, sandbox):
        """Prove it, and return how many calls that took, too."""
        before = len(calls(sandbox, QUERY))
        return self.prove(), len(calls(sandbox, QUERY)) - before


# --- equal


def test_equal_counts_are_a_proof_that_costs_no_call_more(reader, company):
    proof, asked = Read(reader).asked(company)
    assert not proof.again
    assert asked == 0
    assert proof.facts() == {
        "result": "equal",
        "rows": TOTAL,
        "counted": TOTAL,
        "deleted_meanwhile": 0,
        "added_meanwhile": 0,
        "control_totals": {},
    }


def test_one_page_is_proven_by_its_own_count(company):
    with client_of(company) as client:
        read = Read(client, filters=field("key") <= "7")
        assert read.asked(company) == (read.prove(), 0)
        assert read.prove().facts()["counted"] == 7


@pytest.mark.parametrize("count", [-3, 3])
def test_a_page_that_miscounts_itself_is_no_reason_to_read_again(company, count):
    company.fail(kind="alter", count=count, path=QUERY)
    with client_of(company) as client:
        read = Read(client, filters=field("key") <= "7")
        assert read.prove().facts()["result"] == "equal"
        assert read.prove().counted == Totals(7)


def test_a_count_that_was_right_by_the_end_is_enough(reader):
    read = Read(reader)
    read.pages._counted = Totals(TOTAL - 1)  # as it was when the read began
    proof = read.prove()
    assert not proof.again
    assert proof.counted == Totals(TOTAL)


def test_bounds_are_those_of_the_read(reader):
    read = Read(reader, above="150", upto="1750")
    assert read.rows == read.prove().counted.count == 1600
    read.rows -= 1
    assert read.prove().again


def test_nothing_read_and_nothing_there(reader):
    assert not Read(reader, filters=field("id") == "nothing").prove().again


# --- what came and went


def test_records_deleted_meanwhile_are_harmless_and_found_in_few_calls(reader, company):
    read = Read(reader).late()
    reader.delete_many(PURPOSE, ["777", "778", "1500"])
    proof, asked = read.asked(company)
    assert not proof.again
    assert (proof.deleted, proof.added, proof.counted.count) == (3, 0, TOTAL - 3)
    assert proof.facts()["result"] == "changed meanwhile"
    assert asked <= 1 + 2 * 5 + 2


def test_records_added_meanwhile_are_harmless(reader, company):
    read = Read(reader).late()
    reader.create_many(PURPOSE, [{"id": f"New {n}"} for n in range(5)])
    proof, asked = read.asked(company)
    assert not proof.again
    assert (proof.deleted, proof.added) == (0, 5)
    assert asked <= 1 + 5 + 2


def test_as_many_deleted_as_added_are_no_difference(reader):
    read = Read(reader).late()
    reader.delete(PURPOSE, "1")
    reader.create(PURPOSE, {"id": "New"})
    assert read.prove().facts()["result"] == "equal"


def test_records_that_came_to_match_meanwhile_are_harmless(reader):
    read = Read(reader, filters=field("id").startswith("Purpose")).late()
    reader.create_many(PURPOSE, [{"id": "Other"}])
    reader.update(PURPOSE, "700", {"id": "No more"})
    reader.update(PURPOSE, "900", {"id": "Nor this"})
    new = reader.create(PURPOSE, {"id": "Purpose of its own"})["key"]
    proof = read.prove()
    assert (proof.deleted, proof.added, proof.again) == (2, 1, False)
    assert int(new) > TOTAL


def test_a_record_changed_meanwhile_so_that_it_matches_is_harmless(company):
    with client_of(company, page_size=PAGE) as client:
        client.update(PURPOSE, "700", {"id": "Other"})
        company.faults.clock_skew = 3600  # so that what follows is later by the server's clock
        read = Read(client, filters=field("id").startswith("Purpose")).late()
        client.update(PURPOSE, "700", {"id": "Purpose again"})
        proof = read.prove()
    assert (proof.deleted, proof.added, proof.again) == (0, 1, False)


def test_everything_deleted_meanwhile_is_harmless(company):
    with client_of(company, page_size=1000) as client:
        read = Read(client).late()
        client.delete_many(PURPOSE, [str(n) for n in range(1, TOTAL + 1)])
        proof = read.prove()
    assert (proof.deleted, proof.again) == (TOTAL, False)


def test_more_than_can_be_found_out_in_few_calls_is_read_again(company):
    with client_of(company, page_size=20) as client:
        read = Read(client).late()
        client.delete_many(PURPOSE, [str(n) for n in range(1, TOTAL + 1, 25)])
        proof, asked = read.asked(company)
    assert proof.again
    assert "too much changed during the read to find out what" in proof.problem
    assert asked <= 60


def test_what_goes_on_changing_is_not_looked_for_for_ever(company):
    """Each count of everything is another, while every part of it stays as it was."""
    with client_of(company, page_size=1000) as client:
        read, totals = Read(client).late(), iter(range(TOTAL - 1, 0, -1))
        service = read.pages.service
        count = service.count
        service.count = lambda query, *more: count(query, *more) if query.filters else Totals(next(totals))
        proof = read.prove()
    assert (
        proof.problem == f"{TOTAL} rows were read and Intacct counts {TOTAL - 1}; the count keeps changing."
    )


# --- loss


def test_a_record_that_was_lost_is_named(company):
    with client_of(company, page_size=PAGE) as client:
        company.faults.clock_skew = 3600
        read = Read(client).lose(1234)
        proof, asked = read.asked(company)
    assert proof.again
    assert proof.problem == "1 record that existed during the whole read is missing: key 1234."
    assert proof.facts()["result"] == "unproven"
    assert asked <= 1 + 5 + 1
    error = proof.error()
    assert isinstance(error, IntacctIncompleteReadError)
    assert str(error).startswith(f"The read of {PURPOSE} cannot be proven complete: 1 record that existed")


def test_many_lost_records_are_named_by_the_first(company):
    with client_of(company, page_size=PAGE) as client:
        company.faults.clock_skew = 3600
        proof = Read(client).lose(*range(501, 511)).prove()
    assert proof.problem.endswith("are missing: keys 501, 502, 503, 504, 505 and 5 more.")


def test_a_loss_beside_a_deletion_in_another_page_is_found(company):
    with client_of(company, page_size=PAGE) as client:
        company.faults.clock_skew = 3600
        read = Read(client).lose(42).late()
        client.delete_many(PURPOSE, ["1800", "1801"])
        proof = read.prove()
    assert "missing: key 42." in proof.problem


def test_a_loss_beside_additions_is_found(company):
    with client_of(company, page_size=PAGE) as client:
        company.faults.clock_skew = 3600
        read = Read(client).lose(TOTAL).late()
        client.create_many(PURPOSE, [{"id": f"New {n}"} for n in range(5)])
        proof = read.prove()
    assert "missing: key 2000." in proof.problem


def test_all_lost_is_found(company):
    with client_of(company) as client:
        company.faults.clock_skew = 3600
        read = Read(client, filters=field("key") <= "3")
        read.lose(1, 2, 3)
        read.pages.intervals.clear()
        assert "missing: keys 1, 2, 3." in read.prove().problem


@pytest.mark.parametrize(("lost", "again"), [("last", False), ("middle", True)])
def test_an_object_without_stamps_is_judged_by_its_keys(sandbox, client, lost, again):
    client.create_many(CONTACT, [{"id": f"C{n}", "lastName": f"C{n}", "printAs": f"C{n}"} for n in range(9)])
    read = Read(client, name=CONTACT).late()
    keys = [key for one in read.pages.intervals for key in one.unpack()]
    if lost == "last":
        client.create(CONTACT, {"id": "New", "lastName": "New", "printAs": "New"})
    else:
        read.lose(keys[4])
    proof = read.prove()
    assert proof.again is again
    assert proof.added == (0 if again else 1)
    assert ("no audit.createdDateTime to show that they are new" in proof.problem) is again


def test_rows_by_position_that_are_not_as_many_are_read_again(company):
    company.faults.key_filter = False
    with client_of(company, page_size=PAGE) as client:
        read = Read(client)
        assert read.pages.by_position
        assert not read.prove().again
        read.rows -= 1
        assert read.prove().problem == f"{TOTAL - 1} rows were read and Intacct counts {TOTAL}."


# --- after an earlier attempt


def earlier(last):
    return Interval(1, last, last)


def test_what_an_earlier_try_has_read_counts_too(reader, company):
    read = Read(reader, above="700")
    read.rows += 700
    before = len(calls(company, QUERY))
    proof = read.prove(earlier=earlier(700))
    assert not proof.again
    assert proof.counted == Totals(TOTAL)
    assert len(calls(company, QUERY)) == before + 1


def test_an_earlier_try_within_bounds(reader):
    read = Read(reader, above="700", upto="1500")
    read.rows += 200
    committed = Interval(501, 700, 200)
    assert not read.prove(earlier=committed, above=500).again
    assert read.prove(earlier=committed, above=400).again


def test_what_changed_before_an_earlier_try_ended_is_read_again(reader):
    read = Read(reader, above="700")
    read.rows += 700
    reader.delete(PURPOSE, "300")
    proof = read.prove(earlier=earlier(700))
    assert proof.again
    assert "what an earlier attempt has read has changed since" in proof.problem


def test_what_changed_after_an_earlier_try_ended_is_harmless(reader):
    read = Read(reader, above="700")
    read.rows += 700
    reader.delete(PURPOSE, "1300")
    proof = read.prove(earlier=earlier(700))
    assert (proof.deleted, proof.again) == (1, False)


# --- control totals


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def sandbox(clock):
    with running(clock=clock) as company:
        yield company


@pytest.fixture
def ledger(sandbox, clock):
    """Customers with amounts of many digits, all of them from the minute before."""
    with client_of(sandbox, page_size=10) as client:
        amounts = ["0.25", "12345678901.5", "-7.75", "0.0", "1e3"] * 7
        records = [
            {"id": f"C{n}", "name": f"C{n}", "creditLimit": Decimal(one)} for n, one in enumerate(amounts)
        ]
        assert all(result.ok for result in client.create_many(CUSTOMER, records))
        clock.seconds += 60
        yield client


def with_sums(client, **more):
    return Read(client, ("key", "creditLimit"), name=CUSTOMER, sums=["creditLimit"], **more)


def test_equal_amounts_are_a_proof(ledger):
    read = with_sums(ledger)
    proof = read.prove()
    assert not proof.again
    assert proof.counted.sums == proof.sums == read.sums
    assert proof.facts()["control_totals"] == {"creditLimit": str(proof.counted.sums["creditLimit"])}


def test_amounts_of_one_page_cost_one_call(ledger, sandbox):
    read = with_sums(ledger, filters=field("id") == "C0")
    proof, asked = read.asked(sandbox)
    assert not proof.again
    assert asked == 1


def test_amounts_that_differ_are_told_with_their_difference(ledger):
    read = with_sums(ledger)
    read.sums["creditLimit"] -= Decimal("0.5")
    proof = read.prove()
    assert proof.again
    ours, there = proof.sums["creditLimit"], proof.counted.sums["creditLimit"]
    assert there - ours == Decimal("0.5")
    assert proof.problem == (
        f"creditLimit: {ours} in the rows, {there} in Intacct (difference {there - ours})."
    )


def test_an_amount_that_changed_meanwhile_is_not_compared(ledger, sandbox, clock):
    """Nor does it make the read red: the others could only be compared if the rows said when they changed."""
    read = with_sums(ledger).late()
    clock.seconds += 1
    key = read.pages.intervals[0].unpack()[0]
    ledger.update(CUSTOMER, str(key), {"creditLimit": Decimal("5.25")})
    proof, asked = read.asked(sandbox)
    assert (proof.again, proof.compared.result, asked) == (False, "not comparable", 2)
    assert "of 35 rows 35 are from before" in proof.compared.reason
    facts = proof.facts()
    assert facts["control_totals_result"] == "not comparable"
    assert facts["control_totals"] == {"creditLimit": str(read.sums["creditLimit"])}, "those of the rows"


def test_amounts_are_not_compared_when_records_came_or_went(ledger):
    read = with_sums(ledger).late()
    ledger.delete(CUSTOMER, str(read.pages.intervals[1].unpack()[3]))
    proof = read.prove()
    assert (proof.again, proof.deleted, proof.compared.result) == (False, 1, "not comparable")


def test_an_interval_without_keys_is_one_that_nothing_is_known_of():
    assert Interval(1, 5, 3).packed == b""
