"""The table of docs/deploying.md says what happened in each deployment, and that something did not run."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

from deployments_table import NAMES, PAGE, Table


def report(outcome, seconds=0):
    return SimpleNamespace(outcome=outcome, passed=outcome == "passed", duration=seconds)


def test_it_has_a_column_for_each_deployment_and_says_what_failed_or_did_not_run():
    table = Table()
    table.add_result("An export\n    that is killed.", NAMES[0], report("passed", 12.4))
    table.add_result("An export\n    that is killed.", NAMES[2], report("failed", 3))
    table.add_result("A sync", NAMES[1], report("passed", 7))
    assert table.render(dt.date(2026, 11, 30), "Airflow 9.9").splitlines() == [
        f"| what happened | {NAMES[0]} | {NAMES[1]} | {NAMES[2]} |",
        "| --- | --- | --- | --- |",
        "| An export that is killed | passed, 12 s | not run | **failed** |",
        "| A sync | not run | passed, 7 s | not run |",
        "",
        "Run on 2026-11-30 with Airflow 9.9.",
    ]


def test_the_page_shows_that_everything_passed():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| A ") and "passed" in line]
    assert [row.count("passed, ") for row in rows] == [3, 3, 3]
