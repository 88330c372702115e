"""The page docs/reliability.md, made of the lines that tests have proven."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Sections in the order of the page.
SECTIONS = ("Connections", "Overload", "Tokens and clocks", "Pages of a read", "Writes", "Answers")
EXACT = "exact"

_TEXT = """\
<!-- Written by `make reliability` from the tests that passed. Change the tests, not this page. -->

# Reliability

Each line is a fault that the provider's client meets in its tests, over real HTTP against the
[sandbox](sandbox.md), and what came out. **exact** means that every row was read once, and that every record was
written once and reported so. **refused** means that the read ended with `IntacctIncompleteReadError` instead of a wrong
result: a server that contradicts itself for good cannot be read. The number is that of the tests; most faults of
connections, overload, tokens and answers hit each call of a run in turn in one test.

{tables}
## All of it together

`make soak` lets random faults of this list meet a read of 20,000 records that change between the pages, and a write
of 2,000 records that creates, changes and deletes. Each of its 1,000 schedules comes from a seed. When an attempt
fails, the same work is done again, as Airflow's retry of a task does it. Nothing may be lost, written twice or
misreported. A failure prints the seed, and this repeats exactly that schedule:

```console
$ python tools/soak.py --schedules 1 --seed 4711
```

## Under your own DAGs

Nearly all of them are settings of the sandbox, so tests of your own DAGs can meet them too:
[Make it misbehave](sandbox.md#make-it-misbehave).
"""


@dataclass(slots=True)
class Table:
    """The lines so far, in the order in which tests named them."""

    cases: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    def note(
        self, module: str, section: str, fault: str, does: str, result: str = EXACT, *, passed: bool
    ) -> None:
        """Note that a test of a line ended."""
        if section not in SECTIONS:
            raise ValueError(f"section must be one of {', '.join(SECTIONS)}, not {section!r}")
        self.modules.add(module)
        line = (section, fault, does, result)
        self.cases[line] = self.cases.get(line, 0) + passed
        if not passed:
            self.failed.add(fault)

    def page(self) -> str:
        """Return the page."""
        return _TEXT.format(tables="\n".join(self._section(name) for name in SECTIONS))

    def _section(self, name: str) -> str:
        rows = [
            f"| {fault} | {does} | {result} | {count} |"
            for (section, fault, does, result), count in self.cases.items()
            if section == name
        ]
        head = ("| fault | what the client does | result | tests |", "| --- | --- | --- | --- |")
        return "\n".join((f"## {name}", "", *head, *rows, ""))
