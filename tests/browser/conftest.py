"""A real Chromium, or a test that is skipped; with INTACCT_REQUIRE_CHROMIUM=1 it fails instead."""

import os
import shutil

import pytest
from required import lack

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium():
    program = os.environ.get("INTACCT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        lack(
            "CHROMIUM",
            f"no Chromium: INTACCT_CHROMIUM is not set, and none of {', '.join(NAMES)} is installed",
        )
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lack("CHROMIUM", "playwright is not installed")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, as containers do; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
