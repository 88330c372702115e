"""Where attempts keep what they know of a bulk job: the task state store, else a Variable, else the process."""

from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Variable

from intacct_provider.hooks.job_store import NAME, ProcessStore, RunVariable, TaskStore, find_job_store


class Accessor(dict):
    """Airflow's accessor of the task state store, in memory."""

    set = dict.__setitem__


def task(**changes):
    return SimpleNamespace(**{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, **changes})


@pytest.fixture
def variables(monkeypatch):
    kept = {}
    monkeypatch.setattr(Variable, "get", lambda name, default=None: kept.get(name, default))
    monkeypatch.setattr(Variable, "set", kept.__setitem__)
    return kept


def test_the_task_state_store_comes_first():
    accessor = Accessor()
    store = find_job_store({"ti": task(), "task_state_store": accessor})
    assert isinstance(store, TaskStore)
    assert store.load() is None
    store.save("note")
    assert (store.load(), accessor) == ("note", {NAME: "note"})


def test_below_airflow_3_3_each_run_of_a_task_has_a_variable(variables):
    one = find_job_store({"ti": task(), "task_state_store": None})
    assert isinstance(one, RunVariable)
    one.save("note")
    assert find_job_store({"ti": task()}).load() == "note"
    for other in (task(run_id="s"), task(map_index=0), task(task_id="t__t"), task(dag_id="d__r", run_id="r")):
        assert find_job_store({"ti": other}).load() is None
    assert find_job_store({"ti": task(run_id="r" * 300)}).name.startswith(f"{NAME}__d__rrr")
    assert len(find_job_store({"ti": task(run_id="r" * 300)}).name) == 250
    assert list(variables.values()) == ["note"]


def test_outside_of_a_task_nothing_outlives_the_process():
    store = find_job_store({})
    assert isinstance(store, ProcessStore)
    store.save("note")
    assert (store.load(), find_job_store({}).load()) == ("note", None)
