"""The list of assumptions, and the page that is written from it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from intacct_provider.probe.assumptions import ASSUMPTIONS

ROOT = Path(__file__).resolve().parents[3]


def test_ids_are_unique_words():
    ids = [one.id for one in ASSUMPTIONS]
    assert len({*ids}) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one)] == []


def test_the_page_is_current():
    spec = importlib.util.spec_from_file_location(
        "write_assumptions", ROOT / "tools" / "write_assumptions.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    assert page == tool.build_page(), "run: make assumptions"


def test_every_assumption_is_answered_by_a_question():
    questions = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "intacct_provider" / "probe" / "questions").glob("*.py")
    )
    assert [one.id for one in ASSUMPTIONS if f'"{one.id}"' not in questions] == []
