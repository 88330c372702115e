"""What calls of Intacct take, as metrics of Airflow: to StatsD, Datadog or OpenTelemetry, as it is configured."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from intacct_provider._compat import conf, find_stats

if TYPE_CHECKING:
    from intacct_provider.client.usage import Usage

log = logging.getLogger(__name__)

PREFIX = "intacct"
#: What stands for the object in metrics of calls that are about none, or about several.
NO_OBJECT = "none"
#: Seconds; what takes less is not a wait: a free request is handed out within microseconds.
SHORTEST_WAIT = 0.001
#: What a part of a metric's name may not have: dots and slashes separate parts.
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
#: What the value of a tag may not have: it separates tags and values for one backend or another.
_UNSAFE_IN_TAG = re.compile(r"[,=:|#@\s]")


class MetricsReporter:
    """Emits what a connection's calls take; called by its client, on any thread. Never raises.

    The metrics are ``intacct.calls``, ``.retries``, ``.transactions`` and ``.rows`` (counters), and ``.call_duration``
    and ``.throttle_wait`` (timers). They have the tags ``conn_id`` and ``object_name``. Plain StatsD has no tags; there
    both are at the end of the name.

    :param conn_id: id of the connection.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        self._stats: Any = None
        self._in_name = False
        self._failed = False

    def __call__(self, usage: Usage) -> None:
        """Emit what there is in a report."""
        try:
            self._emit(usage)
        except Exception as err:  # A task must not fail because of its metrics.
            if not self._failed:
                log.warning("Intacct: metrics cannot be emitted (%s: %s)", type(err).__name__, err)
            self._failed = True

    def _emit(self, usage: Usage) -> None:
        if self._stats is None:
            self._stats, self._in_name = find_stats(), not has_tags()
        counts = {
            "calls": usage.calls,
            "retries": usage.retries,
            "transactions": usage.transactions,
            "rows": usage.rows,
        }
        waited = usage.throttled if usage.throttled >= SHORTEST_WAIT else None
        times = {"call_duration": usage.seconds, "throttle_wait": waited}
        name, tags = self._name(usage.object_name or NO_OBJECT)
        for what, count in counts.items():
            if count:
                self._stats.incr(name.format(what), count, tags=tags)
        for what, seconds in times.items():
            if seconds is not None:
                self._stats.timing(name.format(what), timedelta(seconds=seconds), tags=tags)

    def _name(self, object_name: str) -> tuple[str, dict[str, str] | None]:
        """Return how metrics about an object are called, with a place for what they count, and their tags."""
        if self._in_name:
            parts = (_UNSAFE_IN_NAME.sub("_", part) for part in (self._conn_id, object_name))
            return ".".join([PREFIX, "{}", *parts]), None
        tags = {"conn_id": self._conn_id, "object_name": object_name}
        return f"{PREFIX}.{{}}", {name: _UNSAFE_IN_TAG.sub("_", value) for name, value in tags.items()}


def has_tags() -> bool:
    """Whether Airflow's metrics have tags, as it is configured: all do but those of plain StatsD."""
    on = {
        option: conf.getboolean("metrics", option, fallback=False)
        for option in ("statsd_on", "statsd_datadog_enabled", "statsd_influxdb_enabled")
    }
    return not on["statsd_on"] or on["statsd_datadog_enabled"] or on["statsd_influxdb_enabled"]
