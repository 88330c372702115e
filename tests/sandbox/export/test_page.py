"""What the documentation of exports shows is what an export writes."""

import json
import re
from pathlib import Path

import pytest
from sandbox_client import running

from intacct_provider.client.query.expressions import field
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

PAGE = Path(__file__).resolve().parents[3] / "docs" / "export.md"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The manifest of the export that the page shows."""
    folder = tmp_path_factory.mktemp("exports")
    with running("demo") as company, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        IntacctToObjectStorageOperator(
            task_id="export",
            object_name="accounts-receivable/customer",
            fields=["key", "id", "totalDue", "audit.modifiedDateTime"],
            filters=field("status") == "active",
            control_totals=["totalDue"],
            destination=str(folder / "customers.jsonl"),
        ).execute({})
    return json.loads((folder / "customers.jsonl.manifest.json").read_bytes())


def test_the_manifest_of_the_page_is_a_real_one(written):
    [shown] = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    shown_manifest = json.loads(shown)
    assert list(shown_manifest) == list(written)
    assert set(shown_manifest.pop("run")) == set(written.pop("run"))
    assert shown_manifest.pop("path").rpartition("/")[2] == written.pop("path").rpartition("/")[2]
    assert shown_manifest == written
