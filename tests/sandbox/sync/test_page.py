"""What docs/sync.md shows is what the operators print for the demo company."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import running

from intacct_provider.operators.sync import IntacctPlanSyncOperator, IntacctSyncOperator

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
