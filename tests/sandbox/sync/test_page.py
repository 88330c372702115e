"""What docs/sync.md shows is what the operators print for the demo company."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import client_of, running

from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "sync.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
GROUP = "accounts-receivable/customer-group"
WRONG = """\
id,name,groupType,isDimensionStructure,groupMembers[].id
KEY-ACCOUNTS,Key accounts,everyone,yes,
WATCHLIST,Credit watch list,specific,true,C-00014|C-99999
"""


@pytest.fixture
def demo(monkeypatch):
    with running("demo") as company:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        yield company


def folded(text):
    """Take text for the same however its lines are broken."""
    return " ".join(text.split())


def test_the_plan(demo, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT / "example_dags" / "data")
    operator = IntacctPlanSyncOperator(
        task_id="plan",
        object_name=GROUP,
        desired="customer_groups.csv",
        plan_path=f"file://{tmp_path}/groups.plan.json",
    )
    text = re.sub(r"SHA-256: [0-9a-f]{64}", "SHA-256: 5f0c1d9be2a4…", operator.execute({})["markdown"])
    assert text.strip() + "\n" in SHOWN


def test_the_problems(demo, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("groups.csv").write_text(WRONG)
    operator = IntacctSyncOperator(task_id="t", object_name=GROUP, desired="groups.csv")
    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})
    assert str(caught.value) + "\n" in SHOWN


def test_the_limit(demo):
    operator = IntacctSyncOperator(
        task_id="t",
        object_name=GROUP,
        desired=[{"id": "KEY-ACCOUNTS"}],
        mode="mirror",
        scope="all",
        max_deletes=2,
    )
    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})
    assert folded(str(caught.value)) in map(folded, SHOWN)


# --- from a spreadsheet

WORKBOOK = ROOT / "example_dags" / "data" / "customer_groups.xlsx"
CORRECTED = WORKBOOK.with_name("customer_groups_corrected.xlsx")


def spreadsheet_arguments():
    """Return the arguments of the example DAG's operator that do not depend on its run."""
    names = runpy.run_path(str(ROOT / "example_dags" / "intacct_sync_from_spreadsheet.py"))
    return {
        name: getattr(names["plan"], name)
        for name in ("object_name", "columns", "where", "value_maps", "trim")
    }


def test_the_workbook_is_the_sheet_on_the_page():
    import openpyxl

    rows = list(openpyxl.load_workbook(WORKBOOK).active.iter_rows(values_only=True))
    shown = re.findall(r"^\| (\d) \|(.*)\|$", PAGE, re.MULTILINE)
    for (number, line), row in zip(shown, rows[1:], strict=True):
        cells = [cell.strip().replace("\\|", "|").replace("␠", " ") for cell in re.split(r"(?<!\\)\|", line)]
        texts = ["" if cell is None else str(cell) for cell in row]
        assert cells == [text.replace("4.7e+17", "4.7E+17") for text in texts], number


def test_the_spreadsheet_from_problems_to_ledger(demo, monkeypatch, tmp_path):
    import openpyxl

    monkeypatch.chdir(tmp_path)
    Path("customer_groups.xlsx").write_bytes(WORKBOOK.read_bytes())

    def plan(desired="customer_groups.xlsx"):
        return IntacctPlanSyncOperator(
            task_id="plan",
            desired=desired,
            plan_path=f"file://{tmp_path}/groups.plan.json",
            **spreadsheet_arguments(),
        ).execute({})

    with pytest.raises(AirflowFailException) as caught:
        plan()
    assert str(caught.value) + "\n" in SHOWN
    with client_of(demo) as client:
        assert client.find(GROUP, "WATCHLIST") is None

    book = openpyxl.load_workbook("customer_groups.xlsx")
    corrections = re.findall(r"`([A-H][3-9])`[ \n]to[ \n]`([^`]+)`", PAGE)
    assert len(corrections) == 4
    for cell, text in corrections:
        book.active[cell] = text
    sample = openpyxl.load_workbook(CORRECTED).active
    assert [*sample.values] == [*book.active.values]
    book.save("customer_groups.xlsx")
    planned = plan()
    text = re.sub(r"SHA-256: [0-9a-f]{64}", "SHA-256: 5f0c1d9be2a4…", planned["markdown"])
    assert text.strip() + "\n" in SHOWN
    assert not Path("groups.plan.rejects.jsonl").exists()
    done = IntacctApplySyncOperator(task_id="apply", plan=planned).execute({})
    assert (done["created"], done["updated"], done["rejected"]) == (4, 1, 0)
    assert not plan()["changed"]


def test_the_rejected_rows_of_the_spreadsheet_are_corrected_in_their_file(demo, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = {"plan_path": f"file://{tmp_path}/groups.plan.json", **spreadsheet_arguments()}
    done = IntacctSyncOperator(
        task_id="t", desired=str(WORKBOOK), on_invalid="reject", max_rejects=4, **arguments
    ).execute({})
    assert (done["updated"], done["created"], done["invalid"]) == (1, 0, 4)
    rejects = Path("groups.plan.rejects.jsonl")
    text = rejects.read_text()
    for wrong, right in [
        ('"#N/A"', '"Set every quarter"'),
        ('"C-00006, C-00007"}', '"C-00006"},{"id":"C-00007"}'),
        ('"Everyone"', '"all"'),
        ('{"name":"Imported', '{"id":"470000000000000017","name":"Imported'),
    ]:
        assert wrong in text
        text = text.replace(wrong, right, 1)
    rejects.write_text(text)
    done = IntacctSyncOperator(task_id="t", desired=str(rejects), **arguments).execute({})
    assert (done["created"], done["invalid"]) == (4, 0)
