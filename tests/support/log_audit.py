"""An audit of all that the suite logs, prints, raises and keeps: no secret, no token and no body may be in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stored_xcoms import read_xcoms

_BEARER = re.compile(r"Bearer [\w.~+/-]{8,}")
#: What every request and answer has, and no sentence of ours.
_BODY = re.compile(
    r"""["']ia::(?:result|meta|error|status|requestBody)|["']filterExpression["']|grant_type=|["']access_token["']"""
)


#: The first characters of a secret, by which it is looked up; no secret is shorter.
_HEAD = 8


class Secrets(set[str]):
    """Secrets, and whether one of thousands is in a text: looked up by how they begin."""

    def __init__(self) -> None:
        super().__init__()
        self._heads: dict[str, list[str]] = {}

    def add(self, secret: str) -> None:
        """Add one."""
        assert len(secret) >= _HEAD, "a secret that is too short to be looked up"
        if secret not in self:
            super().add(secret)
            self._heads.setdefault(secret[:_HEAD], []).append(secret)

    def update(self, *several: Iterable[str]) -> None:
        """Add several."""
        for secrets in several:
            for secret in secrets:
                self.add(secret)

    def are_in(self, text: str) -> bool:
        """Whether any of them is in a text."""
        heads = self._heads
        found = (heads[head] for at in range(len(text)) if (head := text[at : at + _HEAD]) in heads)
        return any(secret in text for secrets in found for secret in tuple(secrets))


class LogAudit(logging.Handler):
    """Remembers the secrets that the tests use, and where one of them was logged or printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secrets = Secrets()
        self.texts = self.exceptions = self.xcoms = 0
        self.leaks: list[str] = []
        self._raised: list[BaseException] = []
        self._known_elsewhere = 0

    @property
    def known(self) -> int:
        """How many secrets and tokens were looked for, here and in workers."""
        return len(self.secrets) + self._known_elsewhere

    def emit(self, record: logging.LogRecord) -> None:
        """Check a log record, its traceback included."""
        where = f"{record.name} ({record.levelname}), logged at {record.pathname}:{record.lineno}"
        self.check(logging.Formatter().format(record), where)

    def check(self, text: str, where: str) -> None:
        """Check a text and remember where it came from when it holds a secret."""
        self.texts += 1
        if self.secrets.are_in(text) or _BEARER.search(text) or _BODY.search(text):
            self.leaks.append(where)

    def listen_to(self, kind: type[BaseException]) -> None:
        """Remember every exception of this kind from its making on."""
        made = kind.__init__

        def make_and_tell(exception: BaseException, *args: object, **kwargs: object) -> None:
            made(exception, *args, **kwargs)
            self._raised.append(exception)

        kind.__init__ = make_and_tell  # type: ignore[method-assign]

    def check_raised(self, where: str) -> None:
        """Check the exceptions made since the last time, now that their messages are complete."""
        raised, self._raised = self._raised, []
        for exception in raised:
            self.exceptions += 1
            cause = exception.__cause__
            text = f"{exception} {exception!r} {exception.args} {vars(exception)} {cause} {cause!r}"
            self.check(text, f"{type(exception).__name__} made during {where}")

    def check_xcoms(self, database: Path) -> None:
        """Check what tasks have pushed, as Airflow's metadata database keeps it."""
        if not database.exists():
            return
        for one in read_xcoms(database):
            self.xcoms += 1
            self.check(str(one.value), f"XCom {one.key} of task {one.task_id} of DAG {one.dag_id}")

    def findings(self) -> dict[str, Any]:
        """Return what was audited and found, without a secret: for the process that judges the whole run."""
        return {
            "texts": self.texts,
            "exceptions": self.exceptions,
            "xcoms": self.xcoms,
            "known": self.known,
            "leaks": self.leaks,
        }

    def add(self, findings: dict[str, Any]) -> None:
        """Add what the audit of a worker has found."""
        self.texts += findings["texts"]
        self.exceptions += findings["exceptions"]
        self.xcoms += findings["xcoms"]
        self._known_elsewhere += findings["known"]
        self.leaks += findings["leaks"]
