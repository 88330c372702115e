"""The tables of the documentation that say what work costs, for tests that measure it."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: What the last column of such a table is called.
HEADERS = ("transactions", "billed calls", "billed calls more, per client and object")
_ROW = re.compile(r"^\| (.+) \| (.+) \|$")


def read_costs(page):
    """Return the costs that a page of the documentation lists, by work, as they are written there."""
    costs, inside = {}, False
    for line in (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines():
        found = _ROW.match(line)
        if found and found[2] in HEADERS:
            inside = True
        elif found and inside and found[2] != "---":
            costs[found[1]] = found[2]
        elif not found:
            inside = False
    return costs


def read_cost(page, work):
    """Return how many billed calls a page says that work takes."""
    return int(read_costs(page)[work].replace(",", ""))
