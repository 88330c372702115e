"""Run the commands of documentation pages exactly as they are written, and compare what they print with the page.

A block of the kind ``console`` has commands behind ``$``, each followed by what it prints; ``...`` stands for anything.
A block of the kind ``text`` after it has parts of lines that the last command printed. A block of the kind ``python``
after "Save this as `file`:" is written to that file, and so are the examples that a page includes. A command that keeps
running, such as the sandbox, gets a terminal of its own, and the next command another one in the same folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from company import ROOT, ToolError, check, say
from start_airflow import answers, ask

PAGES = (
    "docs/quickstart.md",
    "README.md",
    "docs/tutorial.md",
    "docs/sandbox.md",
    "docs/test-your-dags.md",
    "docs/client.md",
    "docs/sync.md",
    "docs/export.md",
)
#: The port of the sandbox on the pages.
PORT = "8765"
#: Commands that keep running, and what they print when they are ready.
SANDBOX, STANDALONE = "-m intacct_provider.sandbox", "airflow standalone"
SERVERS = {SANDBOX: "Stop it with Ctrl+C.", STANDALONE: "Airflow is ready"}
#: A command that is called like the sandbox, but ends by itself.
CAPTURE = f"{SANDBOX} capture"
SECONDS = 300
STOP_SECONDS = 10
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
INCLUDED = re.compile(r"\{literalinclude\} (?P<path>examples/\S+)")
TIMES = re.compile(r"\(\d+\.\d s\)")
SAVED = re.compile(r"Save this as `(?P<name>[^`]+)`:\s*\Z")


@dataclass(frozen=True)
class Command:
    """A command, with the lines that the page shows after it, and parts of lines that it shows in another block."""

    text: str
    shown: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file that the reader is asked to save."""

    name: str
    text: str


def read_steps(page: str) -> list[Command | File]:
    """Return what a page asks its reader to do, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    steps: list[Command | File] = []
    for block in FENCE.finditer(text):
        if block["kind"] == "console":
            steps += read_commands(block["body"].splitlines())
        elif block["kind"] == "text" and steps and isinstance(steps[-1], Command):
            steps[-1] = replace(steps[-1], parts=tuple(block["body"].splitlines()))
        elif included := INCLUDED.match(block["kind"]):
            file = (ROOT / page).parent / included["path"]
            steps.append(File(file.name, file.read_text(encoding="utf-8")))
        elif saved := SAVED.search(text, 0, block.start()):
            steps.append(File(saved["name"], block["body"]))
    return steps


def read_commands(lines: Iterable[str]) -> list[Command]:
    """Return the commands of a block with what they print."""
    commands: list[Command] = []
    for line in lines:
        if line.startswith("$ "):
            commands.append(Command(line.removeprefix("$ ")))
        elif commands:  # else the block shows what the command of another one prints
            last = commands.pop()
            goes_on = last.text.endswith("\\") and not last.shown
            more = {"text": f"{last.text}\n{line}"} if goes_on else {"shown": (*last.shown, line)}
            commands.append(replace(last, **more))
    return commands


class Terminal:
    """A shell whose output is read while its commands run."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.command = ""
        self._shell = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=env,
            start_new_session=True,
        )
        self._lines: Queue[str | None] = Queue()
        Thread(target=self._read, daemon=True).start()

    def run(self, command: str, ready: str | None = None) -> list[str]:
        """Run a command until it ends, or until it prints that it is ready; return its lines.

        :raises ToolError: if it fails, ends although it should keep running, or takes too long.
        """
        self.command = command
        mark = f"-- {os.urandom(8).hex()}"
        # What a command reads is not the script of this shell.
        script = f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{mark}' $?"
        print(script, file=self._shell.stdin, flush=True)
        lines: list[str] = []
        end = time.monotonic() + SECONDS
        while True:
            line = self._next(end)
            if line is None:
                raise ToolError(
                    f"{command}: did not end within {SECONDS} s, or the shell did.\n{tail(lines)}"
                )
            if line.startswith(mark):
                if ready or line != f"{mark} 0":
                    raise ToolError(f"{command}: ended with{line.removeprefix(mark)}.\n{tail(lines)}")
                return lines
            lines.append(line)
            if ready and ready in line:
                return lines

    def interrupt(self) -> None:
        """Press Ctrl+C, and close the terminal; end what does not end by itself."""
        if self._shell.stdin:
            self._shell.stdin.close()
        end = time.monotonic() + STOP_SECONDS
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGINT)
            while time.monotonic() < end:
                self._shell.poll()
                os.killpg(self._shell.pid, 0)
                time.sleep(0.1)
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()

    def _read(self) -> None:
        for line in self._shell.stdout or ():
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _next(self, end: float) -> str | None:
        try:
            return self._lines.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            return None


