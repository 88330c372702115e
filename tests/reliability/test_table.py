"""The page docs/reliability.md has exactly the results of the tests in this folder."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
MODULES = {path.name for path in HERE.glob("test_*.py")} - {
    Path(__file__).name,
    "test_soak.py",
    "test_under_change.py",
}


def test_the_page_matches_the_results(request, proven):
    config = request.config
    if proven.modules != MODULES or config.option.keyword or config.option.markexpr:
        pytest.skip("The page needs the results of all tests in this folder.")
    assert not proven.failed, "the tests of these rows failed"
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("INTACCT_WRITE_RELIABILITY"):
        page = proven.render(page)
        PAGE.write_text(page, encoding="utf-8")
    assert page == proven.render(page), "run: make reliability"
