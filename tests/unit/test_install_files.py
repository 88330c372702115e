"""The files of the installation page: what they ask for exists in this package and in Airflow."""

import json
import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.sandbox import Sandbox
from intacct_provider.sandbox.__main__ import parse_arguments

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "examples" / "install"
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMPOSE = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def list_requirements():
    lines = [
        line
        for file in FOLDER.glob("requirements*.txt")
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.startswith("--")
    ]
    return [*lines, *re.findall(r'"(airflow-provider-intacct[^"]*)"', DOCKERFILE)]


def read_connection(text):
    parts = json.loads(text)
    assert parts.pop("conn_type") == "intacct"
    return IntacctConfig.from_connection(
        **{"host": None, "port": None, **parts, "extra": parts["extra"]},
    )


@pytest.mark.parametrize("line", list_requirements())
def test_a_requirement_allows_this_version(line):
    one = Requirement(line)
    assert one.name == PROJECT["name"]
    assert one.specifier.contains(PROJECT["version"])
    assert one.extras <= set(PROJECT["optional-dependencies"])


def test_the_page_includes_each_file_and_names_the_extras_for_users():
    assert set(re.findall(r"literalinclude\} examples/install/(\S+)", PAGE)) == {
        file.name for file in FOLDER.iterdir()
    }
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {
        name for name in PROJECT["optional-dependencies"] if name != "release" and not name.startswith("dev")
    }
    assert f"intacct-{PROJECT['version']}" in VALUES["images"]["airflow"]["tag"]
    assert f"airflow_provider_intacct-{PROJECT['version']}-py3-none-any.whl" in PAGE


def test_settings_of_airflow_are_settings_that_it_has():
    from airflow.configuration import conf

    names = [name for name in COMPOSE["services"]["airflow"]["environment"] if name.startswith("AIRFLOW__")]
    assert names
    for name in names:
        _, section, option = name.split("__")
        assert conf.get_default_value(section.lower(), option.lower()) is not None, name


def test_the_connection_of_docker_compose_reaches_the_sandbox():
    config = read_connection(COMPOSE["services"]["airflow"]["environment"]["AIRFLOW_CONN_INTACCT_DEFAULT"])
    _, _, module, *arguments = shlex.split(COMPOSE["services"]["sandbox"]["command"])
    assert module == "intacct_provider.sandbox"
    port = parse_arguments(arguments).port
    assert f"127.0.0.1:{port}/" in config.base_url
    with Sandbox(seed="demo") as sandbox, IntacctClient(replace(config, base_url=sandbox.url)) as client:
        assert client.query("accounts-receivable/customer", ["id"], size=1).rows


def test_both_containers_are_the_image_of_the_dockerfile_and_share_the_loopback_address():
    services = COMPOSE["services"]
    assert {one["build"] for one in services.values()} == {"."}
    assert services["sandbox"]["network_mode"] == "service:airflow"
    assert all(port.startswith("127.0.0.1:") for port in services["airflow"]["ports"])


def test_the_secret_of_the_chart_is_the_one_that_the_page_creates():
    [secret] = VALUES["secret"]
    assert f"generic {secret['secretName']} --from-file={secret['secretKey']}=connection.json" in PAGE
    assert secret["envName"] == "AIRFLOW_CONN_INTACCT_DEFAULT"
    assert (
        read_connection((FOLDER / "connection.json").read_text(encoding="utf-8")).credential_store
        == "variable"
    )


def test_dockerfile_and_chart_have_the_same_airflow():
    [version] = re.findall(r"^FROM apache/airflow:(\S+)$", DOCKERFILE, re.MULTILINE)
    assert VALUES["airflowVersion"] == version
    assert VALUES["images"]["airflow"]["tag"].startswith(f"{version}-")
