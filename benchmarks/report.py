"""Write results as tables and charts.

    python benchmarks/report.py benchmarks/results/2026-11-21.json    # again, from saved results

Writes a Markdown file next to the JSON file, the tables of docs/performance.md, and its charts.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from charts import bars

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "performance.md"
Fact = dict[str, Any]
Column = tuple[str, Callable[[Fact], str]]


def spread(fact: Fact) -> str:
    """Return the median and, for several runs, minimum and maximum."""
    digits = 2 if fact["seconds"] < 10 else 1
    low, high = (f"{fact[name]:.{digits}f}" for name in ("min", "max"))
    return f"{fact['seconds']:.{digits}f}" + (f" ({low} to {high})" if fact["runs"] > 1 else "")


def show_verdict(fact: Fact) -> str:
    """Return whether the output was correct, in a word."""
    return "yes" if fact["right"] else f"**no: {fact['wrong']}**"


def number(name: str, digits: int = 0) -> Callable[[Fact], str]:
    """Return a function that formats a number of a fact."""
    return lambda fact: f"{fact[name]:,.{digits}f}"


def ratio(name: str) -> Callable[[Fact], str]:
    """Return a function that formats a ratio; small ones have more digits."""
    return lambda fact: (
        "" if fact.get(name) is None else f"{fact[name]:.2f}" if fact[name] >= 0.1 else f"{fact[name]:.4f}"
    )


def text(name: str) -> Callable[[Fact], str]:
    """Return a function that shows a member unchanged."""
    return lambda fact: str(fact[name])


COUNTS: tuple[Column, ...] = (
    ("calls", number("calls")),
    ("billed", number("billed")),
    ("connections", number("connections")),
    ("in flight", number("most_in_flight")),
)
EXPORT: tuple[Column, ...] = (
    ("", text("title")),
    ("seconds", spread),
    ("of best peer", ratio("of_best_peer")),
    ("of ceiling", ratio("of_ceiling")),
    ("rows/s", lambda fact: f"{fact['rows'] / fact['seconds']:,.0f}"),
    ("peak MB", number("peak_mb")),
    ("CPU s", number("cpu_seconds", 2)),
    *COUNTS,
    ("correct", show_verdict),
)
WRITING: tuple[Column, ...] = (
    ("", text("title")),
    ("seconds", number("seconds", 1)),
    ("of best peer", ratio("seconds_of_best_peer")),
    ("billed, of best peer", ratio("billed_of_best_peer")),
    *COUNTS,
    ("peak MB", number("peak_mb")),
    ("measured on", number("measured_on")),
)
MAPPED: tuple[Column, ...] = (
    ("processes", number("processes")),
    ("seconds", number("seconds", 1)),
    ("with plan and commit", number("with_plan_and_commit", 1)),
    ("times one process", number("times_one", 2)),
    ("rows/s", number("rows_per_second")),
    ("peak MB of each", number("peak_mb")),
    ("CPU s", number("cpu_seconds", 2)),
    *COUNTS,
)
STARTING: tuple[Column, ...] = (
    ("", lambda fact: f"`{fact['name']}`" if "." in fact["name"] else fact["name"]),
    ("ms", number("ms", 1)),
    ("min", number("min", 1)),
    ("max", number("max", 1)),
)
FAULTS: tuple[Column, ...] = (
    ("", text("title")),
    ("correct", show_verdict),
    ("seconds", number("seconds", 1)),
    ("calls", number("calls")),
)
#: Labels of the facts about sensors, where the name of the fact is not enough.
SENSORS = {
    "poll_seconds": "poll interval (s)",
    "seconds_until_all_fired": "seconds until all succeeded",
    "cpu_seconds": "CPU seconds",
    "peak_mb": "peak MB",
    "mb_for_each": "MB per sensor",
    "questions_a_second": "polls/s",
    "most_in_flight": "max in flight",
    "refused": "rejected with 429",
}
TITLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "export_50k_0ms": ("Export of 50,000 rows, 0 ms", EXPORT),
    "export_50k_200ms": ("Export of 50,000 rows, 200 ms and 50 µs a row", EXPORT),
    "export_1m_200ms_6": ("Export of 1,000,000 rows, 200 ms and 50 µs a row, 6 slots", EXPORT),
    "export_1m_200ms_15": ("Export of 1,000,000 rows, 200 ms and 50 µs a row, 15 slots", EXPORT),
    "export_1m_0ms": ("Export of 1,000,000 rows, 0 ms", EXPORT),
    "creation": ("Creation of 5,000 customers, 200 ms", WRITING),
    "sync": ("10,000 customer groups of which 100 differ, 200 ms", WRITING),
    "mapped": ("Export of 600,000 rows by ranges of keys, 200 ms and 50 µs a row", MAPPED),
    "parsing": ("Reading a DAG file", STARTING),
    "imports": ("Importing", STARTING),
}


def write(results: dict[str, Any], file: Path) -> None:
    """Save results, and update the page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    made = tables(results["sections"])
    parts = [f"# Benchmarks, {results['date']}", results["machine"], *made.values()]
    file.with_suffix(".md").write_text("\n\n".join(parts) + "\n")
    if PAGE.exists():
        PAGE.write_text(replace_parts(PAGE.read_text(), {**made, "machine": results["machine"]}))
    for name, chart in draw_charts(results["sections"]).items():
        (DOCS / "images" / name).write_text(chart)


def tables(sections: dict[str, Any]) -> dict[str, str]:
    """Return a table for each section."""
    made = {}
    for name, facts in sections.items():
        if name == "sensors":
            lines = [
                f"| {SENSORS.get(key, key.replace('_', ' '))} | {value:,} |" for key, value in facts.items()
            ]
            made[name] = "\n".join(["### Deferred sensors\n", "| | |", "| --- | ---: |", *lines])
            continue
        faulty = name.startswith("faults: ")
        title, columns = (name.removeprefix("faults: ").capitalize(), FAULTS) if faulty else TITLES[name]
        made[name] = f"### {title}\n\n{table(facts, columns)}"
    together = [made.pop(name) for name in list(made) if name.startswith("faults: ")]
    if together:
        made["faults"] = "\n\n".join(together)
    return made


def table(facts: Sequence[Fact], columns: Sequence[Column]) -> str:
    """Return a Markdown table."""
    lines = [[heading for heading, _ in columns], ["---", *["---:"] * (len(columns) - 1)]]
    lines += [[show(fact) for _, show in columns] for fact in facts]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def replace_parts(page: str, parts: dict[str, str]) -> str:
    """Return the page with the text between its marks replaced."""
    for name, content in parts.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = mark.sub(lambda found, content=content: f"{found[1]}\n{content}\n\n{found[2]}", page)
    return page


def draw_charts(sections: dict[str, Any]) -> dict[str, str]:
    """Return the charts by file name."""
    charts = {}
    for section, what, unit, title in (
        ("export_50k_200ms", "seconds", "s", "50,000 rows, 200 ms + 50 µs a row: seconds"),
        ("export_50k_0ms", "seconds", "s", "50,000 rows, 0 ms: seconds"),
        ("export_1m_0ms", "peak_mb", "MB", "1,000,000 rows: peak memory, MB"),
    ):
        if section in sections:
            values = [(one["title"], one[what], one["kind"]) for one in sections[section]]
            charts[f"{section.replace('_', '-')}-{what.replace('_', '-')}.svg"] = bars(title, values, unit)
    return charts


if __name__ == "__main__":
    kept = Path(sys.argv[1])
    write(json.loads(kept.read_text()), kept)
