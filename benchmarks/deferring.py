"""Put deferred sensors into the database of an Airflow, as a worker would leave them.

python benchmarks/deferring.py '{"first": 0, "count": 1, "interval": 60, "task_id": "wait"}'
"""

from __future__ import annotations

import json
import sys
import time

import pendulum
from airflow.dag_processing.collection import update_dag_parsing_results_in_db
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from served import ACCOUNT

from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.triggers.query import IntacctQueryTrigger

#: Of an account that does not exist, so that nobody stops waiting.
CONDITION = {
    "object_name": ACCOUNT,
    "filters": [{"$eq": {"key": "999999999"}}],
    "bounds": {"at_least": "1"},
    "checked": True,
}

#: Tasks a second. Workers do not defer a thousand at once, and Airflow itself blocks the event loop if they do.
AT_ONCE = 40


def prepare(first: int, count: int, interval: int, task_id: str) -> None:
    """Put deferred tasks with their triggers into the database.

    :param task_id: ``wait`` for ours, ``wait_for_ever`` for one of Airflow's own that never ends either.
    """
    began, never = pendulum.datetime(2026, 1, 1, tz="UTC"), pendulum.datetime(2100, 1, 1, tz="UTC")
    with DAG("waiting", schedule=None, start_date=began) as dag:
        IntacctQuerySensor(task_id="wait", object_name=ACCOUNT, deferrable=True)
        DateTimeSensorAsync(task_id="wait_for_ever", target_time=never)
    with create_session() as session:
        if first == 0:
            session.add(DagBundleModel(name="dags-folder"))
            session.flush()
            lazy = LazyDeserializedDAG.from_dag(dag)
            update_dag_parsing_results_in_db("dags-folder", None, [lazy], {}, None, set(), session=session)
        scheduled = SerializedDagModel.get_dag("waiting", session=session)
        version = DagVersion.get_latest_version("waiting", session=session)
        if scheduled is None or version is None:
            sys.exit("The DAG is unknown.")
        run_id = f"run-{first}"
        scheduled.create_dagrun(
            run_id=run_id,
            run_after=began,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
        ours = IntacctQueryTrigger(
            condition=CONDITION, intacct_conn_id="intacct_default", poll_interval=interval
        )
        path, arguments = (ours if task_id == "wait" else DateTimeTrigger(moment=never)).serialize()
        for number in range(count):
            trigger = Trigger(path, arguments)
            session.add(trigger)
            session.flush()
            task = TaskInstance(
                scheduled.get_task(task_id), run_id=run_id, map_index=number, dag_version_id=version.id
            )
            task.state, task.trigger_id, task.start_date = TaskInstanceState.DEFERRED, trigger.id, began
            session.add(task)
            if number % AT_ONCE == AT_ONCE - 1:
                session.commit()
                time.sleep(1)


if __name__ == "__main__":
    prepare(**json.loads(sys.argv[1]))
