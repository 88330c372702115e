"""What the hook says of a connection that cannot be used."""

import json

import pytest

from intacct_provider.exceptions import IntacctConfigError
from intacct_provider.hooks.intacct import IntacctHook


def describe(monkeypatch, **changes):
    extra = {"company_id": "Acme", "user_id": "ws_user"}
    parts = {"conn_type": "intacct", "login": "app", "password": "s3cret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MY_INTACCT", json.dumps({**parts, **changes}))
    with pytest.raises(IntacctConfigError) as caught:
        _ = IntacctHook("my_intacct").config
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_the_connection_is_named_with_its_id(monkeypatch):
    message = describe(monkeypatch, login="")
    assert message.startswith("Connection 'my_intacct': client_id is missing")
    assert "'my_intacct': client_secret ends with a line break" in describe(monkeypatch, password="s3cret\n")
    done, text = IntacctHook("my_intacct").test_connection()
    assert not done
    assert "Connection 'my_intacct'" in text


def test_another_type_is_named(monkeypatch):
    message = describe(monkeypatch, conn_type="http", extra={})
    assert message.startswith(
        "Connection 'my_intacct' (of type 'http', not 'intacct'): company_id is missing"
    )
