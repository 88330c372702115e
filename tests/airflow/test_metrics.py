"""What tasks and triggers take reaches a StatsD server and an OpenTelemetry collector, as Airflow is configured."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytestmark = pytest.mark.slow

CUSTOMER = "accounts-receivable/customer"
#: A task, and a sensor whose condition the first poll in the triggerer finds; a task that goes on afterwards.
DAG = """
import pendulum
from airflow.sdk import DAG
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.triggers import intervals

intervals.MIN_INTERVAL, intervals.FIRST_WAIT = 0.05, 0.0

with DAG("metered", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
    read = IntacctQueryOperator(task_id="read", object_name="accounts-receivable/customer", fields=["key", "id"])
    wait = IntacctQuerySensor(task_id="wait", object_name="accounts-receivable/customer", at_least=1000000,
                              poke_interval=0.2, timeout=1.5, deferrable=True, soft_fail=True)
    read >> wait
"""
RUN = """
import sys
from airflow.utils.db import initdb
initdb()
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
run = DagBag(sys.argv[1]).dags["metered"].test()
print("RUN", run.state, {one.task_id: str(one.state) for one in run.get_task_instances()})
"""


@pytest.fixture
def run(sandbox, tmp_path):
    """Return a function that runs the DAG in a process of its own, and returns what it printed."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "metered.py").write_text(DAG)
    (tmp_path / "run.py").write_text(RUN)

    def run_dag(**options):
        bundles = [{"name": "dags", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                    "kwargs": {"path": str(dags)}}]  # fmt: skip
        env = os.environ | {
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            **{f"AIRFLOW__METRICS__{name.upper()}": str(value) for name, value in options.items()},
        }
        command = [sys.executable, str(tmp_path / "run.py"), str(dags / "metered.py")]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
        output = done.stdout + done.stderr
        assert "RUN success" in output, output
        return output

    return run_dag


@contextmanager
def listening():
    """Receive what is sent to a StatsD server; yields its port and the lines."""
    lines = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

        def receive():
            while (packet := server.recv(65536)) != b"end":
                lines.extend(packet.decode().splitlines())

        receiving = threading.Thread(target=receive, daemon=True)
        receiving.start()

        def end():
            server.sendto(b"end", server.getsockname())
            receiving.join(30)
            return lines

        yield server.getsockname()[1], end


def read_counters(lines):
    """Return the sums of our counters, by name."""
    counters = Counter()
    for line in lines:
        if found := re.fullmatch(r"airflow\.(intacct\.[^:]+):(\d+)\|c", line):
            counters[found[1]] += int(found[2])
    return counters


def test_a_statsd_server_receives_what_the_task_and_the_triggerer_took(run, sandbox):
    with listening() as (port, end):
        output = run(statsd_on=True, statsd_host="127.0.0.1", statsd_port=port)
        lines = end()
    counters = read_counters(lines)
    about = "intacct_default.accounts-receivable_customer"
    asked = [call for call in sandbox.requests if call.path.endswith("/query")]
    assert counters[f"intacct.calls.{about}"] >= len(asked) > 4
    billed = sum(count for name, count in counters.items() if name.startswith("intacct.transactions."))
    assert billed == sandbox.transactions
    assert counters[f"intacct.rows.{about}"] >= len(sandbox.records(CUSTOMER))
    assert any(
        line.startswith(f"airflow.intacct.call_duration.{about}:") and line.endswith("|ms") for line in lines
    )
    # The bill of a task that waited in the triggerer has what was billed there.
    assert re.search(r"billed API transactions: (\d+), \1 of them by the triggerer", output)


def test_tags_reach_a_statsd_server_that_has_them(run):
    with listening() as (port, end):
        run(statsd_on=True, statsd_host="127.0.0.1", statsd_port=port, statsd_influxdb_enabled=True)
        lines = end()
    named = f"airflow.intacct.calls,conn_id=intacct_default,object_name={CUSTOMER}"
    assert any(line.startswith(f"{named}:") for line in lines), lines


def test_an_opentelemetry_collector_receives_the_same(run, sandbox):
    metrics = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        run(otel_on=True, otel_host="127.0.0.1", otel_port=port, otel_ssl_active=False)
        server.shutdown()
    points = {}
    for body in received:
        for resource in metrics.ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.sum.data_points if metric.name.startswith("airflow.intacct.") else ():
                        tags = {one.key: one.value.string_value for one in point.attributes}
                        value = point.as_int or point.as_double
                        points[metric.name, tags["conn_id"], tags["object_name"]] = value
    assert points["airflow.intacct.transactions", "intacct_default", CUSTOMER] <= sandbox.transactions
    billed = sum(value for (name, *_), value in points.items() if name == "airflow.intacct.transactions")
    assert billed == sandbox.transactions
