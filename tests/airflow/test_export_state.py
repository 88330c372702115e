"""What an export remembers from run to run, in real Airflow: beside an asset where there is one, else in a Variable."""

import json

import pytest

PREFIX = "intacct_export__"


@pytest.fixture
def said(run_dag):
    """Return a function that runs a DAG and returns what its tasks returned."""

    def run(dag_id):
        run = run_dag(dag_id)
        assert run.state == "success"
        return {
            (one.task_id, one.map_index): one.xcom_pull(task_ids=one.task_id, map_indexes=one.map_index)
            for one in run.get_task_instances()
        }

    return run


@pytest.fixture
def variables(airflow_db):
    """Return a function for the Variables of exports as Airflow's database has them; leave none behind."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    def found():
        with create_session() as session:
            rows = session.query(Variable).filter(Variable.key.startswith(PREFIX)).all()
            return {row.key: json.loads(row.get_val()) for row in rows}

    yield found
    for name in found():
        Variable.delete(name)


def test_a_task_without_an_asset_remembers_in_a_variable_that_people_can_read(said, variables):
    first, second = said("export_state_variable"), said("export_state_variable")
    (before, name), (after, same) = first["with_variable", -1], second["with_variable", -1]
    assert (before, after, same) == (None, "2026-06-30T13:00:00Z", name)
    assert name.startswith(f"{PREFIX}export_state_variable__with_variable__")
    document = variables()[name]
    assert document["watermark"] == "2026-06-30T14:00:00Z"
    assert document["columns"] == [{"name": "key", "field": "key", "type": "string"}]
    assert [run["upper"] for run in document["runs"].values()] == [
        "2026-06-30T13:00:00Z",
        "2026-06-30T14:00:00Z",
    ]


def test_each_instance_of_a_mapped_task_remembers_for_itself(said, variables):
    first = said("export_state_variable")
    names = {first["mapped", number][1] for number in (0, 1)}
    assert {name.split("__")[3] for name in names} == {"0", "1"}
    assert names < set(variables())


def test_a_task_with_an_asset_remembers_beside_it_and_needs_no_variable(said, variables):
    first, second, third = (said("export_state_asset")["with_asset", -1] for _ in range(3))
    assert [first[0], second[0], third[0]] == [None, "2026-06-30T13:00:00Z", "2026-06-30T14:00:00Z"]
    assert variables() == {}


def test_what_a_variable_remembers_goes_on_beside_the_asset(said, variables):
    """After an upgrade of Airflow, or when the task is given an outlet."""
    from airflow.models import Variable

    name = said("export_state_asset")["with_asset", -1][1]
    forget_assets()
    Variable.set(
        name,
        json.dumps({"version": 1, "field": "audit.modifiedDateTime", "watermark": "2026-01-01T00:00:00Z"}),
    )
    assert said("export_state_asset")["with_asset", -1][0] == "2026-01-01T00:00:00Z"
    assert said("export_state_asset")["with_asset", -1][0] == "2026-01-01T01:00:00Z"
    assert variables()[name]["watermark"] == "2026-01-01T00:00:00Z"


def forget_assets():
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(AssetStateStoreModel).delete()
