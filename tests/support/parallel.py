"""How the suite is spread over the workers of pytest-xdist."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Folders whose tests stay together: they share an Airflow of processes or its database, or prove one table. The first
#: that a test is in counts.
TOGETHER = ("tests/system/deployments", "tests/system", "tests/reliability", "tests/airflow")
#: What takes longest begins first, so that no worker waits for another at the end.
FIRST = (
    *TOGETHER,
    "tests/contract",
    "tests/plugin",
    "tests/foreign",
    "tests/browser",
    "tests/sandbox",
)


def unit_of_work(nodeid: str) -> str:
    """Return the folder or module whose tests run in one worker, one after another."""
    module = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if module.startswith(f"{folder}/")), module)


def order_items(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return tests with the folders that take longest first, else in the order in which they were."""

    def rank(item: pytest.Item) -> int:
        folder = "/".join(PurePosixPath(item.nodeid).parts[:2])
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    return sorted(items, key=rank)


class ModuleScheduling(LoadScopeScheduling):
    """Gives each worker whole modules, so that their fixtures are made once, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of_work(nodeid)
