"""Build the page docs/reliability.md from the tests that passed."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Sections in the order of the page.
SECTIONS = ("Connections", "Overload", "Tokens and clocks", "Paging", "Writes", "Responses")
EXACT = "exact"
#: Lines around the table that tools/reliability_under_change.py writes.
BEGIN, END = "<!-- under change -->", "<!-- /under change -->"

_TEXT = """\
<!-- Written by `make reliability` from the tests that passed. Change the tests, not this page. -->

# Reliability

Each row is a fault that the client is tested with, over real HTTP against the [sandbox](sandbox.md), and the outcome.
**exact** means that every row was read once, and that every record was written once and reported correctly.
**refused** means that the read failed with `IntacctIncompleteReadError` instead of returning a wrong result, because
the server kept contradicting itself. The last column is the number of tests. For connections, overload, tokens and
responses, most tests apply the fault to each call of a run in turn.

{tables}
## Changes during a read

These reads run against a server of their own, on which people go on working. A cell has the billed calls that a read
took, and how many it may take: twice those of the undisturbed read, plus ten; a plan is three reads, since it reads
what it protects twice. Each of them was **complete and green**: every record that existed during the whole read once,
no record that never existed, no value that a record never had. A cell in bold was not, or took more calls than it may.
Records that come during a read may be in its result, and those that go may be missing. *In between* are records that
come with a key below others, such as those that were committed late; those that enter the filter, or leave it, do so
with and without a new timestamp. The undisturbed read of 50,000 records takes 13 pages. `make reliability-table`
writes this table.

{under_change}

## Random combinations

`make soak` applies random faults from these tables to a read of 20,000 records that change between pages, and to the
creation, update and deletion of 2,000 records. Each of its 1,000 schedules is generated from a seed. If an attempt
fails, the same work is done again, as an Airflow retry would. Nothing may be lost, written twice or reported
incorrectly. The other half of each schedule reads a company that changes all the time, in any of the ways above, and
lets each call of the read get a false answer in turn, while tokens are good for three requests or another process of
the same user ends them: pages that are empty, shifted, repeated or have hidden rows, and counts, page sizes and `next`
that are wrong. Such a read fails only for a contradiction that comes again when asked. A failure prints its seed, and
this command repeats the schedule:

```console
$ python tools/soak.py --schedules 1 --seed 4711
```

## In tests of your own DAGs

Nearly all of these faults are settings of the sandbox, so you can use them in tests of your own DAGs:
[Make it misbehave](sandbox.md#make-it-misbehave).
"""


@dataclass(slots=True)
class Table:
    """The rows so far, in the order of the tests."""

    cases: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    def add_result(
        self, module: str, section: str, fault: str, does: str, result: str = EXACT, *, passed: bool
    ) -> None:
        """Add the result of one test to its row."""
        if section not in SECTIONS:
            raise ValueError(f"section must be one of {', '.join(SECTIONS)}, not {section!r}")
        self.modules.add(module)
        line = (section, fault, does, result)
        self.cases[line] = self.cases.get(line, 0) + passed
        if not passed:
            self.failed.add(fault)

    def render(self, page: str) -> str:
        """Return the page as Markdown.

        :param page: as it is, of which the table of reads under change is kept.
        """
        kept = page.partition(BEGIN)[2].partition(END)[0]
        tables = "\n".join(self._render_section(name) for name in SECTIONS)
        return _TEXT.format(tables=tables, under_change=f"{BEGIN}{kept}{END}")

    def _render_section(self, name: str) -> str:
        rows = [
            f"| {fault} | {does} | {result} | {count} |"
            for (section, fault, does, result), count in self.cases.items()
            if section == name
        ]
        head = ("| fault | what the client does | result | tests |", "| --- | --- | --- | --- |")
        return "\n".join((f"## {name}", "", *head, *rows, ""))
