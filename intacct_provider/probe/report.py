"""The table for the terminal, and the report as JSON. Neither has a value of a record, a token or a company's name."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider import __version__
from intacct_provider.probe.answers import Answer
from intacct_provider.probe.asking import Asker

_WIDTH = 110


def build_report(answers: Sequence[Answer], asker: Asker, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report as JSON values.

    :param more: further members.
    """
    return {
        "version": __version__,
        "requests": asker.requests,
        "limit": asker.limit,
        "complete": not asker.stopped,
        **more,
        "assumptions": [
            {
                "id": answer.assumption.id,
                "answer": answer.finding.answer,
                "evidence": answer.finding.evidence,
                "consequence": answer.consequence,
                "calls": answer.calls,
                **answer.facts,
            }
            for answer in answers
        ],
    }


def write_report(path: str, report: Mapping[str, Any]) -> None:
    """Write the report to a file; the same answers are the same bytes."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def format_table(answers: Sequence[Answer]) -> str:
    """Return some lines for each assumption, and a summary."""
    width = max(map(len, _SUMMARY)) + 2
    lines: list[str] = []
    for answer in answers:
        lines.append(f"{answer.finding.answer:<{width}}{answer.assumption.id}: {answer.assumption.claim}")
        lines += _indent(f"seen: {answer.finding.evidence}", width)
        lines += _indent(f"so:   {answer.consequence}", width)
    counts = Counter[str](answer.finding.answer for answer in answers)
    summary = ", ".join(f"{counts[one]} {word}" for one, word in _SUMMARY.items())
    return "\n".join([*lines, "", f"{len(answers)} assumptions: {summary}."])


_SUMMARY = {"holds": "hold", "contradicted": "contradicted", "unknown": "unknown"}


def _indent(text: str, by: int) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * by, subsequent_indent=" " * (by + 6))
