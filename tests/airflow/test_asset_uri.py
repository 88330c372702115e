"""Airflow's assets, metadata and lineage collector support ``intacct://``."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest
from airflow.sdk import Asset
from airflow_parts import find

from intacct_provider.assets import intacct
from intacct_provider.get_provider_info import get_provider_info

AIRFLOW = str(Path(sysconfig.get_path("scripts")) / "airflow")


def test_the_metadata_names_the_functions():
    try:
        manager = find("ProvidersManagerTaskRuntime", "airflow.sdk.providers_manager_runtime")()
    except ImportError:
        manager = find("ProvidersManager", "airflow.providers_manager")()
    assert manager.asset_uri_handlers["intacct"] is intacct.sanitize_uri
    assert manager.asset_factories["intacct"] is intacct.create_asset
    assert manager.asset_to_openlineage_converters["intacct"] is intacct.convert_asset_to_openlineage


@pytest.mark.slow
def test_the_command_line_shows_the_scheme():
    done = subprocess.run(
        [AIRFLOW, "providers", "get", "airflow-provider-intacct", "--full", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (shown,) = json.loads(done.stdout[done.stdout.index("[") :])
    assert "intacct_provider.assets.intacct.sanitize_uri" in json.dumps(shown)
    assert get_provider_info()["asset-uris"][0]["schemes"] == ["intacct"]


def test_an_asset_gets_the_canonical_uri_and_keeps_the_case_of_its_company():
    asset = Asset("INTACCT://ACME-Prod/platform-apps/nsp%3A%3AName/")
    assert asset.uri == asset.normalized_uri == "intacct://ACME-Prod/platform-apps/nsp::Name"
    assert Asset(name="x", uri=asset.uri).uri == asset.uri


def test_an_asset_without_an_object_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"Did you mean 'accounts-receivable/customer'\?"):
        Asset("intacct://ACME/customer")
    with pytest.raises(ValueError, match="cannot have a query or a fragment"):
        Asset("intacct://ACME/accounts-receivable/customer?status=active")


def test_a_password_is_removed_from_an_asset():
    with pytest.warns(UserWarning, match="should not contain a password"):
        asset = Asset(name="customers", uri="intacct://user:hunter2@ACME/accounts-receivable/customer")
    assert asset.uri == "intacct://ACME/accounts-receivable/customer"


def test_a_dag_that_waits_for_an_asset_finds_it_by_any_spelling(airflow_db):
    """Assets pass through the serialized DAG, which normalizes their URIs again."""
    import pendulum
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    written, awaited = (
        Asset("intacct://ACME/order-entry/document::Sales Order"),
        Asset(name="same", uri="intacct://ACME/order-entry/document%3A%3ASales%20Order/"),
    )
    with DAG("waits", schedule=[awaited], start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
        pass
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert [asset.uri for _key, asset in stored.timetable.asset_condition.iter_assets()] == [written.uri]


def test_the_collector_makes_the_asset_from_company_and_object():
    collector = find("HookLineageCollector", "airflow.sdk.lineage", "airflow.lineage.hook")()
    collector.add_input_asset(
        object(),
        scheme="intacct",
        asset_kwargs={"company_id": "ACME", "object_name": "platform-apps/nsp::name"},
    )
    (found,) = collector.collected_assets.inputs
    assert found.asset.uri == "intacct://ACME/platform-apps/nsp::name"
