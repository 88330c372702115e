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


XCOMS = {
    "xcom": ["CREATE TABLE xcom (dag_id, run_id, task_id, map_index, key, value)",
             "INSERT INTO xcom VALUES ('d', 'r', 't', -1, ?, ?)"],
    "xcom_v2": ["CREATE TABLE task_instance (id, dag_id, run_id, task_id, map_index)",
                "INSERT INTO task_instance VALUES (7, 'd', 'r', 't', -1)",
                "CREATE TABLE xcom_v2 (id, task_instance_id, key, value)",
                "INSERT INTO xcom_v2 VALUES (1, 7, ?, ?)"],
}  # fmt: skip


@pytest.mark.parametrize("tables", [("xcom",), ("xcom_v2",), ("xcom", "xcom_v2")], ids="-".join)
def test_finds_a_secret_in_an_xcom(audit, tmp_path, tables):
    """Airflow keeps them in another table since 3.4; a database that was upgraded can have both."""
    database = tmp_path / "airflow.db"
    audit.check_xcoms(database)
    with sqlite3.connect(database) as conn:
        for *statements, insert in map(XCOMS.get, tables):
            for statement in statements:
                conn.execute(statement)
            conn.executemany(insert, [("good", '{"id": "C1"}'), ("bad", '"correct-horse-battery"')])
    audit.check_xcoms(database)
    assert audit.xcoms == 2 * len(tables)
    assert audit.leaks == ["XCom bad of task t of DAG d"] * len(tables)


def test_a_database_whose_xcoms_cannot_be_found_is_not_audited_in_silence(audit, tmp_path):
    database = tmp_path / "airflow.db"
    with sqlite3.connect(database) as conn:
        conn.execute("CREATE TABLE xcom_v3 (value)")
    with pytest.raises(AssertionError, match="xcom_v2"):
        audit.check_xcoms(database)
