"""The names of Airflow that have moved since 3.1, from where each release keeps them; ``airflow.sdk`` has all others.

No other provider is needed for it, so that the constraints of every release of Airflow allow this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.lineage import HookLineageCollector

try:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
except ImportError:  # Airflow 3.1
    from airflow.configuration import conf
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]  # checked with a later release
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "conf",
    "find_stats",
    "get_hook_lineage_collector",
]


def find_stats() -> Any:
    """Return what emits metrics in this process: it has ``incr`` and ``timing``."""
    try:
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats
    return Stats


def get_hook_lineage_collector() -> HookLineageCollector:
    """Return what collects the lineage that hooks report."""
    try:
        from airflow.sdk.lineage import get_hook_lineage_collector
    except ImportError:  # Airflow 3.1
        from airflow.lineage.hook import (  # type: ignore[import-not-found, no-redef]  # checked with a later one
            get_hook_lineage_collector,
        )
    return get_hook_lineage_collector()
