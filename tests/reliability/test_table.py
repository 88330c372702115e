"""The page docs/reliability.md says what the tests before this one have proven, line by line."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
MODULES = {path.name for path in HERE.glob("test_*.py")} - {Path(__file__).name, "test_soak.py"}


def test_the_page_says_what_was_proven(request, proven):
    config = request.config
    if proven.modules != MODULES or config.option.keyword or config.option.markexpr:
        pytest.skip("The page is made of all tests of this folder.")
    assert not proven.failed, "these lines are not true"
    if os.environ.get("INTACCT_WRITE_RELIABILITY"):
        PAGE.write_text(proven.page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == proven.page(), "run: make reliability"
