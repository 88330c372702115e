"""Tokens in Airflow's Variables: written, read back, not hidden by another backend, and put there by a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import requests
from sandbox_pages import Page

from intacct_provider.client.http import auth
from intacct_provider.exceptions import IntacctError
from intacct_provider.hooks.credential_store import (
    VARIABLE_PREFIX,
    VariableCredentialStore,
    find_credential_store,
)
from intacct_provider.hooks.intacct import IntacctHook

BACK = "https://127.0.0.1:8443/callback"
ENTITY = "company-config/entity"
NAME = f"{VARIABLE_PREFIX}intacct_default"


@pytest.fixture
def variables(airflow_db, monkeypatch):
    """Let this process read and write Variables as Airflow's own commands do, and leave none behind."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    auth.forget_tokens()
    yield
    from airflow.models import Variable

    Variable.delete(NAME)


def stored():
    """Return what Airflow's database has, whatever another backend answers."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.query(Variable).filter(Variable.key == NAME).one().get_val()


def test_a_variable_keeps_what_was_saved_last(variables):
    store = VariableCredentialStore("intacct_default")
    assert store.load() is None
    for text in ("one-token", "two-tokens", '{"access_token": "three"}'):
        store.save(text)
        assert VariableCredentialStore("intacct_default").load() == stored() == text


def test_its_name_makes_airflow_mask_its_value():
    from airflow.sdk._shared.secrets_masker import redact

    assert redact("one-token", NAME) == "***"


def test_a_variable_that_another_backend_hides_is_an_error_that_names_it(variables, monkeypatch):
    monkeypatch.setenv(f"AIRFLOW_VAR_{NAME.upper()}", "older")
    store = VariableCredentialStore("intacct_default")
    assert store.load() == "older"
    with pytest.raises(
        IntacctError, match=f"{NAME}, but another secrets backend returns older tokens"
    ) as caught:
        store.save("newer-token")
    assert "newer-token" not in str(caught.value)
    assert stored() == "newer-token", (
        "nothing is lost: the token is stored for when the other backend is removed"
    )


def test_what_another_task_writes_meanwhile_is_no_error(variables, monkeypatch):
    from airflow.models import Variable

    write = Variable.set

    def overtaken(name, text):
        write(name, text)
        write(name, "of another task")

    store = VariableCredentialStore("intacct_default")
    store.save("before")
    assert store.load() == "before"
    monkeypatch.setattr(Variable, "set", overtaken)
    store.save("ours")
    assert store.load() == "of another task"


#: Lets connections name the stores of these tests.
ALLOWED = {"AIRFLOW__INTACCT__CREDENTIAL_STORE_PREFIXES": "token_stores"}


def test_the_same_setting_and_connection_give_the_same_store():
    """The clients of a process share their tokens by that."""
    assert find_credential_store("variable", "a") is find_credential_store("variable", "a")
    assert find_credential_store("variable", "a") is not find_credential_store("variable", "b")
    assert find_credential_store("memory", "a") is None


def test_hooks_share_a_token_through_a_variable(variables, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(credential_store="variable"))
    for _ in range(5):
        auth.forget_tokens()
        with IntacctHook().client as client:
            assert client.list(ENTITY) != []
    assert [call.status for call in sandbox.requests if call.path == "/oauth2/token"] == [200]
    assert sandbox.identity.client_secret not in stored()


# --- authorize


def authorize(*options, fill="", **env):
    """Run the command; allow the access in a browser, and paste the address that it is sent to."""
    command = [sys.executable, "-m", "intacct_provider.authorize", "--redirect-uri", BACK, *options]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env, "_AIRFLOW_PROCESS_CONTEXT": ""},
    ) as process:
        lines = (line.strip() for line in process.stdout)
        address = next((line for line in lines if line.startswith("http")), None)
        pasted = ""
        if address:
            [form] = Page(requests.get(address, timeout=10)).all("form")
            host = address.partition("/ia/")[0]
            data = {"user": "airflow", "decision": "allow"}
            answer = requests.post(host + form["action"], data=data, timeout=10, allow_redirects=False)
            pasted = answer.headers["Location"] + "\n"
        printed, problem = process.communicate(pasted, timeout=60)
        return process.returncode, printed.strip(), problem


@pytest.fixture
def in_database(variables, sandbox, monkeypatch):
    """Keep the connection in Airflow's database, where a person who uses the form has it."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_INTACCT_DEFAULT")
    given = {"auth_type": "refresh_token", "credential_store": "variable"}
    connection = Connection(conn_id="intacct_default", **json.loads(sandbox.connection(**given)))
    with create_session() as session:
        session.add(connection)
    yield
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id == "intacct_default").delete()


