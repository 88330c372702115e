"""What an export remembers for the next one: a small JSON document.

Nothing in it is secret: the places that keep it show it to everybody who may see the DAG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.incremental.window import Window

#: Runs whose windows are remembered, so that each can be run again.
RUNS = 100
#: Key sets that are kept: a run that began before the last one ended still compares with the one before that.
KEY_SETS = 3
_VERSION = 1


class TextStore(Protocol):
    """Where a document is kept."""

    def get(self, name: str) -> str | None:
        """Return what was kept under a name, or None."""

    def set(self, name: str, text: str) -> None:
        """Keep a text in place of what was there."""


class ExportState:
    """What one task remembers of its exports of one thing.

    Loaded once; only :meth:`remember` and :meth:`commit` write.

    :param store: where the document is.
    :param name: of the document.
    """

    def __init__(self, store: TextStore, name: str) -> None:
        self.name = name
        self._store = store
        self._document = self._load()

    @property
    def columns(self) -> list[dict[str, Any]] | None:
        """Columns of the last export, as its manifest has them; None before the first."""
        return self._document.get("columns")

    @property
    def keys(self) -> dict[str, Any] | None:
        """Where the keys are that the last export left behind: ``path`` and ``sha256``, and facts; None without."""
        return self._document.get("keys")

    def watermark(self, field: str) -> str | None:
        """Return up to where records have been exported, by the field that tells when they changed."""
        return self._document.get("watermark") if self._document.get("field") == field else None

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return what is remembered of a run of the DAG: its window, and ``done`` once it was committed."""
        found: dict[str, Any] | None = self._document.get("runs", {}).get(run_id)
        return found

    def repeats(self, run_id: str, window: Window | None) -> bool:
        """Whether a run has exported the same window before, and is run again."""
        known = self.run(run_id) or {}
        return window is not None and known.get("done") is True and known.items() >= window.facts().items()

    def remember(self, window: Window) -> None:
        """Keep the window of a run that begins, so that a retry reads the same one. The watermark stays."""
        known = self.run(window.run_id) or {}
        if not known.items() >= window.facts().items():
            self._update(window.run_id, window.facts() | {"done": False})
            self._save()

    def commit(
        self,
        run_id: str,
        *,
        window: Window | None = None,
        columns: Sequence[Mapping[str, Any]] | None = None,
        deletions: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Let the next export begin where this one ended; to be called when the manifest is there, and not before.

        A run of the past that is run again moves nothing, and neither does one that another has overtaken: the
        watermark only ever moves on, and only by a window that begins at or before it and ends after it.

        :param window: of an incremental export.
        :param columns: of the export, as its manifest has them.
        :param deletions: what ``Deletions.state()`` tells.
        :return: files that nothing needs any more, for ``Deletions.tidy()``.
        """
        self._document = self._load()  # another run may have ended meanwhile
        document, mark = self._document, self.watermark(window.field) if window else None
        latest = not self.repeats(run_id, window) and not (window and window.before(mark))
        if latest and columns is not None:
            document["columns"] = list(columns)
        if latest and deletions is not None:
            document["keys"] = deletions["keys"]
            document["key_sets"] = [*document.get("key_sets", ()), deletions["keys"]]
        if window and window.moves(mark):
            document |= {"field": window.field, "watermark": window.upper}
        gone = {"gone": deletions["gone"]} if deletions is not None else {}
        unneeded = self._update(run_id, {**(window.facts() if window else {}), "done": True, **gone})
        unneeded += document.get("key_sets", [])[:-KEY_SETS]
        document["key_sets"] = document.get("key_sets", [])[-KEY_SETS:]
        self._save()
        kept = {one["path"] for one in document["key_sets"]}
        return [one for one in unneeded if one["path"] not in kept]

    def _update(self, run_id: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Remember more of a run; return the files of runs that are forgotten for it."""
        runs = self._document.setdefault("runs", {})
        runs[run_id] = {**runs.get(run_id, {}), **facts}
        forgotten = [runs.pop(oldest) for oldest in list(runs)[:-RUNS]]
        return [run["gone"]["file"] for run in forgotten if run.get("gone", {}).get("file")]

    def _load(self) -> dict[str, Any]:
        text = self._store.get(self.name)
        if text is None:
            return {"version": _VERSION}
        try:
            found = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict) or found.get("version") != _VERSION:
            raise IntacctArgumentError(
                f"{self.name} (an Airflow Variable, or the state of an asset) holds no state of an export that this "
                "version can read. Remove it to export everything anew."
            )
        return found

    def _save(self) -> None:
        self._store.set(self.name, msgspec.json.encode(self._document).decode())
