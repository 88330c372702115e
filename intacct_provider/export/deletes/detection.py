"""Finds the records that were exported and are gone: by the audit history, or by comparing sets of keys.

Comparing keys also finds records that no export had: they appeared later than the look-back allows for, or came to meet
the filters without a change of their own. They are exported with the others.

An export leaves behind the keys that its readers hold now: those that the exports before it left and its own, except
for those that it reported as gone. Whatever makes a key suspicious, it is reported only after Intacct was asked for the
record.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import UNSET, structs

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.keys import as_number, order_key
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.deletes.audit_history import REFUSALS, AuditHistory, is_in_future
from intacct_provider.export.deletes.key_spool import (
    ExportedKey,
    Spool,
    Tombstone,
    is_intact,
    pack,
    sort_key,
    subtract,
    unite,
    unpack,
)
from intacct_provider.export.facts import DeletionFacts, FileRef, KeySet, KeySetSummary
from intacct_provider.export.schema.columns import Column
from intacct_provider.storage.files import ObjectStoragePath, open_path, remove_proven, write_whole

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.export.incremental.state import ExportState
    from intacct_provider.export.incremental.window import Window

log = logging.getLogger(__name__)

#: Ways to find the records that were deleted since the last export.
DETECTIONS = ("auto", "audit", "keys")
#: Of a file of tombstones.
TOMBSTONE_COLUMNS = (
    Column("key", "key", "string"),
    Column("id", "id", "string"),
    Column("reason", "reason", "string"),
    Column("deleted_at", "deleted_at", "timestamp"),
)
#: Of the pages of tombstones.
TOMBSTONES = StructRows([column.field for column in TOMBSTONE_COLUMNS])
#: How often the audit history is asked before all keys are read: a record may be deleted between two questions.
_TRIES = 2
#: Why a record is gone: it was deleted, or it still exists and no longer meets the filters of the export.
DELETED, LEFT = "deleted", "left"
_PAGE = 4000

Answer = TypeVar("Answer")


class Deletions:
    """The records that are gone since the last export, for one run.

    Call :meth:`begin` before rows are read, :meth:`add` for each page, :meth:`find` after the last one, :meth:`settle`
    when the rows of :meth:`find_missed` are added, too, and :meth:`close` at the end.

    :param client: reads Intacct.
    :param query: of all records that the export is about, without its window.
    :param detect: ``keys`` compares sets of keys; ``audit`` asks the audit history, and compares sets of keys when that
        does not account for every record; ``auto`` is ``audit`` where the user may read the history and the export has
        no filters, else ``keys``.
    :param target: the export; files of keys are hidden files beside it.
    :param window: of an incremental export; without one, or without a lower end, its own rows show what exists.
    :param full_refresh: do without the keys that the last export left, when they are lost.
    :param fields: of the pages that :meth:`add` gets; by default those of the query. With ``id`` among them, tombstones
        have it, and entries of the audit history that name records by id are understood.
    :raises IntacctArgumentError: for the audit history with filters, as it does not show which records leave them.
    """

    def __init__(
        self,
        client: IntacctClient,
        query: Query,
        *,
        detect: str,
        state: ExportState,
        run_id: str,
        target: ObjectStoragePath,
        window: Window | None = None,
        full_refresh: bool = False,
        fields: Sequence[str] | None = None,
    ) -> None:
        if detect == "audit" and query.filters:
            raise IntacctArgumentError(
                "detect_deletes='audit' and filters do not go together: the audit history does not show which records "
                "no longer meet them. Use 'keys' or 'auto'."
            )
        self._client, self._query, self._detect = client, query, detect
        self._target, self._run_id, self._window = target, run_id, window
        names = tuple(query.fields if fields is None else fields)
        self._read_id = attrgetter(f"f{names.index('id')}") if "id" in names else None
        self._exported, self._gone = Spool(ExportedKey), Spool(Tombstone)
        self._existing: Spool | None = None
        # Keys that no export had, and those of them whose rows are exported now.
        self._missed, self._caught_up = Spool(ExportedKey), Spool(ExportedKey)
        self._method = ""
        self._history = AuditHistory(client, query.object_name) if detect != "keys" else None
        self._times: dict[str, str] | None = None
        self._before = state.keys
        self._audited = self._before.audited if self._before else None
        run = state.run(run_id) if state.repeats(run_id, window) else None
        self._repeated = run.gone if run else None
        #: What was found; None before :meth:`settle`.
        self.found: DeletionFacts | None = self._repeated
        #: What is left for the next export; None before :meth:`settle`, and for a run that is run again.
        self.keys: KeySet | None = None
        if full_refresh and self._before and not self._repeated and not is_intact(self._before):
            log.warning(
                "Intacct: the keys that the last export left are lost, so deletions since then are unknown."
            )
            self._before = None

    def close(self) -> None:
        """Remove what is on the local disk."""
        for spool in (self._exported, self._gone, self._existing, self._missed, self._caught_up):
            if spool is not None:
                spool.close()

    def begin(self) -> None:
        """Find out, before rows are read, whether the audit history can be read, and how far it goes now.

        :raises IntacctAPIError: with ``audit``, if the user may not read it.
        """
        if self._history is None or self._repeated:
            return
        if self._query.filters:
            self._give_up_history("the audit history does not show which records no longer meet the filters")
        elif self._audited is None:
            self._audited = self._ask(self._history.read_latest)

    def add(self, page: Page) -> None:
        """Add the keys of rows of the export."""
        if self._repeated:
            return
        self._exported.add(_read_keys(page, self._read_id))

    def discard(self) -> None:
        """Forget the rows, since they are read again."""
        for spool in (self._exported, self._missed, self._caught_up):
            spool.close()
        self._exported, self._missed, self._caught_up = (Spool(ExportedKey) for _ in range(3))
        self._method = ""

    def find(self, rows: int) -> None:
        """Find what is gone and what was missed, after the last row.

        :param rows: of the export. When an earlier attempt wrote some of them, so that not all of their keys came to
            :meth:`add`, the keys are read again.
        :raises IntacctArgumentError: if the keys that the last export left are lost.
        """
        if self._repeated:
            return
        if self._exported.count != rows:
            self._exported.close()
            self._exported = self._read(self._window.narrow(self._query) if self._window else self._query)
        self._method = self._find()
        if self._method == "keys" and self._before is not None and self._existing is not None:
            self._missed.add(subtract(self._existing, self._list_keys()))
            self._leave_newer()

    def find_missed(self) -> Iterator[Query]:
        """Yield queries of the records that no export had, and that no later window will have.

        A run that is run again yields those that it had.
        """
        missed: Iterable[ExportedKey] = self._missed
        if self._repeated:
            missed = unpack(self._repeated.missed_file, ExportedKey) if self._repeated.missed_file else ()
        rest = iter(missed)
        while self._window and (some := list(islice(rest, BATCH_SIZE))):
            until = structs.replace(self._window, lower=None)
            yield until.narrow(self._query).narrow(field("key").in_([one.key for one in some]))

    def add_missed(self, page: Page) -> None:
        """Add the keys of rows that :meth:`find_missed` asks for."""
        if not self._repeated:
            self._caught_up.add(_read_keys(page, self._read_id))

    def settle(self, rows: int) -> None:
        """Leave the keys behind for the next export; after everything else, before the manifest.

        A run that is run again reports the same again, from what it left, without a call.

        :param rows: as for :meth:`find`, which is called unless it was.
        """
        if self._repeated:
            return
        if not self._method:
            self.find(rows)
        left = sum(1 for one in self._gone if one.reason == LEFT)
        file = self._write("gone", self._gone) if self._gone.count else None
        missed = self._caught_up
        missed_file = self._write("missed", missed) if missed.count else UNSET
        self.keys = self._write_keys()
        self.found = DeletionFacts(
            method=self._method,
            rows=self._gone.count,
            deleted=self._gone.count - left,
            left=left,
            keys=KeySetSummary(self.keys.rows, self.keys.sha256),
            missed=missed.count or UNSET,
            file=file,
            missed_file=missed_file,
        )

    def pages(self) -> Iterator[Page]:
        """Yield the tombstones in order of key, as rows of :data:`TOMBSTONES`."""
        gone: Iterable[Tombstone] = self._gone
        if self._repeated:
            gone = unpack(self._repeated.file, Tombstone) if self._repeated.file else ()
        rest = iter(gone)
        while some := list(islice(rest, _PAGE)):
            yield TOMBSTONES.convert([structs.asdict(one) for one in some])

    @property
    def summary(self) -> DeletionFacts:
        """What manifests say: what was found, without the files that the state names."""
        assert self.found is not None  # noqa: S101 -- settle() comes first
        return structs.replace(self.found, file=UNSET, missed_file=UNSET)

    def remove_files(self, files: Iterable[FileRef]) -> None:
        """Remove files of keys that :meth:`ExportState.commit` says are no longer needed."""
        for file in files:
            try:
                remove_proven(open_path(file.path), file.sha256)
            except OSError as err:
                log.warning("Intacct: %s cannot be removed (%s).", file.path, type(err).__name__)

    def _find(self) -> str:
        """Find the keys that are gone, and return by which method."""
        full = self._window is None or self._window.lower is None
        if full:
            if self._before is not None:
                self._note_gone(subtract(self._base(), self._exported))
            return "rows"
        if self._before is not None and self._is_found_by_history():
            return "audit"
        # What the last export left has the ids already.
        self._existing = self._read(self._query, ids=self._before is None)
        candidates = self._list_keys() if self._before is not None else self._exported
        self._note_gone(subtract(candidates, self._existing))
        return "keys"

    def _leave_newer(self) -> None:
        """Leave records that changed after the window to the next one.

        While many come, that costs fewer calls than asking for each of them, and getting none.
        """
        if self._window is None or self._window.end is None or self._missed.count <= BATCH_SIZE:
            return
        newer = self._read(self._query.narrow(field(self._window.field) > self._window.end), ids=False)
        missed, self._missed = self._missed, Spool(ExportedKey)
        self._missed.add(subtract(missed, newer))
        missed.close()
        newer.close()

    def _is_found_by_history(self) -> bool:
        """Whether the audit history shows what is gone, and Intacct counts as many records as are left then."""
        last = self._before.last if self._before else None
        bound = order_key(last or "")
        for _ in range(_TRIES):
            self._times = None
            hints = self._hints()
            if self._history is None:
                return False
            self._note_gone(one for one in self._list_keys() if one.key in hints or one.id in hints)
            # Keys grow, so a record with a key up to the last one existed at the last export, or came with this one.
            left = takewhile(lambda one: sort_key(one) <= bound, subtract(self._list_keys(), self._gone))
            if last is None or (as_number(last) is not None and self._count(last) == sum(1 for _ in left)):
                return True
        self._give_up_history("the audit history does not account for every record that is gone")
        return False

    def _note_gone(self, suspects: Iterable[ExportedKey]) -> None:
        """Ask Intacct for suspects, some hundred a call, and note those that are gone."""
        self._gone.close()
        self._gone, rest = Spool(Tombstone), iter(suspects)
        while some := list(islice(rest, BATCH_SIZE)):
            self._gone.add(self._look_up(some))

    def _look_up(self, suspects: Sequence[ExportedKey]) -> Iterator[Tombstone]:
        anywhere = replace(self._query, filters=(), expression="and")
        if not self._client.config.entity_id:
            anywhere = replace(
                anywhere, parameters={**(self._query.parameters or {}), "includePrivate": True}
            )
        existing = self._select(anywhere, [one.key for one in suspects])
        matching = self._select(self._query, sorted(existing)) if existing else existing
        if left := existing - matching:
            # Unless they were deleted between the two questions.
            existing = matching | self._select(anywhere, sorted(left))
        hints = self._hints()
        for one in suspects:
            if one.key not in existing:
                yield Tombstone(one.key, one.id, DELETED, hints.get(one.key) or hints.get(one.id or ""))
            elif one.key not in matching:
                yield Tombstone(one.key, one.id, LEFT, None)

    def _select(self, query: Query, keys: Sequence[str]) -> set[str]:
        """Return those of some keys that records of a query have."""
        found = self._read(query.narrow(field("key").in_(keys)), ids=False)
        selected = {one.key for one in found}
        found.close()
        return selected

    def _count(self, upto: str) -> int | None:
        query = self._query.narrow(field("key") <= upto)
        return self._client.query(replace(query, fields=("key",), order_by=()), size=1).total_count

    def _read(self, query: Query, *, ids: bool = True) -> Spool:
        """Return the keys of a query's records as they are now.

        :param ids: whether their ids are wanted, too, where the export has them; keys alone cost fewer calls.
        """
        ids = ids and self._read_id is not None
        names = ("key", "id") if ids else ("key",)
        read = Spool(ExportedKey)
        for page in self._client.read_pages(replace(query, fields=names, order_by=()), StructRows(names)):
            read.add(_read_keys(page, attrgetter("f1") if ids else None))
        return read

    def _hints(self) -> dict[str, str]:
        """Return when records were deleted by key or id, as far as the audit history can be read; asked for once."""
        history = self._history
        if self._times is None and history is not None:
            self._times = self._ask(lambda: history.read_deletions(self._audited))
            times = filter(None, (self._audited, *(self._times or {}).values()))
            self._audited = max((time for time in times if not is_in_future(time)), default=None)
        return self._times or {}

    def _ask(self, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except REFUSALS as err:
            if self._detect == "audit":
                raise
            self._give_up_history(f"the audit history cannot be read ({err})")
            return None

    def _give_up_history(self, reason: str) -> None:
        self._history = None
        name = self._query.object_name
        log.info("Intacct: deletions of %s are found by comparing keys, because %s.", name, reason)

    def _base(self) -> Iterable[ExportedKey]:
        """Return the keys that the last export left; where it left none, those that exist."""
        if self._before is None:
            return self._existing or ()
        return unpack(self._before, ExportedKey)

    def _list_keys(self) -> Iterator[ExportedKey]:
        return unite(self._exported, unite(self._caught_up, self._base()))

    def _write_keys(self) -> KeySet:
        """Write the keys for the next export."""
        rows, last = 0, None

        def count_kept() -> Iterator[ExportedKey]:
            nonlocal rows, last
            for entry in subtract(self._list_keys(), self._gone):
                rows, last = rows + 1, entry.key
                yield entry

        file = self._write("keys", count_kept())
        return KeySet(file.path, file.sha256, rows, last, self._audited)

    def _write(self, what: str, entries: Iterable[ExportedKey | Tombstone]) -> FileRef:
        run = re.sub(r"[^\w.-]+", "-", self._run_id)[:60]
        digest = hashlib.sha256(self._run_id.encode()).hexdigest()[:8]
        path = self._target.with_name(f".{self._target.name}.{what}.{run}-{digest}.jsonl.gz")
        return FileRef(str(path), write_whole(path, pack(entries), alone=True).sha256)


def _read_keys(page: Page, read_id: Callable[[Any], Any] | None) -> Iterator[ExportedKey]:
    """Yield the keys of a page's rows.

    :param read_id: gives the id of a row.
    """
    if read_id is None:
        yield from map(ExportedKey, page.keys)
        return
    whole = bool(page.rows) and isinstance(page.rows[0], Mapping)
    ids = [row.get("id") for row in page.rows] if whole else map(read_id, page.rows)
    for key, value in zip(page.keys, ids, strict=True):
        yield ExportedKey(key, None if value is None else str(value))
