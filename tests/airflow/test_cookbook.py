"""The finance jobs of docs/cookbook.md, each run by Airflow against the sandbox."""

from __future__ import annotations

import csv
import gzip
import json
import re
import secrets
import shlex
import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path

import openpyxl
import pendulum
import pytest
from airflow_parts import asset_extra
from sandbox_client import client_of

from intacct_provider.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "docs" / "examples" / "cookbook"
ENTITY = "company-config/entity"
CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
INVOICE = "accounts-receivable/invoice"
LINE = "general-ledger/journal-entry-line"


@pytest.fixture
def cook(airflow_db, tmp_path):
    """Return a function that runs a recipe, with files in a folder of the test, and returns what its tasks return."""
    from airflow_parts import open_dag_bag

    def run(name, *, states=("success",), logical_date=None, **conf):
        bag = open_dag_bag(str(RECIPES / f"{name}.py"))
        assert not bag.import_errors
        dag = bag.dags[name]
        for task in dag.tasks:
            task.retries = 0  # which would wait for minutes
        conf = {"folder": f"file://{tmp_path}", **conf} if "folder" in dag.params else conf
        run = dag.test(run_conf=conf or None, logical_date=logical_date)
        tasks = run.get_task_instances()
        assert {str(one.state) for one in tasks} == set(states)
        return {one.task_id: one.xcom_pull(task_ids=one.task_id) for one in tasks}

    return run


@pytest.fixture
def shipped(monkeypatch):
    """Run a company with the models of the package, and return a function that adds records."""
    with Sandbox(seed="empty", company="shipped", client_secret=secrets.token_urlsafe(24)) as running:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", running.connection())
        yield running


def read_csv(path, **options):
    with path.open(newline="", **options) as file:
        return [*csv.DictReader(file)]


def test_the_page_shows_each_recipe_and_has_ten():
    page = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
    shown = re.findall(r"\{literalinclude\} examples/cookbook/(\w+)\.py", page)
    assert sorted(shown) == sorted(path.stem for path in RECIPES.glob("*.py"))
    assert len(shown) == len(set(shown)) == 10
    for name in shown:
        assert f"def test_{name}" in Path(__file__).read_text(encoding="utf-8")


def test_load_customers(cook, sandbox, monkeypatch, tmp_path):
    warehouse = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
    assert cook("load_customers")["load"]["rows"] == 240
    with client_of(sandbox) as client:
        gone, changed = [row["key"] for row in client.iter_rows(CUSTOMER, ["key"])][-2:]
        client.delete(CUSTOMER, gone)
        client.update(CUSTOMER, changed, {"name": "Changed"})
    assert cook("load_customers")["load"]["deleted"] == 1
    with sqlite3.connect(tmp_path / "warehouse.db") as database:
        rows = dict(database.execute("SELECT key, name FROM intacct_customers").fetchall())
    assert len(rows) == 239
    assert gone not in rows
    assert rows[changed] == "Changed"


def change(company, object_name, key, columns):
    """Set what no call can: fields that are read-only in the model; amounts are kept in cents."""
    names = ", ".join(f'"{name}" = ?' for name in columns)
    with company.store.transaction() as connection:
        sql = f'UPDATE "{object_name}" SET {names} WHERE "key" = ?'  # noqa: S608
        assert connection.execute(sql, (*columns.values(), key)).rowcount == 1


def add_lines(company, *lines):
    company.seed("general-ledger/account", [{"id": "1000", "name": "Cash"}, {"id": "4000", "name": "Sales"}])
    accounts = {one["id"]: one["key"] for one in company.records("general-ledger/account")}
    company.seed(f"{LINE}={len(lines)}")
    for record, (account, kind, cents, day, state) in zip(company.records(LINE), lines, strict=True):
        columns = {"txnType": kind, "baseAmount": cents, "entryDate": day, "state": state}
        change(company, LINE, record["key"], {**columns, "glAccount.key": accounts[account]})


