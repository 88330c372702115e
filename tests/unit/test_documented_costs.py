"""Each number of billed calls in a table of the documentation is measured by a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documented_costs import DOCS, read_cost, read_costs

TESTS = Path(__file__).resolve().parents[1]
MEASURED = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("sandbox", "airflow")
    for path in (TESTS / folder).rglob("*.py")
)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LISTED = [
    (section, work)
    for page in sorted(DOCS.glob("*.md"))
    for section in HEADING.findall(page.read_text(encoding="utf-8"))
    for work in read_costs(section, page.stem)
]


def test_there_are_tables() -> None:
    assert len({section for section, _ in LISTED}) >= 6


@pytest.mark.parametrize(("section", "work"), LISTED)
def test_a_test_names_the_work_and_its_section(section: str, work: str) -> None:
    assert work in MEASURED
    assert f'"{section}"' in MEASURED


def test_the_readme_shows_what_its_demo_costs() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    export, again = (
        read_cost("What Intacct bills", work)
        for work in ("export of 60 account groups", "second sync, nothing to change")
    )
    assert f"60 rows, billed API transactions: {export}\n" in readme
    assert f"It cost {again} billed API transactions" in readme


def test_polls_are_counted_right() -> None:
    page = (DOCS / "cost.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\d+) (seconds|minutes|hour)\S*.*? \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) % \|$",
        page,
        re.MULTILINE,
    )
    assert len(rows) > 2
    for count, unit, day, month, share in rows:
        polls = 86_400 // (int(count) * {"seconds": 1, "minutes": 60, "hour": 3600}[unit])
        assert (day, month, share) == (f"{polls:,}", f"{30 * polls:,}", f"{30 * polls / 1000:.1f}")
