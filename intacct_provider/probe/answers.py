"""What was found out about each assumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from intacct_provider.probe.asking import Asker
from intacct_provider.probe.assumptions import ASSUMPTIONS, Assumption
from intacct_provider.probe.objects import ObjectFacts

Verdict: TypeAlias = Literal["holds", "contradicted", "unknown"]
HOLDS: Verdict = "holds"
CONTRADICTED: Verdict = "contradicted"
UNKNOWN: Verdict = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer and why: for one object, or as a whole.

    :param evidence: never has a value of a record.
    """

    answer: Verdict
    evidence: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about one assumption.

    :param calls: requests that helped to find it.
    :param facts: further members of the report, such as ``limit``.
    """

    assumption: Assumption
    finding: Finding
    calls: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def consequence(self) -> str:
        """Which way the provider's code takes."""
        return self.assumption.consequence(self.finding.answer)


class Inquiry:
    """What is known so far about one company.

    :param objects: all that were asked for; see :class:`~intacct_provider.probe.objects.ObjectReader`.
    """

    def __init__(self, asker: Asker, objects: list[ObjectFacts]) -> None:
        self.asker = asker
        self.objects = objects
        #: Why the last question that failed has no answer.
        self.failure = ""
        self._found: dict[str, tuple[Finding, Mapping[str, Any]]] = {}

    @property
    def readable(self) -> list[ObjectFacts]:
        """The objects that have records that can be read."""
        return [one for one in self.objects if not one.problem]

    @property
    def largest(self) -> ObjectFacts | None:
        """The readable object with the most records."""
        return max(self.readable, key=lambda one: one.size, default=None)

    def is_answered(self, assumption_id: str) -> bool:
        """Whether there is an answer about an assumption."""
        return assumption_id in self._found

    def answer(self, assumption_id: str, answer: Verdict, evidence: str, **facts: Any) -> None:
        """Note the answer about an assumption; only one that is unknown is replaced later."""
        before = self._found.get(assumption_id)
        if before is None or before[0].answer == UNKNOWN:
            self._found[assumption_id] = (Finding(answer, evidence), facts)

    def answer_by_object(self, assumption_id: str, findings: Mapping[str, Finding]) -> None:
        """Note an answer that may differ between objects; one contradiction decides.

        :param findings: by the object's name in reports.
        """
        answers = {finding.answer for finding in findings.values()}
        answer = next((one for one in (CONTRADICTED, HOLDS) if one in answers), UNKNOWN)
        evidence = {name: finding.evidence for name, finding in findings.items()}
        evidence |= {one.shown: one.problem for one in self.objects if one.problem}
        by_object: dict[str, str] = {name: finding.answer for name, finding in findings.items()}
        by_object |= {one.shown: "skipped" if one.skipped else UNKNOWN for one in self.objects if one.problem}
        self.answer(assumption_id, answer, _join_evidence(evidence), objects=by_object)

    def finish(self, *, with_writes: bool) -> list[Answer]:
        """Return the answers in the order of the list of assumptions.

        :param with_writes: whether the assumptions were asked that need writes.
        """
        asked = [one for one in ASSUMPTIONS if with_writes or not one.write]
        spent = "the budget of requests was spent before it was asked" if self.asker.stopped else ""
        why = spent or self.failure or "not asked"
        answers = []
        for one in asked:
            finding, facts = self._found.get(one.id, (Finding(UNKNOWN, why), {}))
            answers.append(Answer(one, finding, self.asker.calls[one.id], facts))
        return answers


def _join_evidence(evidence: Mapping[str, str]) -> str:
    """Return the evidence about several objects; what is the same is said once."""
    names: dict[str, list[str]] = {}
    for name, text in evidence.items():
        names.setdefault(text, []).append(name)
    return (
        "; ".join(f"{', '.join(same)}: {text}" for text, same in names.items()) or "no object could be read"
    )
