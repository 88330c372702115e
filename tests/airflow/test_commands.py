"""The commands with an Airflow connection."""

import pytest
from sandbox_client import running

from intacct_provider.capture.__main__ import main as capture
from intacct_provider.client.http import auth
from intacct_provider.probe.__main__ import main as probe

CUSTOMER = "accounts-receivable/customer"


def test_the_probe_takes_an_airflow_connection_with_its_entity(monkeypatch, capsys):
    auth.forget_tokens()
    with running("demo") as company:
        monkeypatch.setenv("AIRFLOW_CONN_PROBED", company.connection(entity_id="UK"))
        assert probe(["--conn-id", "probed", "--objects", CUSTOMER]) == 0
    assert "Entity reached: 'UK'" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["probe", "capture"])
def test_a_refresh_token_that_nothing_keeps_is_not_used_up(name, monkeypatch, capsys, tmp_path):
    out = ["--objects", CUSTOMER, "--out", str(tmp_path / "company.json")]
    command, options = {"probe": (probe, []), "capture": (capture, out)}[name]
    with running() as company:
        extra = {"auth_type": "refresh_token", "refresh_token": "the-only-one"}
        monkeypatch.setenv("AIRFLOW_CONN_REACHED", company.connection(**extra))
        assert command(["--conn-id", "reached", *options]) == 1
        assert company.requests == []
    said = capsys.readouterr().err
    assert said.startswith(f"intacct {name}: ")
    assert "credential_store" in said
    assert "the-only-one" not in said
