"""The provider as Airflow sees it: metadata, connection form, commands, connection test, and parsing cost."""

from __future__ import annotations

import copy
import json
import os
import secrets
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import pytest

from intacct_provider.client.config import EXTRAS, IntacctConfig
from intacct_provider.get_provider_info import get_provider_info
from intacct_provider.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
#: Keys of the metadata that the oldest Airflow does not know yet, and ignores.
NEW = {"retry-policies"}
AIRFLOW = str(Path(sysconfig.get_path("scripts")) / "airflow")


def airflow_schema(name):
    import airflow

    return json.loads((Path(airflow.__file__).parent / name).read_text())


def run_airflow(*arguments, **env):
    done = subprocess.run(
        [AIRFLOW, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
        cwd=ROOT,
    )
    return done.returncode, done.stdout + done.stderr


def test_metadata_matches_the_schema_of_provider_info():
    jsonschema.validate(get_provider_info(), airflow_schema("provider_info.schema.json"))


def test_metadata_matches_the_stricter_schema_of_provider_files():
    """This schema describes the connection form in detail, and rejects unknown keys."""
    schema = airflow_schema("provider.yaml.schema.json")
    info = {
        name: value
        for name, value in get_provider_info().items()
        if name not in NEW - set(schema["properties"])
    }
    jsonschema.validate(info, schema)
    wrong = copy.deepcopy(info)
    wrong["connection-types"][0]["ui-field-behaviour"]["placeholder"] = {}
    if "ui-field-behaviour" not in json.dumps(schema):
        pytest.skip("the schema of this Airflow does not describe forms")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_entry_point_returns_the_metadata_of_the_distribution():
    (found,) = [
        e for e in entry_points(group="apache_airflow_provider") if e.dist and "intacct" in e.dist.name
    ]
    assert found.load() is get_provider_info
    assert found.dist.name == get_provider_info()["package-name"]


def test_every_module_that_the_metadata_names_can_be_imported():
    import importlib

    import airflow.sdk

    info = get_provider_info()
    kinds = ["hooks", "operators", "sensors", "triggers"]
    if "RetryPolicy" in airflow.sdk.__all__:
        kinds.append("retry-policies")
    modules = [m for kind in kinds for e in info[kind] for m in e["python-modules"]]
    modules += [transfer["python-module"] for transfer in info["transfers"]]
    assert len(modules) >= 8
    for module in modules:
        assert importlib.import_module(module).__doc__


def test_form_has_every_extra_and_its_defaults_are_the_hooks():
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    assert set(fields) == set(EXTRAS)
    config = IntacctConfig(client_id="i", client_secret="s", company_id="c", user_id="u")
    shown = {
        name: field["schema"]["default"] for name, field in fields.items() if "default" in field["schema"]
    }
    assert shown == {name: getattr(config, name) for name in shown}
    assert len(shown) == 5


def test_secret_extras_are_masked_and_no_other_is():
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    masked = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert masked == {"refresh_token", "proxy"}


def test_airflow_draws_the_form_with_every_extra():
    """From the metadata or, up to Airflow 3.1, from the hook."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [form] = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "intacct"]
    assert set(form.extra_fields) == set(EXTRAS)
    fields = {name: field["schema"] for name, field in form.extra_fields.items()}
    assert {name for name, schema in fields.items() if schema.get("format") == "password"} == {
        "refresh_token",
        "proxy",
    }
    assert fields["auth_type"]["enum"] == ["client_credentials", "refresh_token"]
    assert form.extra_fields["page_size"]["value"] == 4000
    assert form.standard_fields.host.title == "API base URL"
    assert form.standard_fields.url_schema.hidden
    shown = {name: field["value"] for name, field in form.extra_fields.items() if field["value"] is not None}
    config = IntacctConfig.from_connection(
        host=None, port=None, login="i", password="s", extra={**shown, "company_id": "c", "user_id": "u"}
    )
    assert config == IntacctConfig(client_id="i", client_secret="s", company_id="c", user_id="u")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("providers", "list"), "airflow-provider-intacct"),
        (("providers", "get", "airflow-provider-intacct", "--full", "-o", "json"), "Sage Intacct"),
        (("providers", "hooks"), "intacct_provider.hooks.intacct.IntacctHook"),
        (("providers", "behaviours"), "intacct"),
    ],
)
def test_airflows_commands_show_the_provider(arguments, expected):
    code, output = run_airflow(*arguments)
    assert code == 0, output
    assert expected in output


def test_the_form_in_the_user_interface_has_our_fields():
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (form,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "intacct"]
    assert form.hook_name == "Sage Intacct"
    assert form.standard_fields.login.title == "Client ID"
    assert form.standard_fields.url_schema.hidden is True
    assert set(form.extra_fields) == set(EXTRAS)


@pytest.mark.slow
def test_connection_test_command_succeeds_and_fails_as_the_credentials_do():
    with Sandbox(client_secret=secrets.token_urlsafe(24)) as sandbox:
        good = sandbox.connection()
        code, output = run_airflow(
            "connections", "test", "intacct_default", AIRFLOW_CONN_INTACCT_DEFAULT=good
        )
        assert code == 0, output
        assert "Connection success" in output
        bad = good.replace(sandbox.identity.client_secret, "guessed-wrong-secret")
        code, output = run_airflow("connections", "test", "intacct_default", AIRFLOW_CONN_INTACCT_DEFAULT=bad)
        assert code != 0
        assert "Check login (client id) and password (client secret)" in " ".join(output.split())
        assert "guessed-wrong-secret" not in output


@pytest.mark.slow
def test_a_dag_run_prints_no_secret_and_no_token(tmp_path):
    """Airflow masks secrets only in task log files, so a command prints messages as the provider wrote them.

    At level DEBUG, such a command prints each value that Airflow is asked to mask; a real worker does not.
    """
    with Sandbox(seed="demo", client_secret=secrets.token_urlsafe(24)) as sandbox:
        issued = []
        from intacct_provider.sandbox.auth import Tokens

        issue = Tokens._issue
        Tokens._issue = lambda self, *args: issued.append(issue(self, *args)) or issued[-1]
        try:
            env = {
                "AIRFLOW_HOME": str(tmp_path),
                "AIRFLOW_CONN_INTACCT_DEFAULT": sandbox.connection(),
            }
            assert run_airflow("db", "migrate", **env)[0] == 0
            code, output = run_airflow("dags", "test", "intacct_sync_customer_groups", **env)
            failed, more = run_airflow(
                "dags",
                "test",
                "intacct_sync_customer_groups",
                "--conf",
                '{"desired": "file:///nowhere.csv"}',
                **env,
            )
        finally:
            Tokens._issue = issue
        assert code == 0
        assert failed != 0
        assert "3 created, 3 updated" in output
        assert "nowhere.csv' cannot be read (FileNotFoundError)" in more
        logs = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*.log"))
        assert len(issued) >= 2
        for secret in {*issued, sandbox.identity.client_secret}:
            assert secret not in output + more + logs


PARSE = """
import sys, socket
from pathlib import Path
def refuse(*args, **kwargs): raise OSError("a DAG file must not use the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import airflow.sdk
before = set(sys.modules)
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag
heavy = {"requests", "pyarrow", "pandas", "urllib3"} & set(sys.modules)
assert not heavy, f"Airflow itself loads {heavy}"
bag = DagBag("example_dags")
assert not bag.import_errors, bag.import_errors
assert len(bag.dags) == len([*Path("example_dags").glob("*.py")]), bag.dags
import importlib, pkgutil, intacct_provider
# The client counts only as far as the other modules load it. The Parquet writer needs pyarrow, but is loaded late.
# The sandbox, captures and probes are commands, which no DAG imports.
skip = tuple(
    f"intacct_provider.{name}" for name in ("sandbox", "capture.", "probe.", "client.", "export.files.parquet")
)
for module in pkgutil.walk_packages(intacct_provider.__path__, "intacct_provider."):
    if not module.name.startswith(skip):
        importlib.import_module(module.name)
print(sorted({"requests", "pyarrow", "pandas"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_parsing_dag_files_needs_no_network_and_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", PARSE], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("[]"), done.stdout[-500:]


def test_client_works_in_an_environment_without_airflow(tmp_path):
    """Run the client in a virtual environment with its dependencies and without Airflow."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, timeout=120
    )
    (site,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    ours = Path(sysconfig.get_path("purelib"))
    for name in ("requests", "urllib3", "certifi", "idna", "charset_normalizer", "msgspec"):
        (site / name).symlink_to(ours / name)
    (site / "intacct_provider").symlink_to(ROOT / "intacct_provider")
    program = """
import importlib.util, os
assert importlib.util.find_spec("airflow") is None
from intacct_provider.client import IntacctClient, IntacctConfig
import pkgutil, importlib, intacct_provider.client as package
for module in pkgutil.iter_modules(package.__path__, "intacct_provider.client."):
    importlib.import_module(module.name)
config = IntacctConfig(client_id="sandbox-client", client_secret=os.environ["SECRET"], company_id="SANDBOX",
                       user_id="airflow", base_url=os.environ["URL"])
print(len(list(IntacctClient(config).iter_rows("accounts-receivable/customer", ["id"]))))
"""
    with Sandbox(seed="demo", client_secret=secrets.token_urlsafe(24)) as sandbox:
        env = {"PATH": os.environ["PATH"], "SECRET": sandbox.identity.client_secret, "URL": sandbox.url}
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "python", "-c", program],
            capture_output=True,
            text=True,
            env=env,
            timeout=120,
        )
    assert (done.returncode, done.stdout) == (0, "240\n"), done.stderr[-2000:]