class Reader:
    """Somebody who follows pages in one folder.

    :param env: environment of each new terminal.
    :param port: of the sandbox, in place of the one on the pages, which something else on this machine may have.
    :param skip: how commands begin that are not run.
    :param setup: commands that are run first in each terminal.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        port: str = PORT,
        skip: Iterable[str] = (),
        setup: Iterable[str] = (),
    ) -> None:
        self._folder = folder
        self._env = env
        self._port = port
        self._skip = tuple(skip)
        self._setup = tuple(setup)
        self._servers: list[Terminal] = []
        self._terminal = self._open()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in (*self._servers, self._terminal):
            terminal.interrupt()

    def follow(self, page: str) -> None:
        """Do what a page says.

        :raises ToolError: if a command fails, or does not print what the page shows.
        """
        for step in read_steps(page):
            if isinstance(step, File):
                (self._folder / step.name).write_text(step.text, encoding="utf-8")
            elif not step.text.startswith(self._skip):
                check_output(step, self._run(step.text))

    def stop(self, program: str) -> None:
        """Stop what keeps running, as by Ctrl+C in its terminal."""
        for terminal in [one for one in self._servers if program in one.command]:
            terminal.interrupt()
            self._servers.remove(terminal)

    def _run(self, text: str) -> list[str]:
        """Run a command and return what it printed, so far if it keeps running."""
        server = next((program for program in SERVERS if program in text and CAPTURE not in text), None)
        if server:
            self.stop(server)
        lines = self._terminal.run(self._move(text), SERVERS[server] if server else None)
        if server:
            self._servers.append(self._terminal)
            self._terminal = self._open()
        return [line.replace(self._port, PORT) for line in lines]

    def _open(self) -> Terminal:
        terminal = Terminal(self._folder, self._env)
        for text in self._setup:
            terminal.run(self._move(text))
        return terminal

    def _move(self, text: str) -> str:
        """Return a command with the other port."""
        if self._port == PORT:
            return text
        moved = text.replace(PORT, self._port)
        return moved if CAPTURE in text else moved.replace(SANDBOX, f"{SANDBOX} --port {self._port}")


def follow_pages(folder: Path, env: Mapping[str, str], port: str, skip: Iterable[str]) -> None:
    """Do what all pages say, in the order of the list.

    :raises ToolError: for the first command that fails, or does not print what its page shows.
    """
    first, second, *others = PAGES
    steps = [step.text for step in read_steps(first) if isinstance(step, Command)]
    setup = [text for text in steps if text.startswith(("source ", "export "))]
    with Reader(folder, env, port, skip) as reader:
        say(first)
        reader.follow(first)
        if STANDALONE not in skip:
            run_in_interface(env["AIRFLOW__API__BASE_URL"], folder / "airflow")
            reader.stop(STANDALONE)
        say(second)
        with Reader(folder, env, port, skip, setup) as another:
            another.follow(second)
    with Reader(folder, env, port, skip, setup) as reader:
        for page in others:
            say(page)
            reader.follow(page)


def run_in_interface(address: str, home: Path) -> None:
    """Log in as the quickstart says, and run its DAG as a click on Trigger does.

    :raises ToolError: unless the run turns green.
    """
    passwords = json.loads((home / "simple_auth_manager_passwords.json.generated").read_text())
    login = {"username": "admin", "password": passwords["admin"]}
    dag = f"{address}/api/v2/dags/first_sync"
    end, state = time.monotonic() + SECONDS, "queued"
    while not answers(f"{address}/api/v2/monitor/health") and time.monotonic() < end:
        time.sleep(0.5)
    token = ask(f"{address}/auth/token", login)["access_token"]
    ask(dag, {"is_paused": False}, token, "PATCH")
    run = ask(f"{dag}/dagRuns", {"logical_date": None}, token)["dag_run_id"]
    while state in ("queued", "running") and time.monotonic() < end:
        time.sleep(0.5)
        state = ask(f"{dag}/dagRuns/{run}", token=token)["state"]
    check(state == "success", f"the run of first_sync is {state}")
    say("The run of first_sync in Airflow's user interface is green.")


def check_output(command: Command, lines: Iterable[str]) -> None:
    """Check that a command printed each line that the page shows, whatever seconds it took.

    :raises ToolError: naming the first line that it did not print.
    """
    printed = [TIMES.sub("(... s)", line.strip()) for line in lines]
    for shown in (*command.shown, *command.parts):
        expected = TIMES.sub("(... s)", shown.strip())
        pattern = re.compile(".*".join(map(re.escape, expected.split("..."))))
        matches = pattern.search if shown in command.parts else pattern.fullmatch
        if expected and not any(map(matches, printed)):
            raise ToolError(f"{command.text} did not print {expected!r}, but:\n{tail(printed)}")


def tail(lines: list[str]) -> str:
    """Return the last lines."""
    return "\n".join(f"    {line[:200]}" for line in lines[-25:])
