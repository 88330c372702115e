"""What a test needs and a machine may lack: the test is skipped then, or fails where it must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lack(program: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where ``INTACCT_REQUIRE_<program>`` is 1.

    :param program: in capitals, such as ``POSTGRES``.
    :param reason: what is missing.
    """
    required = os.environ.get(f"INTACCT_REQUIRE_{program}") == "1"
    (pytest.fail if required else pytest.skip)(reason)
