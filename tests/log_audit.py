"""An audit of everything that the suite logs and prints: no secret and no token may be in it."""

from __future__ import annotations

import logging
import re

_BEARER = re.compile(r"Bearer [\w.~+/-]{8,}")


class LogAudit(logging.Handler):
    """Remembers the secrets that the tests use, and where one of them was logged or printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secrets: set[str] = set()
        self.texts = 0
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Check a log record, its traceback included."""
        where = f"{record.name} ({record.levelname}), logged at {record.pathname}:{record.lineno}"
        self.check(logging.Formatter().format(record), where)

    def check(self, text: str, where: str) -> None:
        """Check a text and remember where it came from when it holds a secret."""
        self.texts += 1
        # A tuple, since a server's thread may add a token meanwhile.
        if any(secret in text for secret in tuple(self.secrets)) or _BEARER.search(text):
            self.leaks.append(where)
