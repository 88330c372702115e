"""What belongs to a release: one version, addresses of our own, and names that moved to where the changelog says."""

import importlib
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from intacct_provider import __version__
from intacct_provider.get_provider_info import get_provider_info

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
MOVED = re.findall(r"^\| `(intacct_provider\.\S+)` \| `(\S+)` \| (gone|works) \|$", CHANGELOG, re.MULTILINE)


def exists(path: str) -> bool:
    """Return whether a dotted path leads to something that can be imported."""
    names = path.split(".")
    for length in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        for name in names[length:]:
            found = getattr(found, name, None)
        return found is not None
    return False


@pytest.mark.parametrize(("old", "new", "state"), MOVED)
def test_a_name_that_moved_is_where_the_changelog_says(old, new, state):
    assert exists(new)
    assert exists(old) is (state == "works")


def test_all_rows_of_the_changelog_are_read():
    table = CHANGELOG.partition("| 0.1.0 | 0.2.0 | old name |\n")[2].splitlines()
    assert len(MOVED) == sum(line.startswith("| `") for line in table) > 40


def test_all_places_name_the_same_version():
    newest = re.search(r"^## (\S+) \(", CHANGELOG, re.MULTILINE)
    assert newest
    assert PROJECT["version"] == __version__ == newest[1] == get_provider_info()["versions"][0]


def test_addresses_are_those_of_this_project():
    urls = PROJECT["urls"]
    assert list(urls) == ["Documentation", "Changelog", "Source", "Issues"]
    assert all(PROJECT["name"] in url for url in urls.values())
    assert all(urls[name].startswith(urls["Source"]) for name in ("Changelog", "Issues"))


def test_the_registry_file_says_what_the_package_says():
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text(encoding="utf-8"))
    info = get_provider_info()
    assert registry["package-name"] == info["package-name"]
    assert registry["name"] == info["name"]
    assert registry["description"] == PROJECT["description"]
    assert registry["license"] == PROJECT["license"]
    assert registry["urls"] == PROJECT["urls"]
    assert (ROOT / registry["logo"]).is_file()
    assert info["integrations"][0]["logo"].endswith(registry["logo"])


def test_the_logo_is_an_image_that_loads_nothing():
    text = (ROOT / "docs" / "images" / "logo.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 - it is ours
    assert root.tag.endswith("svg")
    assert "href" not in text
    assert "script" not in text


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml", "question.yml"])
def test_a_form_for_issues_asks_for_what_the_answer_needs(name):
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    assert questions
    assert len({part["id"] for part in questions}) == len(questions)
    assert all(part["attributes"]["label"] for part in questions)


def test_files_of_the_community_are_there_and_name_no_person():
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md", ".github/CODEOWNERS"):
        assert len((ROOT / name).read_text(encoding="utf-8")) > 100
    assert re.search(
        r"^\* +@airflow-provider-intacct/", (ROOT / ".github" / "CODEOWNERS").read_text(), re.MULTILINE
    )