@pytest.mark.slow
def test_authorize_stores_the_token_of_a_connection_and_a_task_needs_nothing_else(in_database, sandbox):
    code, printed, problem = authorize("--conn-id", "intacct_default")
    assert (code, "Traceback" in problem) == (0, False), problem
    said = "The refresh token is stored in the credential store 'variable' of connection 'intacct_default'."
    assert printed.splitlines()[-1] == said
    kept = json.loads(stored())
    for token in (kept["access_token"], kept["refresh_token"], sandbox.identity.client_secret):
        assert token not in printed + problem
    with IntacctHook().client as client:
        assert client.list(ENTITY) != []
        sandbox.expire_tokens()
        assert client.list(ENTITY) != []
    assert [call.status for call in sandbox.requests if call.path == "/oauth2/token"] == [200, 200]
    assert json.loads(stored())["refresh_token"] not in ("", kept["refresh_token"])


@pytest.mark.slow
def test_authorize_says_what_a_connection_that_uses_another_grant_needs(variables, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(credential_store="variable"))
    code, printed, _ = authorize("--conn-id", "intacct_default")
    assert code == 0
    assert 'set the extra auth_type of the connection to "refresh_token"' in printed
    given = {"auth_type": "refresh_token", "credential_store": "variable"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(**given))
    with IntacctHook().client as client:
        assert client.list(ENTITY) != []


@pytest.mark.slow
@pytest.mark.parametrize("auth_type", ["client_credentials", "refresh_token"])
def test_authorize_prints_the_token_of_a_connection_without_a_store(sandbox, monkeypatch, auth_type):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(auth_type=auth_type))
    code, printed, _ = authorize("--conn-id", "intacct_default")
    extra = json.loads(printed.splitlines()[-1])
    assert (code, extra["auth_type"], extra["credential_store"]) == (0, "refresh_token", "variable")
    assert extra["refresh_token"].count(".") == 2


@pytest.mark.slow
def test_a_token_that_cannot_be_stored_is_printed_rather_than_lost(sandbox, monkeypatch):
    given = {"auth_type": "refresh_token", "credential_store": "token_stores.FileStore"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(**given))
    tests = os.path.join(os.path.dirname(os.path.dirname(__file__)), "support")
    code, printed, problem = authorize(
        "--conn-id", "intacct_default", INTACCT_TEST_STORES="/nowhere/at/all", PYTHONPATH=tests, **ALLOWED
    )
    assert code == 1
    assert "the credential store failed (FileNotFoundError), so the token is shown instead" in problem
    extra = json.loads(printed.splitlines()[-1])
    assert extra == {**given, "refresh_token": extra["refresh_token"]}
    assert extra["refresh_token"] not in problem


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "said"),
    [("FileStore", "cannot be read (KeyError)"), ("Nothing", "must be 'memory', 'variable'")],
)
def test_a_store_that_cannot_be_reached_says_so_before_anybody_consents(sandbox, monkeypatch, store, said):
    extra = {"auth_type": "refresh_token", "credential_store": f"token_stores.{store}"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection(**extra))
    tests = os.path.join(os.path.dirname(os.path.dirname(__file__)), "support")
    code, printed, problem = authorize("--conn-id", "intacct_default", PYTHONPATH=tests, **ALLOWED)
    assert (code, printed) == (1, "")
    assert said in problem
    assert "Traceback" not in problem


@pytest.mark.slow
def test_a_connection_that_is_not_there_is_named(airflow_db):
    code, printed, problem = authorize("--conn-id", "nothing")
    assert (code, printed) == (1, "")
    assert "The connection 'nothing' cannot be read (AirflowNotFoundException)." in problem
    assert "Traceback" not in problem
