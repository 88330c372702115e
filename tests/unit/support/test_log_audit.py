"""The audit that the whole suite relies on must itself be able to fail."""

from __future__ import annotations

import logging
import sqlite3

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


@pytest.mark.parametrize(
    "message",
    [
        '{"ia::result": [{"key": "1"}]}',
        "{'ia::error': {'message': 'no'}}",
        '{"object": "x", "filters": [], "filterExpression": "and"}',
        "grant_type=client_credentials&client_id=x",
        '{"access_token": "x"}',
    ],
)
def test_finds_a_body_of_a_request_or_an_answer(audit, logger, message):
    logger.debug("sent %s", message)
    assert len(audit.leaks) == 1


class AuditedError(Exception):
    """Has its text only when it is asked, like those that get a hint later."""

    def __init__(self, text, inner=None):
        super().__init__("nothing to see")
        self.text, self.__cause__ = text, inner


@pytest.mark.parametrize(
    "made",
    [
        lambda: AuditedError("correct-horse-battery"),
        lambda: AuditedError("", ValueError("correct-horse-battery")),
    ],
)
def test_finds_a_secret_in_an_exception_that_was_caught_or_only_made(audit, monkeypatch, made):
    monkeypatch.setattr(AuditedError, "__init__", AuditedError.__init__)
    audit.listen_to(AuditedError)
    made()
    AuditedError("harmless")
    audit.check_raised("this test")
    assert (audit.exceptions, audit.leaks) == (2, ["AuditedError made during this test"])


def test_finds_a_secret_in_an_xcom(audit, tmp_path):
    database = tmp_path / "airflow.db"
    audit.check_xcoms(database)
    with sqlite3.connect(database) as conn:
        conn.execute("CREATE TABLE xcom (dag_id, task_id, key, value)")
        rows = [("d", "t", "good", '{"id": "C1"}'), ("d", "t", "bad", '"correct-horse-battery"')]
        conn.executemany("INSERT INTO xcom VALUES (?, ?, ?, ?)", rows)
    audit.check_xcoms(database)
    assert (audit.xcoms, audit.leaks) == (2, ["XCom bad of task t of DAG d"])
