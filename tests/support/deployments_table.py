"""Writes the table of docs/deploying.md from the tests of deployments that ran."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deployments import CELERY, LOCAL, SQLITE, describe_versions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"
BEGIN, END = "<!-- deployments -->", "<!-- /deployments -->"
NAMES = (SQLITE, LOCAL, CELERY)


@dataclass(slots=True)
class Table:
    """What happened in each deployment, in the order of the tests."""

    results: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_result(self, what: str, deployment: str, report: pytest.TestReport) -> None:
        """Add the result of one test; ``what`` is its docstring."""
        cell = f"passed, {report.duration:.0f} s" if report.passed else f"**{report.outcome}**"
        self.results.setdefault(" ".join(what.split()), {})[deployment] = cell

    def render(self, today: dt.date, versions: str) -> str:
        """Return the table as Markdown."""
        rows = [
            f"| {what.removesuffix('.')} | {' | '.join(cells.get(name, 'not run') for name in NAMES)} |"
            for what, cells in self.results.items()
        ]
        head = [f"| what happened | {' | '.join(NAMES)} |", "| --- | --- | --- | --- |"]
        return "\n".join([*head, *rows, "", f"Run on {today.isoformat()} with {versions}."])

    def write(self) -> None:
        """Put the table into the page."""
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        text = self.render(dt.datetime.now(dt.UTC).date(), describe_versions())
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
