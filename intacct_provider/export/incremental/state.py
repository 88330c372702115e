"""What an export remembers for the next one: a small JSON document.

Nothing in it is secret: the places that keep it show it to everybody who may see the DAG.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import DeletionFacts, FileRef, KeySet
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column

#: Runs whose windows are remembered, so that each can be run again.
RUNS = 100
#: Key sets that are kept: a run that began before the last one ended still compares with the one before that.
KEY_SETS = 3
_VERSION = 1


class TextStore(Protocol):
    """Where a document is kept."""

    def get(self, name: str) -> str | None:
        """Return what is kept under a name, or None."""

    def set(self, name: str, text: str) -> None:
        """Replace what is kept under a name."""


class Run(msgspec.Struct):
    """What is remembered of one run of the DAG.

    :param field: that of its window; None unless incremental.
    :param done: whether it was committed.
    :param gone: what it found out about deleted records.
    """

    field: str | None = None
    lower: str | None = None
    upper: str | None = None
    done: bool = False
    gone: DeletionFacts | None = None
    future: str | UnsetType = UNSET

    @property
    def window(self) -> Window | None:
        """The window that it exported or is about to export."""
        return None if self.field is None else Window(self.field, self.lower, self.upper, self.future)

    @window.setter
    def window(self, window: Window) -> None:
        self.field, self.lower, self.upper, self.future = (
            window.field,
            window.lower,
            window.upper,
            window.future,
        )


class _Document(msgspec.Struct, omit_defaults=True):
    version: int
    field: str | None = None
    watermark: str | None = None
    columns: tuple[Column, ...] | None = None
    keys: KeySet | None = None
    key_sets: list[KeySet] = []
    runs: dict[str, Run] = {}


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
    def columns(self) -> tuple[Column, ...] | None:
        """Columns of the last export; None before the first."""
        return self._document.columns

    @property
    def keys(self) -> KeySet | None:
        """The keys that the last export left behind; None without."""
        return self._document.keys

    def watermark(self, field: str) -> str | None:
        """Return up to where records have been exported, by the field that says when they changed."""
        return self._document.watermark if self._document.field == field else None

    def forget_watermark(self) -> None:
        """Let the next export begin at the beginning; the keys of the last one stay."""
        self._document = self._load()
        self._document.watermark = None
        self._save()

    def run(self, run_id: str) -> Run | None:
        """Return what is remembered of a run of the DAG."""
        return self._document.runs.get(run_id)

    def repeats(self, run_id: str, window: Window | None) -> bool:
        """Whether a run has exported the same window before, and is run again."""
        known = self.run(run_id)
        return window is not None and known is not None and known.done and known.window == window

    def remember(self, run_id: str, window: Window) -> None:
        """Keep the window of a run that begins, so that a retry reads the same one. The watermark stays."""
        known = self.run(run_id)
        if known is None or known.window != window:
            # The runs that make room are forgotten by commit(), which can say which files that leaves.
            run = self._document.runs.setdefault(run_id, Run())
            run.window, run.done = window, False
            self._save()

    def commit(
        self,
        run_id: str,
        *,
        window: Window | None = None,
        columns: Sequence[Column] | None = None,
        keys: KeySet | None = None,
        gone: DeletionFacts | None = None,
    ) -> list[FileRef]:
        """Let the next export begin where this one ended; call it when the manifest exists, and not before.

        A run of the past that is run again moves nothing, and neither does one that another has overtaken: the
        watermark only moves forward, and only by a window that begins at or before it and ends after it.

        :param window: of an incremental export.
        :param columns: of the export.
        :param keys: what the export leaves behind, and
        :param gone: what it found out, if it looked for deleted records.
        :return: files that are no longer needed, for ``Deletions.remove_files()``.
        """
        self._document = document = self._load()  # another run may have ended meanwhile
        mark = self.watermark(window.field) if window else None
        latest = not self.repeats(run_id, window) and not (window and window.is_behind(mark))
        if latest and columns is not None:
            document.columns = tuple(columns)
        if latest and keys is not None:
            document.keys = keys
            document.key_sets.append(keys)
        if window and window.advances(mark):
            document.field, document.watermark = window.field, window.upper
        run, unneeded = self._keep_run(run_id)
        if window:
            run.window = window
        run.done, run.gone = True, gone or run.gone
        unneeded += document.key_sets[:-KEY_SETS]
        document.key_sets = document.key_sets[-KEY_SETS:]
        self._save()
        kept = {one.path for one in document.key_sets}
        return [one for one in unneeded if one.path not in kept]

    def _keep_run(self, run_id: str) -> tuple[Run, list[FileRef]]:
        """Return what is remembered of a run, and the files of the runs that are forgotten to make room for it."""
        runs = self._document.runs
        run = runs.setdefault(run_id, Run())
        forgotten = [runs.pop(oldest) for oldest in list(runs)[:-RUNS]]
        gone = [one.gone for one in forgotten if one.gone]
        files = (file for one in gone for file in (one.file, one.missed_file))
        return run, [file for file in files if file]

    def _load(self) -> _Document:
        text = self._store.get(self.name)
        if text is None:
            return _Document(_VERSION)
        try:
            document = msgspec.json.decode(text, type=_Document)
        except msgspec.DecodeError:
            document = _Document(0)
        if document.version != _VERSION:
            raise IntacctArgumentError(
                f"{self.name} (an Airflow Variable, or the state of an asset) does not hold the state of an export "
                "that this version can read. Remove it to export everything again."
            )
        return document

    def _save(self) -> None:
        self._store.set(self.name, msgspec.json.encode(self._document).decode())
