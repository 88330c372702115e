"""The pip settings of this machine reach uv, too."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "install.py"


@pytest.fixture
def install(monkeypatch, tmp_path):
    """The tool, on a machine without any setting."""
    spec = importlib.util.spec_from_file_location("install", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in (*module.SETTINGS.values(), "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_pips_settings_reach_uv_under_its_names(install):
    assert install.uv_settings(
        {
            "cert": "/etc/ssl/ours.pem",
            "disable-pip-version-check": "1",
            "find-links": "/opt/wheels /opt/more",
            "index-url": "https://packages.test/simple",
            "timeout": "180",
        }
    ) == {
        "SSL_CERT_FILE": "/etc/ssl/ours.pem",
        "UV_FIND_LINKS": "/opt/wheels,/opt/more",
        "UV_DEFAULT_INDEX": "https://packages.test/simple",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_of_several_indexes_uv_takes_the_best_version_as_pip_does(install):
    assert install.uv_settings({"extra-index-url": "https://a.test https://b.test"}) == {
        "UV_INDEX": "https://a.test https://b.test",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_is_set_for_uv_is_left_alone(install, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.test/simple")
    assert install.uv_settings({"index-url": "https://packages.test/simple"}) == {}


def test_pips_files_and_the_environment_are_read_and_the_environment_wins(install, monkeypatch, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://file.test/simple\ncert = /etc/file.pem\n")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.test/simple")
    found = install.pip_configuration()
    assert found["index-url"] == "https://environment.test/simple"
    assert found["cert"] == "/etc/file.pem"


@pytest.mark.parametrize("uv_works", [True, False])
def test_pip_installs_what_uv_cannot(install, monkeypatch, capsys, uv_works):
    calls = []

    def run(command, env):
        calls.append(command[2:4])
        return uv_works

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "pip_configuration", dict)
    monkeypatch.setattr(install.subprocess, "call", lambda command: calls.append(command[2:]) or 0)
    assert install.main(["-c", "constraints.txt", "package"]) == 0
    said = capsys.readouterr().out
    if uv_works:
        assert calls == [["pip", "--disable-pip-version-check"], ["uv", "pip"]]
        assert "Installed with uv" in said
    else:
        assert calls[-1][-4:] == ["-q", "-c", "constraints.txt", "package"]
        assert "installing with pip" in said
