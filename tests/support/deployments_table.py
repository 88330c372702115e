"""Writes the tables of docs/deploying.md from what ran."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deployments import CELERY, LOCAL, SQLITE, describe_versions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"
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
        write_section("deployments", self.render(dt.datetime.now(dt.UTC).date(), describe_versions()))


def write_section(name: str, text: str) -> None:
    """Replace what is between the two marks of a section in the page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(begin) == page.count(end) == 1, f"{PAGE.name} has no section {name}"
    before, after = page.partition(begin)[0], page.partition(end)[2]
    PAGE.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