def test_trial_balance(cook, shipped, tmp_path):
    add_lines(
        shipped,
        ("1000", "debit", 10010, "2026-05-31", "posted"),
        ("4000", "credit", 10010, "2026-05-31", "posted"),
        ("1000", "debit", 700, "2026-06-30", "draft"),
        ("1000", "debit", 900, "2026-07-01", "posted"),
        ("1000", "debit", 500, "2026-06-30", "reversed"),
        ("4000", "credit", 500, "2026-06-30", "reversed"),
        ("1000", "credit", 500, "2026-07-01", "reversal"),
        ("4000", "debit", 500, "2026-07-01", "reversal"),
    )
    cook("trial_balance", month_end="2026-06-30")
    rows = read_csv(tmp_path / "trial_balance_2026-06-30.csv")
    assert rows == [
        {"account": "1000", "name": "Cash", "balance": "105.10"},
        {"account": "4000", "name": "Sales", "balance": "-105.10"},
    ]
    cook("trial_balance", month_end="2026-07-31", states=("success", "failed"))
    assert not (tmp_path / "trial_balance_2026-07-31.csv").exists()


def test_customer_master(cook, sandbox, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Account", "Customer name", "Payment term", "Credit limit", "Owner"])
    book.active.append(["C-00001", "Northwind Freight", "Net 45", 20000, "Ann"])
    book.active.append(["NEW-1", "New customer ", "Net 30", 5000, "Ben"])
    book.save(tmp_path / "customers.xlsx")
    assert cook("customer_master")["sync_customers"]["updated"] == 1
    customers = {one["id"]: one for one in sandbox.records(CUSTOMER)}
    assert customers["C-00001"]["term"]["id"] == "Net 45"
    assert customers["NEW-1"]["name"] == "New customer"
    assert cook("customer_master")["sync_customers"]["unchanged"] == 2


def test_dunning_list(cook, shipped, tmp_path):
    invoices = (
        ("late", "2026-01-31", 1250, "posted"),
        ("paid", "2026-01-31", 0, "paid"),
        ("not yet", "2999-01-31", 900, "posted"),
        ("draft", "2026-01-31", 900, "draft"),
    )
    shipped.seed(f"{CUSTOMER}=1,{INVOICE}={len(invoices)}")
    [customer] = shipped.records(CUSTOMER)
    for record, (number, day, cents, state) in zip(shipped.records(INVOICE), invoices, strict=True):
        columns = {"invoiceNumber": number, "dueDate": day, "totalTxnAmountDue": cents, "state": state}
        change(shipped, INVOICE, record["key"], {**columns, "customer.key": customer["key"]})
    path = Path(cook("dunning_list")["export_overdue_invoices"]["path"].removeprefix("file://"))
    [row] = read_csv(path, encoding="utf-8-sig")
    assert (row["invoice"], row["customer"], row["amount_due"]) == ("late", customer["id"], "12.50")


def test_segment_customers(cook, sandbox):
    cook("segment_customers")
    groups = {one["id"]: one for one in sandbox.records(GROUP)}
    with client_of(sandbox) as client:
        rows = [*client.iter_rows(CUSTOMER, ["id", "status", "totalDue"])]
    wanted = {
        row["id"]
        for row in rows
        if row["status"] == "active" and Decimal(25000) < Decimal(row["totalDue"] or 0) <= Decimal(100000)
    }
    assert {one["id"] for one in groups["SEGMENT-B"]["groupMembers"]} == wanted != set()
    assert cook("segment_customers")["sync_groups"]["unchanged"] == 3


def test_wait_for_close(cook, sandbox, tmp_path):
    assert cook("wait_for_close", month_end="2023-09-30")["export_balances"]["rows"] == 240
    assert (tmp_path / "closed_2023-09-30.csv").is_file()


@pytest.mark.parametrize(("month_end", "undated"), [("2023-10-31", False), ("2023-09-30", True)])
def test_wait_for_close_waits_while_an_entity_is_open(airflow_db, sandbox, month_end, undated):
    from airflow_parts import TaskDeferred, open_dag_bag

    if undated:
        entity = sandbox.records(ENTITY)[0]
        change(sandbox, ENTITY, entity["key"], {"openBooksStartDate": None})
    task = open_dag_bag(str(RECIPES / "wait_for_close.py")).dags["wait_for_close"].tasks[0]
    task.render_template_fields({"params": {"month_end": month_end}})
    with pytest.raises(TaskDeferred):
        task.execute({})


def test_archive_account_groups(cook, sandbox):
    result = cook("archive_account_groups")["archive"]
    with gzip.open(result["path"].removeprefix("file://"), "rt", encoding="utf-8") as file:
        groups = [json.loads(line) for line in file]
    assert len(groups) == result["rows"] == 60
    assert any(group["accountGroupMembers"] for group in groups)


def test_find_duplicates(cook, sandbox, tmp_path):
    before = cook("find_duplicates")["find_customers_with_one_name"]
    with client_of(sandbox) as client:
        client.create(CUSTOMER, {"id": "TWICE", "name": "northwind freight, Group"})
    assert cook("find_duplicates")["find_customers_with_one_name"] == before + 1
    names = Counter(row["name"] for row in read_csv(tmp_path / "duplicates.csv"))
    assert names["Northwind Freight Group"] == names["northwind freight, Group"] == 1


def test_backfill_invoices(cook, shipped, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    days = ("2026-02-01", "2026-02-28", "2026-03-01")
    shipped.seed(f"{INVOICE}=3")
    for record, day in zip(shipped.records(INVOICE), days, strict=True):
        change(shipped, INVOICE, record["key"], {"invoiceNumber": day, "invoiceDate": day})
    cook("backfill_invoices", logical_date=pendulum.datetime(2026, 3, 1, tz="UTC"))
    rows = parquet.read_table(tmp_path / "invoices" / "2026-02.parquet").to_pylist()
    assert [row["invoiceNumber"] for row in rows] == ["2026-02-01", "2026-02-28"]


def test_the_commands_of_the_backfill_are_commands_of_airflow_and_name_its_pool():
    from airflow.cli.cli_parser import get_parser
    from airflow_parts import open_dag_bag

    page = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
    pool, unpause, backfill = (
        get_parser().parse_args(shlex.split(line)[1:])
        for line in re.findall("^airflow .*$", page, re.MULTILINE)
    )
    dag = open_dag_bag(str(RECIPES / "backfill_invoices.py")).dags["backfill_invoices"]
    assert {task.pool for task in dag.tasks} == {pool.pool}
    assert all(task.pool_slots * backfill.max_active_runs <= int(pool.slots) for task in dag.tasks)
    assert unpause.dag_id == backfill.dag_id == dag.dag_id
    first, last = backfill.from_date.date(), backfill.to_date.date()
    assert (first.isoformat(), last.isoformat()) == ("2024-02-01", "2026-01-01")


def test_cost_report(cook, sandbox, tmp_path, capsys):
    (tmp_path / "customer_groups.csv").write_text("id,name,groupType\nWEST,Western customers,all\n")
    before = sandbox.transactions
    returned = cook("cost_report")
    cost = sandbox.transactions - before
    assert f"This run took {cost} billed transactions" in capsys.readouterr().out
    tasks = {name: returned[name]["transactions"] for name in ("sync_groups", "export_groups")}
    assert asset_extra("intacct_costs") == {"transactions": cost, "tasks": tasks}
    before = sandbox.transactions
    cook("cost_report", limit=1, states=("success", "failed"))
    again = sandbox.transactions - before
    assert 1 < again < cost
    assert asset_extra("intacct_costs")["transactions"] == again
