"""The tables of the documentation that say what work costs, for tests that measure it."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: What the last column of such a table is called.
HEADERS = ("transactions", "billed calls", "billed calls more, per client and object")
_ROW = re.compile(r"^\| (.+) \| (.+) \|$")


def read_costs(section, page="cost"):
    """Return the costs in the tables below a heading of a page, by work, as they are written there."""
    costs, heading, inside = {}, "", False
    for line in (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines():
        found = _ROW.match(line)
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif found and heading == section and found[2] in HEADERS:
            inside = True
        elif found and inside and found[2] != "---":
            costs[found[1]] = found[2]
        elif not found:
            inside = False
    return costs


def read_cost(section, work):
    """Return how many billed calls the page says that work takes."""
    return int(read_costs(section)[work].replace(",", ""))
