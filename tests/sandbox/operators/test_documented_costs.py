"""What exports and records cost is what the documentation's tables say, by the sandbox's own count."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow_parts import AssetShelves
from documented_costs import read_cost, read_costs
from sandbox_client import client_of, running

from intacct_provider.client.query import field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.records import (
    IntacctCreateRecordOperator,
    IntacctDeleteRecordOperator,
    IntacctGetRecordOperator,
    IntacctListRecordsOperator,
    IntacctUpdateRecordOperator,
)
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
GROUP = "general-ledger/account-group"


CUSTOMERS = Asset("customers")


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


@pytest.fixture(scope="module")
def company():
    with running("demo") as one:
        yield one


@pytest.fixture(scope="module")
def large():
    with running(f"{CUSTOMER}=10000") as one:
        yield one


@pytest.fixture
def bill(monkeypatch):
    """Return a function that runs an operator against a company and returns what that is billed."""

    def run(company, operator, context=None, **arguments):
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        before = company.transactions
        run.result = operator(task_id="task", **arguments).execute(context or {})
        return company.transactions - before

    return run


@pytest.mark.slow
def test_what_exports_cost(company, large, bill, tmp_path):
    def export(one, object_name, name="rows.jsonl", **arguments):
        return bill(
            one,
            IntacctToObjectStorageOperator,
            object_name=object_name,
            destination=f"{tmp_path}/{name}",
            **arguments,
        )

    some, whole = {"fields": ["key", "id"]}, {"detail": True}
    measured = {
        "60 account groups": export(company, GROUP, **some),
        "10,000 customers": export(large, CUSTOMER, **some),
        "60 account groups with `detail=True`": export(company, GROUP, **whole),
        "the same as Parquet": export(company, GROUP, "rows.parquet", **whole),
        'the same with `lists="tables"`': export(company, GROUP, "lists.parquet", lists="tables", **whole),
        '240 customers with `entities="all"`': export(company, CUSTOMER, entities="all", **some),
        '240 customers with `fields="*"`': export(company, CUSTOMER, fields="*"),
        '240 customers with `control_totals=["totalDue"]`': export(
            company, CUSTOMER, fields=["key", "totalDue"], control_totals=["totalDue"]
        ),
        '240 customers with `filters=field("status") == "active"`': export(
            company, CUSTOMER, filters=field("status") == "active", **some
        ),
        "plan of 3 ranges of 10,000 customers": bill(
            large, IntacctKeyRangesOperator, object_name=CUSTOMER, ranges=3
        ),
    }
    ranges = bill.result
    costs = []
    exports = []
    for one in ranges:
        costs.append(export(large, CUSTOMER, "ranges.jsonl", key_range=one, **some))
        exports.append(bill.result)
    measured["export of these ranges"] = sum(costs)
    measured["commit of the ranges"] = bill(
        large, IntacctCommitExportOperator, destination=f"{tmp_path}/ranges.jsonl", exports=exports
    )
    shown = read_costs("Exports")
    assert {work: str(count) for work, count in measured.items()} == {
        work: cost for work, cost in shown.items() if work in measured
    }


@pytest.mark.slow
def test_what_incremental_exports_cost(large, bill, tmp_path):
    def export(run_id, detect=None):
        shelf = shelves.setdefault(detect, Shelf())
        task = SimpleNamespace(
            dag_id="d", task_id=f"t_{detect}", run_id=run_id, map_index=-1, max_tries=0, try_number=1
        )
        return bill(
            large,
            IntacctToObjectStorageOperator,
            {"ti": task, "run_id": run_id, "asset_state_store": AssetShelves(CUSTOMERS, shelf)},
            object_name=CUSTOMER,
            fields=["key", "id"],
            destination=f"{tmp_path}/{detect}.jsonl",
            incremental="audit.modifiedDateTime",
            detect_deletes=detect,
            lookback=timedelta(0),
            outlets=[CUSTOMERS],
        )

    shelves = {}
    with client_of(large) as client:

        def change():
            client.update(CUSTOMER, "17", {"name": f"Changed {len(client.list(CUSTOMER))}"})

        measured = {"first run with `incremental`, 10,000 customers": export("1")}
        change()
        measured["next run, one customer changed"] = export("2")
        export("1", "keys")
        change()
        measured['next run with `detect_deletes="keys"`'] = export("2", "keys")
        export("1", "audit")
        change()
        measured['next run with `detect_deletes="audit"`'] = export("2", "audit")
    shown = read_costs("Exports")
    assert {work: str(count) for work, count in measured.items()} == {
        work: shown.get(work) for work in measured
    }


@pytest.mark.slow
def test_what_an_export_of_50_000_rows_costs(bill, tmp_path):
    with running(f"{CUSTOMER}=50000") as fifty:
        cost = bill(
            fifty,
            IntacctToObjectStorageOperator,
            object_name=CUSTOMER,
            fields=["key", "id"],
            destination=f"{tmp_path}/rows.jsonl",
        )
    assert cost == read_cost("Exports", "50,000 customers")


def test_what_work_on_single_records_costs(bill):
    with running("demo") as company:
        one, two = (record["id"] for record in company.records(CUSTOMER)[:2])
        key = company.records(CUSTOMER)[0]["key"]
        customer, change = {"object_name": CUSTOMER}, {"changes": {"name": "Changed"}}
        measured = {
            "read, update or delete a record by `key`": {
                bill(company, IntacctGetRecordOperator, key=key, **customer),
                bill(company, IntacctUpdateRecordOperator, key=key, **customer, **change),
                bill(
                    company, IntacctDeleteRecordOperator, key=company.records(CUSTOMER)[-1]["key"], **customer
                ),
            },
            "the same by `record_id`": {
                bill(company, IntacctGetRecordOperator, record_id=one, **customer),
                bill(company, IntacctUpdateRecordOperator, record_id=two, **customer, **change),
                bill(
                    company,
                    IntacctDeleteRecordOperator,
                    record_id=company.records(CUSTOMER)[-1]["id"],
                    **customer,
                ),
            },
            "create a record": {
                bill(company, IntacctCreateRecordOperator, record={"id": "NEW", "name": "New"}, **customer)
            },
            "create a customer group, whose key is looked up": {
                bill(
                    company,
                    IntacctCreateRecordOperator,
                    object_name=CUSTOMER_GROUP,
                    record={"id": "G", "name": "G", "groupType": "all"},
                )
            },
            "list an object": {bill(company, IntacctListRecordsOperator, **customer)},
            "query up to 4,000 rows": {
                bill(company, IntacctQueryOperator, fields=["key", "id"], **customer),
            },
            "query sums and counts of groups": {
                bill(company, IntacctQueryOperator, fields=["status", "count:id"], **customer)
            },
            'query with `fields="*"`': {bill(company, IntacctQueryOperator, fields="*", **customer)},
        }
    shown = read_costs("Records and queries")
    assert {work: set(map(str, counts)) for work, counts in measured.items()} == {
        work: {shown.get(work)} for work in measured
    }


@pytest.mark.slow
def test_what_a_client_costs(large):
    with client_of(large) as client:
        before = large.transactions
        assert len(list(client.iter_rows(CUSTOMER, ["key"]))) == 10_000
        assert large.transactions - before == read_cost("The client", "`iter_rows` of 10,000 rows")
    with running(f"{CUSTOMER}=1200") as company, client_of(company) as client:
        keys = [record["key"] for record in company.records(CUSTOMER)]

        def count(work):
            before = company.transactions
            work()
            assert client.transactions - count.before == company.transactions - before
            count.before = client.transactions
            return f"{company.transactions - before:,}"

        count.before = 0
        measured = {
            "`get`, `find` or `list`": {
                count(lambda: client.get(CUSTOMER, keys[0])),
                count(lambda: client.find(CUSTOMER, company.records(CUSTOMER)[0]["id"])),
                count(lambda: client.list(CUSTOMER)),
            },
            "`get_many` of 1,200 records": {count(lambda: list(client.get_many(CUSTOMER, keys)))},
            "`query`": {count(lambda: client.query(CUSTOMER, ["key"]))},
            "`iter_rows` of 1,200 rows": {count(lambda: list(client.iter_rows(CUSTOMER, ["key"])))},
            "`model`, the first time": {count(lambda: client.model(CUSTOMER))},
            "`update_many` of 1,200 records": {
                count(lambda: client.update_many(CUSTOMER, [{"key": key, "name": "x"} for key in keys]))
            },
        }
    shown = read_costs("The client")
    assert measured == {work: {shown.get(work)} for work in measured}


def test_what_filters_cost_more(company, bill, tmp_path):
    def export(**filters):
        destination = f"{tmp_path}/filtered.jsonl"
        what = {"object_name": CUSTOMER, "fields": ["key"], "destination": destination}
        return bill(company, IntacctToObjectStorageOperator, **what, **filters)

    def query(filters, client=None):
        with client_of(company) as own:
            before = company.transactions
            rows = (client or own).query(CUSTOMER, ["key"], filters=filters).rows
        return company.transactions - before - 1, bool(rows)

    with company.store.transaction() as connection:
        connection.execute(f'UPDATE "{CUSTOMER}" SET "status" = ? WHERE "key" = 3', ("onHold",))  # noqa: S608
    with client_of(company) as informed:
        informed.model(CUSTOMER)
        unlisted, _ = query(field("status").in_(["active", "onHold", "inactive"]), informed)
        related, _ = query(field("parent.term.status") != "inactive", informed)
        before = company.transactions
        with pytest.raises(IntacctArgumentError):
            informed.query(CUSTOMER, ["key"], filters=field("totalDue").between(1000, 500))
        contradictory = company.transactions - before
    measured = {
        "of an export, or of the plan of a sync": export(filters=field("status") != "inactive") - export(),
        "of `id`, `name` or `key`": query(field("id") != "nobody")[0],
        "of `==`, parts of text, or ranges, all joined by *and*, as long as rows come": query(
            (field("status") == "active") & field("status").contains("act") & (field("totalDue") > 0)
        )[0],
        "any other, or when there are no rows": query(field("status") != "inactive")[0],
        "of a field that only a related object's model describes": related,
        "with values that the model does not list": unlisted,
        "with conditions that exclude each other in a field of its type": contradictory,
    }
    assert query((field("status") == "active") & (field("totalDue") > 10**9)) == (1, False)
    shown = {
        work: cost.partition(" ")[0].rstrip(":")
        for work, cost in read_costs("Filters", "records-and-queries").items()
    }
    assert {work: str(cost) if cost else "none" for work, cost in measured.items()} == {
        work: shown.get(work) for work in measured
    }
