"""The commands of the documentation: found on the pages, run in terminals, compared with what the pages show."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("documented_commands")


@pytest.fixture
def page(tool, monkeypatch, tmp_path):
    """Return a function that writes a page and follows it in an empty folder, which it returns."""

    def follow(text, **options):
        (tmp_path / "page.md").write_text(text)
        monkeypatch.setattr(tool, "ROOT", tmp_path)
        folder = tmp_path / "folder"
        folder.mkdir()
        with tool.Reader(folder, dict(os.environ), **options) as reader:
            reader.follow("page.md")
        return folder

    return follow


def test_what_a_command_sets_is_there_for_the_next_one_and_files_are_saved(page):
    folder = page(
        "```console\n$ export WORD=hello\n$ mkdir notes\n```\n"
        "Save this as `notes/one.txt`:\n\n```python\nprint()\n```\n"
        '```console\n$ cat notes/one.txt\nprint()\n$ echo "$WORD" > word\n```\n'
    )
    assert (folder / "word").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("```console\n$ false\n```\n", "false: ended with 1"),
        ("```console\n$ echo one\ntwo\n```\n", "did not print 'two'"),
        ("```console\n$ echo one\n```\n```text\ntwo\n```\n", "did not print 'two'"),
        ("```console\n$ no-such-command\n```\n", "ended with 127"),
    ],
)
def test_a_command_that_fails_or_prints_something_else_is_reported(page, tool, block, problem):
    with pytest.raises(tool.ToolError, match=problem):
        page(block)


def test_dots_stand_for_anything_and_seconds_do_not_count(page):
    page(
        "```console\n$ echo 'took 12 rows (3.1 s).'\ntook ... rows (0.2 s).\n```\n```text\nrows (9.9 s)\n```\n"
    )


def test_a_command_that_keeps_running_has_a_terminal_of_its_own_until_it_is_started_again(
    page, tool, monkeypatch
):
    monkeypatch.setattr(tool, "SERVERS", {"sleep": "ready"})
    page(
        "```console\n$ echo $$ > first; echo ready; exec sleep 1000\n$ kill -0 $(cat first)\n"
        "$ echo $$ > second; echo ready; exec sleep 1000\n$ ! kill -0 $(cat first)\n$ kill -0 $(cat second)\n```\n"
    )


def test_the_pages_have_commands_and_those_of_make_exist(tool):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {
        page: [one for one in tool.read_steps(page) if isinstance(one, tool.Command)] for page in tool.PAGES
    }
    for page in ("README.md", "docs/quickstart.md", "docs/sandbox.md"):
        assert commands[page]
    made = {one.text.split()[1] for page in commands.values() for one in page if one.text.startswith("make ")}
    assert {"demo", "airflow"} <= made <= targets


def test_the_quickstart_begins_with_nothing_and_ends_in_the_user_interface(tool):
    texts = [one.text for one in tool.read_steps("docs/quickstart.md") if isinstance(one, tool.Command)]
    assert texts[0] == "python3 -m venv .venv"
    assert texts.index("airflow db migrate") < texts.index("airflow dags test first_sync")
    assert "airflow standalone" in texts


def test_a_command_of_several_lines_is_one_and_a_block_without_a_command_has_none(tool):
    assert tool.read_commands(["$ one \\", "    two", "shown"]) == [
        tool.Command("one \\\n    two", ("shown",))
    ]
    assert tool.read_commands(["shown"]) == []
