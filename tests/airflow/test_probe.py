"""The probe with an Airflow connection."""

from sandbox_client import running

from intacct_provider.client.http import auth
from intacct_provider.probe.__main__ import main

CUSTOMER = "accounts-receivable/customer"


def test_the_probe_takes_an_airflow_connection_with_its_entity(monkeypatch, capsys):
    auth.forget_tokens()
    with running("demo") as company:
        monkeypatch.setenv("AIRFLOW_CONN_PROBED", company.connection(entity_id="UK"))
        assert main(["--conn-id", "probed", "--objects", CUSTOMER]) == 0
    assert "Entity reached: 'UK'" in capsys.readouterr().out


def test_a_refresh_token_that_nothing_keeps_is_not_used_up(monkeypatch, capsys):
    with running() as company:
        extra = {"auth_type": "refresh_token", "refresh_token": "the-only-one"}
        monkeypatch.setenv("AIRFLOW_CONN_PROBED", company.connection(**extra))
        assert main(["--conn-id", "probed"]) == 1
        assert company.requests == []
    assert "credential_store" in capsys.readouterr().err
