"""What calls take becomes metrics of Airflow, with tags or with names, and a failing backend fails nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from intacct_provider.client.usage import Usage
from intacct_provider.hooks import metrics
from intacct_provider.hooks.metrics import MetricsReporter

CUSTOMER = "accounts-receivable/customer"


class Stats:
    """Remembers what is emitted."""

    def __init__(self, error=None):
        self.emitted = {}
        self.error = error

    def incr(self, name, count=1, *, tags=None):
        if self.error:
            raise self.error
        self.emitted[name] = (count, tags)

    def timing(self, name, duration, *, tags=None):
        self.emitted[name] = (duration, tags)


@pytest.fixture
def configured(monkeypatch):
    """Return a function that configures Airflow's metrics and returns what is emitted to."""

    def configure(error=None, **options):
        for option, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{option.upper()}", str(value))
        stats = Stats(error)
        monkeypatch.setattr(metrics, "find_stats", lambda: stats)
        return stats

    return configure


@pytest.mark.parametrize(
    "options",
    [
        {"otel_on": True},
        {"statsd_on": True, "statsd_influxdb_enabled": True},
        {"statsd_on": True, "statsd_datadog_enabled": True},
    ],
    ids=["OpenTelemetry", "InfluxDB", "Datadog"],
)
def test_metrics_have_tags_where_the_backend_has_them(configured, options):
    stats = configured(**options)
    MetricsReporter("acme.prod")(Usage(CUSTOMER, calls=2, retries=1, throttled=0.5, seconds=1.5))
    tags = {"conn_id": "acme.prod", "object_name": CUSTOMER}
    assert stats.emitted == {
        "intacct.calls": (2, tags),
        "intacct.retries": (1, tags),
        "intacct.call_duration": (timedelta(seconds=1.5), tags),
        "intacct.throttle_wait": (timedelta(seconds=0.5), tags),
    }


def test_plain_statsd_has_connection_and_object_in_the_name(configured):
    """Dots would look like levels of the name, and slashes are not in the names of all backends."""
    stats = configured(statsd_on=True)
    MetricsReporter("acme.prod")(Usage("platform-apps/nsp::risk", transactions=3, rows=40))
    end = "acme_prod.platform-apps_nsp__risk"
    assert stats.emitted == {f"intacct.transactions.{end}": (3, None), f"intacct.rows.{end}": (40, None)}


def test_tags_have_nothing_that_separates_tags(configured):
    stats = configured(statsd_on=True, statsd_influxdb_enabled=True)
    MetricsReporter("acme=prod,eu")(Usage("platform-apps/nsp::risk", rows=1))
    assert stats.emitted["intacct.rows"][1] == {
        "conn_id": "acme_prod_eu",
        "object_name": "platform-apps/nsp__risk",
    }


def test_a_call_about_no_object_says_so(configured):
    stats = configured(statsd_on=True)
    MetricsReporter("c")(Usage(calls=1))
    assert [*stats.emitted] == ["intacct.calls.c.none"]


def test_a_backend_that_fails_is_logged_once_and_fails_nothing(configured, caplog):
    configured(OSError("no buffer space"), statsd_on=True)
    report = MetricsReporter("c")
    for _ in range(3):
        report(Usage(CUSTOMER, calls=1))
    assert [record.levelname for record in caplog.records if "metrics" in record.message] == ["WARNING"]
