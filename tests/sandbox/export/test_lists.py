"""Lists inside of records: their types, what they cost, and their rows as files of their own."""

import pyarrow.parquet as pq
import pytest
from sandbox_client import client_of

from intacct_provider.export.schema.columns import REST
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"
MODEL = "/services/core/model"


@pytest.fixture
def airflow(demo, monkeypatch):
    """The demo company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", demo.connection())
    yield demo
    demo.clear_faults()


def export(path, object_name=GROUP, **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export", object_name=object_name, destination=str(path), detail=True, **arguments
    )
    return operator.execute({})


def element(path, name):
    """Return the type of the elements of a list in a Parquet file."""
    return pq.read_schema(path).field(name).type.value_type


@pytest.mark.parametrize(
    ("object_name", "models"), [(GROUP, 2), (CUSTOMER, 2), ("accounts-receivable/customer-group", 1)]
)
def test_whole_records_in_parquet_cost_one_call_for_the_models_of_all_lists(
    airflow, tmp_path, object_name, models
):
    since, before = len(airflow.requests), airflow.transactions
    result = export(tmp_path / "records.parquet", object_name, file_format="parquet")
    asked = [call for call in list(airflow.requests)[since:] if call.path == MODEL]
    assert len(asked) == models
    assert result["transactions"] == airflow.transactions - before == models + 2


def test_lists_in_parquet_have_the_types_of_the_models_of_their_elements(airflow, tmp_path):
    path = tmp_path / "groups.parquet"
    export(path, file_format="parquet")
    ranges, computed = element(path, "accountRanges"), element(path, "accountGroupComputation")
    assert str(ranges.field("sortOrder").type) == "int64"
    assert str(ranges.field("audit").type.field("modifiedDateTime").type) == "timestamp[us, tz=UTC]"
    assert [ranges.field("glAccountGroup").type.field(n).name for n in range(3)] == ["key", "href", "id"]
    assert str(computed.field("formulaLeft").type.field("asOf").type) == "string"
    with client_of(airflow) as client:
        live = {row["key"]: client.get(GROUP, row["key"]) for row in client.iter_rows(GROUP, ["key"])}
    for row in pq.read_table(path).to_pylist():
        wanted = live[row["key"]]["accountRanges"]
        assert [one["rangeFrom"] for one in row["accountRanges"]] == [one["rangeFrom"] for one in wanted]
        assert not any(one[REST] for one in row["accountRanges"])


@pytest.mark.parametrize("status", [403, 400])
def test_elements_whose_model_may_not_be_read_are_references_and_json(airflow, tmp_path, status):
    airflow.fail(status=status, path=MODEL, skip=1, times=0)
    path, since = tmp_path / "groups.parquet", len(airflow.requests)
    export(path, file_format="parquet")
    ranges = element(path, "accountRanges")
    assert [ranges.field(n).name for n in range(ranges.num_fields)] == ["key", "id", "href", REST]
    rests = [one[REST] for row in pq.read_table(path).to_pylist() for one in row["accountRanges"]]
    assert rests
    assert all('"rangeFrom"' in rest for rest in rests)
    # Refused once for each object, not once for each list.
    assert len([call for call in list(airflow.requests)[since:] if call.path == MODEL]) == 6
