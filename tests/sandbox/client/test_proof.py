"""The proof of a read: what its answers count and add up against the rows; what came or went meanwhile against loss."""

import re
import threading
from decimal import Decimal

import pytest
from sandbox_client import InterruptedClient, calls, client_of, running
from sandbox_clocks import StandingClock

from intacct_provider.client.paging.key_intervals import Bounds
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
EVERYTHING = range(1, TOTAL + 1)


@pytest.fixture
def company():
    """Two thousand records that nothing refers to, so that any of them can be deleted."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        yield one


class Read:
    """A read to its end, and the facts about its rows.

    :param changes: what happens after the answers to queries, by their number, from 1; called with another client.
    :param hidden: keys of records whose rows are never sent, although their keys are.
    :param counted: whether the pages in which they are missing count them.
    """

    def __init__(
        self,
        company,
        fields=("key", "id"),
        *,
        name=PURPOSE,
        filters=None,
        sums=(),
        size=PAGE,
        changes=None,
        hidden=(),
        counted=True,
        **bounds,
    ):
        self.company, others, lock = company, client_of(company), threading.Lock()

        def happen():
            with lock:
                change = (changes or {}).pop(self.client.pages, None)
            if change:
                change(others)

        self.client = InterruptedClient(company, happen, page_size=size, max_concurrency=1)
        hide(self.client, hidden, counted=counted)
        self.pages = self.client.read_pages(
            Query.build(name, fields, filters=filters), StructRows(fields), **bounds
        )
        self.late, rows, self.keys = [], [], []
        for page in self.pages:
            (self.late if page.late else self.keys).extend(map(int, page.keys))
            rows += [dict(zip(fields, StructRows.values(row), strict=True)) for row in page.rows]
        assert self.keys == sorted(self.keys)
        assert len({*self.keys, *self.late}) == len(rows), "a record came twice"
        self.calls = self.client.pages
        self.rows = len(rows)
        self.sums = {name: sum((Decimal(str(row[name] or 0)) for row in rows), Decimal(0)) for name in sums}

    def prove(self, **more):
        return prove(self.pages, **{"rows": self.rows, "sums": self.sums, **more})

    def asked(self, **more):
        """Prove it, and return how many calls that took, too."""
        before = len(calls(self.company, QUERY))
        return self.prove(**more), len(calls(self.company, QUERY)) - before


def hide(client, hidden, *, counted=True):
    """Let records be listed by key and counted, and never be sent with their fields.

    :param counted: whether the pages in which they are missing count them.
    """
    fetch_page, names = client._queries.fetch_page, [*map(str, hidden)]

    def fetch(query, *place, **how):
        whole = query.fields == ("key",) or "count:key" in query.fields
        if whole or not hidden:
            return fetch_page(query, *place, **how)
        if not counted:
            return fetch_page(query.narrow({"$notIn": {"key": names}}), *place, **how)
        page = fetch_page(query, *place, **how)
        return page.pick([n for n, key in enumerate(page.keys) if key not in names])

    client._queries.fetch_page = fetch


def undisturbed(size=PAGE):
    """Return the calls for all records, if nothing happens."""
    return TOTAL // size + 1 + 1


# --- equal


def test_answers_that_agree_are_a_proof_that_costs_no_call_more(company):
    read = Read(company)
    proof, asked = read.asked()
    assert not proof.again
    assert (asked, read.calls) == (0, TOTAL // PAGE + 1 + 1)
    assert proof.facts() == {
        "result": "equal",
        "rows": TOTAL,
        "counted": TOTAL,
        "deleted_meanwhile": 0,
        "added_meanwhile": 0,
        "control_totals": {},
    }


def test_one_page_is_proven_by_its_own_count(company):
    read = Read(company, filters=field("key") <= "7")
    assert read.asked() == (read.prove(), 0)
    assert read.calls == 1
    assert read.prove().facts()["counted"] == 7


@pytest.mark.parametrize("count", [-3, 3])
def test_a_page_that_miscounts_itself_is_no_reason_to_read_again(company, count):
    company.fail(kind="alter", count=count, path=QUERY)
    read = Read(company, filters=field("key") <= "7")
    assert read.prove().facts()["result"] == "equal"
    assert read.prove().counted == Totals(7)
    assert read.calls <= 2 * 1 + 10


@pytest.mark.parametrize(
    "page", [0, 7, 21, *(pytest.param(page, marks=pytest.mark.slow) for page in (1, 2, 20))]
)
@pytest.mark.parametrize("count", [-1, 1])
def test_one_count_that_is_wrong_costs_calls_and_changes_nothing(company, page, count):
    company.fail(kind="alter", count=count, path=QUERY, skip=page)
    read = Read(company)
    assert (read.keys, read.late) == ([*EVERYTHING], [])
    assert read.prove().facts()["result"] == "equal"
    assert read.prove().counted == Totals(TOTAL)
    assert read.calls <= 2 * undisturbed() + 10


def test_bounds_are_those_of_the_read(company):
    read = Read(company, above="150", upto="1750")
    assert read.keys == [*range(151, 1751)]
    assert read.prove().counted.count == 1600
    assert read.calls <= 1600 // PAGE + 2


def test_nothing_read_and_nothing_there(company):
    read = Read(company, filters=field("id") == "nothing")
    assert not read.prove().again
    assert read.calls == 2, "a first page without rows is asked for once more"


# --- what came and went


def test_records_deleted_meanwhile_are_harmless(company):
    read = Read(company, changes={12: lambda other: other.delete_many(PURPOSE, ["777", "778", "1500"])})
    proof, asked = read.asked()
    assert not proof.again
    assert (proof.deleted, proof.added, proof.counted.count) == (2, 0, TOTAL - 3)
    assert proof.facts()["result"] == "changed meanwhile"
    assert proof.rows == TOTAL - 1, "1500 was not read any more"
    assert (asked, read.late) == (0, [])
    assert read.calls <= 2 * undisturbed() + 10


def test_records_added_meanwhile_are_harmless(company):
    """Those above the highest key when the read began need not be in it, and are if that costs nothing."""
    made = {5: lambda other: other.create_many(PURPOSE, [{"id": f"New {n}"} for n in range(5)])}
    read = Read(company, changes=made)
    proof = read.prove()
    assert (proof.again, proof.deleted, proof.added) == (False, 0, 0)
    assert read.keys[:TOTAL] == [*EVERYTHING]
    assert proof.counted.count == proof.rows == read.rows
    assert read.calls <= 2 * undisturbed() + 10


def test_as_many_deleted_as_added_lose_nothing(company):
    def change(other):
        other.delete(PURPOSE, "1")
        other.create(PURPOSE, {"id": "New"})

    read = Read(company, changes={9: change})
    assert not read.prove().again
    assert read.keys[:TOTAL] == [*EVERYTHING]
    assert read.calls <= 2 * undisturbed() + 10


def test_records_that_came_to_match_meanwhile_are_read_last(company):
    """However old they are."""

    def change(other):
        other.update(PURPOSE, "40", {"id": "Purpose again"})
        other.update(PURPOSE, "700", {"id": "No more"})
        other.update(PURPOSE, "1900", {"id": "Nor this"})
        other.create(PURPOSE, {"id": "Other"})

    with client_of(company) as client:
        client.update(PURPOSE, "40", {"id": "Not at first"})
    company.faults.clock_skew = 3600  # so that what follows is later by the server's clock
    read = Read(company, filters=field("id").startswith("Purpose"), changes={12: change})
    proof = read.prove()
    assert read.late == [40]
    assert (proof.deleted, proof.added, proof.again) == (1, 1, False)
    assert proof.facts()["result"] == "changed meanwhile"
    assert read.keys == [key for key in EVERYTHING if key not in (40, 1900)]
    assert proof.counted.count == TOTAL - 2
    assert read.calls <= 2 * undisturbed() + 10


def test_everything_deleted_meanwhile_is_harmless(company):
    everything = [*map(str, EVERYTHING)]
    read = Read(company, size=1000, changes={1: lambda other: other.delete_many(PURPOSE, everything)})
    proof = read.prove()
    assert (proof.rows, proof.deleted, proof.counted.count, proof.again) == (1000, 1000, 0, False)


def test_change_after_every_call_never_makes_a_read_red(company):
    """However much of it, and however scattered: it costs as many calls again."""
    doomed = [map(str, range(n, TOTAL + 1, 90)) for n in range(1, 80)]
    read = Read(
        company,
        changes={
            n: lambda other, keys=keys: other.delete_many(PURPOSE, list(keys))
            for n, keys in enumerate(doomed, 1)
        },
    )
    proof = read.prove()
    assert not proof.again
    gone = {key for n in range(1, min(80, read.calls + 1)) for key in range(n, TOTAL + 1, 90)}
    assert {*EVERYTHING} - gone <= {*read.keys, *read.late}
    assert read.calls <= 2 * undisturbed() + 10


# --- loss


@pytest.mark.parametrize("page", [1, 7, 20])
@pytest.mark.parametrize("place", [1, 50, 100])
def test_a_row_that_a_page_has_lost_is_asked_for_again(company, page, place):
    company.fail(kind="alter", drop=place, path=QUERY, skip=page)
    read = Read(company)
    proof, asked = read.asked()
    assert sorted(read.keys + read.late) == [*EVERYTHING]
    assert (proof.again, proof.counted.count, asked) == (False, TOTAL, 0)
    assert read.calls <= 2 * undisturbed() + 10


def test_a_record_that_is_never_sent_is_told_with_both_statements(company):
    with pytest.raises(IntacctIncompleteReadError) as caught:
        Read(company, hidden=[1234])
    assert re.search(r"above key 1\d+ up to 1\d+ but sends 99 of them", str(caught.value))
    assert "Intacct counts 100 records" in str(caught.value)


def test_many_records_that_are_listed_and_never_sent_are_named_by_the_first(company):
    with pytest.raises(IntacctIncompleteReadError, match=r"keys 501, 502, 503, 504, 505 and 5 more"):
        Read(company, hidden=range(501, 511), counted=False)


def test_a_record_that_is_listed_and_never_sent_is_named_while_others_go(company):
    changes = {12: lambda other: other.delete_many(PURPOSE, ["1400", "1401"])}
    with pytest.raises(IntacctIncompleteReadError, match=r"keys? 42 and does not send"):
        Read(company, hidden=[42], changes=changes, counted=False)


def test_a_loss_of_the_last_while_others_come_is_found(company):
    changes = {12: lambda other: other.create_many(PURPOSE, [{"id": f"New {n}"} for n in range(5)])}
    with pytest.raises(IntacctIncompleteReadError, match=r"above key 1999 but sends none"):
        Read(company, hidden=[TOTAL], changes=changes)


def test_all_lost_is_found(company):
    with pytest.raises(IntacctIncompleteReadError, match=r"Intacct counts 3 records but sends none"):
        Read(company, hidden=[1, 2, 3], filters=field("key") <= "3")


@pytest.mark.parametrize("change", ["last", "front"])
def test_an_object_without_stamps_is_read_as_well(sandbox, client, change):
    """Whether records are new need not be known."""
    made = client.create_many(
        CONTACT, [{"id": f"C{n}", "lastName": f"C{n}", "printAs": f"C{n}"} for n in range(9)]
    )
    first = made[0].key
    client.update(CONTACT, first, {"lastName": "Not at first"})

    def happen(other):
        if change == "last":
            other.create(CONTACT, {"id": "New", "lastName": "C New", "printAs": "New"})
        else:
            other.update(CONTACT, first, {"lastName": "C0"})
            other.update(CONTACT, made[8].key, {"lastName": "No more"})

    read = Read(sandbox, name=CONTACT, size=3, filters=field("lastName").startswith("C"), changes={1: happen})
    assert not read.prove().again
    assert read.late == ([int(first)] if change == "front" else [])


def test_rows_by_position_are_counted_by_their_passes(company):
    company.faults.key_filter = False
    read = Read(company)
    assert read.pages.by_position
    proof, asked = read.asked()
    assert (proof.again, asked, read.rows) == (False, 0, TOTAL)


# --- after an earlier attempt


def test_what_an_earlier_try_has_read_counts_too(company):
    read = Read(company, above="700")
    proof, asked = read.asked(rows=TOTAL, earlier=(Bounds(None, 700), 700))
    assert not proof.again
    assert proof.counted == Totals(TOTAL)
    assert asked == 1


def test_an_earlier_try_within_bounds(company):
    read = Read(company, above="700", upto="1500")
    assert not read.prove(rows=1000, earlier=(Bounds(500, 700), 200)).again
    assert read.prove(rows=1000, earlier=(Bounds(400, 700), 200)).again


def test_what_changed_before_an_earlier_try_ended_is_read_again(company):
    read = Read(company, above="700")
    read.client.delete(PURPOSE, "300")
    proof = read.prove(rows=TOTAL, earlier=(Bounds(None, 700), 700))
    assert proof.problem == (
        "an earlier attempt has read 700 rows up to key 700, and Intacct counts 699 of them."
    )
    assert proof.facts()["result"] == "unproven"
    assert str(proof.error()) == f"The read of {PURPOSE} cannot be proven complete: {proof.problem}"


def test_what_changed_after_an_earlier_try_ended_is_harmless(company):
    read = Read(
        company, above="700", changes={12: lambda other: other.delete_many(PURPOSE, ["1300", "1950"])}
    )
    proof = read.prove(rows=700 + read.rows, earlier=(Bounds(None, 700), 700))
    assert (proof.deleted, proof.counted.count, proof.again) == (1, TOTAL - 2, False)


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


def with_sums(sandbox, **more):
    return Read(sandbox, ("key", "creditLimit"), name=CUSTOMER, sums=["creditLimit"], **{"size": 10, **more})


def test_equal_amounts_are_a_proof(sandbox, ledger):
    read = with_sums(sandbox)
    proof, asked = read.asked()
    assert (proof.again, asked) == (False, 1)
    assert proof.counted.sums == proof.sums == read.sums
    assert proof.facts()["control_totals"] == {"creditLimit": str(proof.counted.sums["creditLimit"])}


def test_amounts_of_one_page_cost_one_call(sandbox, ledger):
    proof, asked = with_sums(sandbox, filters=field("id") == "C0").asked()
    assert (proof.again, asked) == (False, 1)


def test_amounts_that_differ_are_told_with_their_difference(sandbox, ledger):
    read = with_sums(sandbox)
    read.sums["creditLimit"] -= Decimal("0.5")
    proof = read.prove()
    assert proof.again
    ours, there = proof.sums["creditLimit"], proof.counted.sums["creditLimit"]
    assert there - ours == Decimal("0.5")
    assert proof.problem == (
        f"creditLimit: {ours} in the rows, {there} in Intacct (difference {there - ours})."
    )


def test_an_amount_that_changed_meanwhile_is_not_compared(sandbox, ledger, clock):
    """Nor does it make the read red: the others could only be compared if the rows said when they changed."""
    read = with_sums(sandbox)
    clock.seconds += 1
    ledger.update(CUSTOMER, str(read.keys[0]), {"creditLimit": Decimal("5.25")})
    proof, asked = read.asked()
    assert (proof.again, proof.compared.result, asked) == (False, "not comparable", 2)
    assert "of 35 rows 35 are from before" in proof.compared.reason
    facts = proof.facts()
    assert facts["control_totals_result"] == "not comparable"
    assert facts["control_totals"] == {"creditLimit": str(read.sums["creditLimit"])}, "those of the rows"


def test_amounts_are_not_compared_when_records_went(sandbox, ledger):
    key = min(int(row["key"]) for row in ledger.iter_rows(CUSTOMER, ["key"]))
    read = with_sums(sandbox, changes={3: lambda other: other.delete(CUSTOMER, str(key))})
    proof = read.prove()
    assert (proof.again, proof.deleted, proof.compared.result) == (False, 1, "not comparable")


def test_amounts_are_compared_over_records_that_existed_before_when_others_came(sandbox, ledger, clock):
    def change(other):
        clock.seconds += 1
        other.create(CUSTOMER, {"id": "New", "name": "New", "creditLimit": Decimal("5.25")})

    read = with_sums(sandbox, changes={3: change})
    proof = read.prove()
    assert not proof.again
    assert proof.compared.result in ("equal", "equal for unchanged records", "not comparable")
    assert proof.rows == read.rows
