"""The audit that the whole suite relies on must itself be able to fail."""

from __future__ import annotations

import logging

import pytest
from log_audit import LogAudit


@pytest.fixture
def audit():
    audit = LogAudit()
    audit.secrets.add("correct-horse-battery")
    return audit


@pytest.fixture
def logger(audit):
    logger = logging.Logger("audited")
    logger.addHandler(audit)
    return logger


@pytest.mark.parametrize(
    "message",
    ["token correct-horse-battery", "{'secret': 'correct-horse-battery'}", "Authorization: Bearer abcdefgh1"],
)
def test_finds_a_secret_in_a_message(audit, logger, message):
    logger.debug(message)
    assert len(audit.leaks) == 1


def test_finds_a_secret_in_an_argument_and_in_a_traceback(audit, logger):
    logger.info("got %s", "correct-horse-battery")
    try:
        raise ValueError("correct-horse-battery")
    except ValueError:
        logger.exception("failed")
    assert len(audit.leaks) == 2


def test_lets_everything_else_pass(audit, logger):
    logger.info("POST /oauth2/token: HTTP 401; the Authorization header must be Bearer")
    assert audit.texts == 1
    assert audit.leaks == []
