"""Which records that were exported are not there any more: by the audit history, or by comparing sets of keys.

An export leaves behind the keys that whoever reads it holds now: those that the exports before it left and its own, but
for those that it told to be gone. Whatever makes a key suspicious, it is told to be gone only after Intacct was asked
for the record.
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

from msgspec import structs

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.proof import iter_proven
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.deletes.audit_history import REFUSALS, AuditHistory
from intacct_provider.export.deletes.key_spool import (
    Gone,
    Held,
    Spool,
    intact,
    order,
    packed,
    united,
    unpacked,
    without,
)
from intacct_provider.export.schema.columns import Column
from intacct_provider.storage.files import open_path, remove, write_whole

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

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
#: How often the audit history is asked before all keys are read: a record may go between two questions.
_TRIES = 2
#: Why a record is gone: it was deleted, or it lives and does not meet the export's filters any more.
DELETED, LEFT = "deleted", "left"
_PAGE = 4000

Answer = TypeVar("Answer")


class Deletions:
    """The records that are gone since the last export, for one run.

    :param client: reads Intacct.
    :param query: of all records that the export is about, without its window.
    :param detect: ``keys`` compares sets of keys; ``audit`` asks the audit history, and compares sets of keys when that
        does not account for every record; ``auto`` is ``audit`` where the user may read the history and the export has
        no filters, else ``keys``.
    :param target: the export; files of keys are hidden ones beside it.
    :param window: of an incremental export; without one, or without a lower end, its own rows tell what is there.
    :param full_refresh: do without the keys that the last export left, when they are lost.
    :param fields: of the pages that :meth:`add` gets; those of the query unless told. With ``id`` among them,
        tombstones have it, and the audit history is understood where it names records by id.
    :raises IntacctArgumentError: for the audit history of an export with filters, as it does not tell what leaves them.
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
                "detect_deletes='audit' and filters do not go together: the audit history does not tell which records "
                "no longer meet them. Use 'keys' or 'auto'."
            )
        self._client, self._query, self._detect = client, query, detect
        self._target, self._run_id, self._window = target, run_id, window
        names = tuple(query.fields if fields is None else fields)
        self._id = attrgetter(f"f{names.index('id')}") if "id" in names else None
        self._fed, self._gone = Spool(Held), Spool(Gone)
        self._there: Spool | None = None
        self._history = AuditHistory(client, query.object_name) if detect != "keys" else None
        self._moments: dict[str, str] | None = None
        self._before = state.keys
        self._audited: str | None = (self._before or {}).get("audited")
        self._repeated = (state.run(run_id) or {}).get("gone") if state.repeats(run_id, window) else None
        self._facts: dict[str, Any] = dict(self._repeated or {})
        self._keys: dict[str, Any] = {}
        if full_refresh and self._before and not self._repeated and not intact(*_place(self._before)):
            log.warning(
                "Intacct: the keys that the last export left are lost: what went since cannot be told."
            )
            self._before = None

    def begin(self) -> None:
        """Find out, before rows are read, whether the audit history can be read, and how far it goes now.

        :raises IntacctAPIError: with ``audit``, if the user may not read it.
        """
        if self._history is None or self._repeated:
            return
        if self._query.filters:
            self._do_without("the audit history does not tell which records no longer meet the filters")
        elif self._audited is None:
            self._audited = self._ask(self._history.latest)

    def add(self, page: Page) -> None:
        """Take up the keys of rows of the export."""
        if self._repeated:
            return
        self._fed.add(_held(page, self._id))

    def discard(self) -> None:
        """Forget the rows, since they are read anew."""
        self._fed.close()
        self._fed = Spool(Held)

    def settle(self, rows: int) -> None:
        """Find what is gone, and leave the keys behind for the next export; after the last row, before the manifest.

        A run that is run again tells the same once more, from what it left, without a call.

        :param rows: of the export. When an earlier attempt wrote some of them, so that not all of their keys came to
            :meth:`add`, the keys are read once more.
        :raises IntacctArgumentError: if the keys that the last export left are lost.
        """
        if self._repeated:
            return
        if self._fed.count != rows:
            self.discard()
            self._fed = self._read(self._window.narrow(self._query) if self._window else self._query)
        method = self._find()
        left = sum(1 for one in self._gone if one.reason == LEFT)
        file = self._write("gone", self._gone) if self._gone.count else None
        self._keys = self._leave()
        self._facts = {
            "method": method,
            "rows": self._gone.count,
            "deleted": self._gone.count - left,
            "left": left,
            "keys": {name: self._keys[name] for name in ("rows", "sha256")},
            "file": file,
        }

    def pages(self) -> Iterator[Page]:
        """Yield the tombstones in order of key, as rows of :data:`TOMBSTONES`."""
        file = self._facts.get("file")
        gone: Iterable[Gone] = self._gone
        if self._repeated:
            gone = unpacked(*_place(file), Gone) if file else ()
        rest = iter(gone)
        while some := list(islice(rest, _PAGE)):
            yield TOMBSTONES.convert([structs.asdict(one) for one in some])

    def facts(self) -> dict[str, Any]:
        """Return what the manifest tells: ``method``, ``rows``, of them ``deleted`` and ``left``, and ``keys`` left.

        The method is ``audit``, ``keys``, or ``rows`` when the export's own rows told.
        """
        return {name: fact for name, fact in self._facts.items() if name != "file"}

    def state(self) -> dict[str, Any]:
        """Return what :meth:`ExportState.commit` takes."""
        return {"keys": self._keys, "gone": self._facts}

    def tidy(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Remove files of keys that :meth:`ExportState.commit` says nothing needs any more."""
        for file in files:
            try:
                remove(open_path(file["path"]))
            except OSError as err:
                log.warning("Intacct: %s cannot be removed (%s).", file["path"], type(err).__name__)

    def close(self) -> None:
        """Give the local disk back."""
        for spool in (self._fed, self._gone, self._there):
            if spool is not None:
                spool.close()

    def _find(self) -> str:
        """Find the keys that are gone, and return how."""
        full = self._window is None or self._window.lower is None
        if full:
            if self._before is not None:
                self._tell(without(self._base(), self._fed))
            return "rows"
        if self._before is not None and self._told_by_history():
            return "audit"
        self._there = self._read(self._query)
        self._tell(without(self._held() if self._before is not None else self._fed, self._there))
        return "keys"

    def _told_by_history(self) -> bool:
        """Whether the audit history tells what is gone, and Intacct counts as many records as are left then."""
        last = (self._before or {}).get("last")
        bound = (len(last or ""), last or "")
        for _ in range(_TRIES):
            self._moments = None
            hints = self._hints()
            if self._history is None:
                return False
            self._tell(one for one in self._held() if one.key in hints or one.id in hints)
            # Keys grow, so whatever has a key up to the last one was there at the last export, or came with this one.
            left = takewhile(lambda one: order(one) <= bound, without(self._held(), self._gone))
            if last is None or (last.isdigit() and self._count(last) == sum(1 for _ in left)):
                return True
        self._do_without("the audit history does not account for every record that is not there any more")
        return False

    def _tell(self, suspects: Iterable[Held]) -> None:
        """Ask Intacct for suspects, some hundred a call, and note those that are gone."""
        self._gone.close()
        self._gone, rest = Spool(Gone), iter(suspects)
        while some := list(islice(rest, BATCH_SIZE)):
            self._gone.add(self._checked(some))

    def _checked(self, suspects: Sequence[Held]) -> Iterator[Gone]:
        anywhere = replace(self._query, filters=(), expression="and")
        if not self._client.config.entity_id:
            anywhere = replace(
                anywhere, parameters={**(self._query.parameters or {}), "includePrivate": True}
            )
        there = self._among(anywhere, [one.key for one in suspects])
        inside = self._among(self._query, sorted(there)) if there else there
        hints = self._hints()
        for one in suspects:
            if one.key not in there:
                yield Gone(one.key, one.id, DELETED, hints.get(one.key) or hints.get(one.id or ""))
            elif one.key not in inside:
                yield Gone(one.key, one.id, LEFT, None)

    def _among(self, query: Query, keys: Sequence[str]) -> set[str]:
        """Return those of some keys that records of a query have."""
        found = self._read(query.narrow(field("key").in_(keys)))
        there = {one.key for one in found}
        found.close()
        return there

    def _count(self, upto: str) -> int | None:
        query = self._query.narrow(field("key") <= upto)
        return self._client.query(replace(query, fields=("key",), order_by=()), size=1).total_count

    def _read(self, query: Query) -> Spool:
        """Return the keys of a query's records as they are now."""
        names = ("key", "id") if self._id else ("key",)
        read = Spool(Held)
        pages = self._client.read_pages(replace(query, fields=names, order_by=()), StructRows(names))
        for page in iter_proven(pages):
            read.add(_held(page, attrgetter("f1") if self._id else None))
        return read

    def _hints(self) -> dict[str, str]:
        """Return when records were deleted by key or id, as far as the audit history can be read; asked for once."""
        history = self._history
        if self._moments is None and history is not None:
            self._moments = self._ask(lambda: history.deletions(self._audited))
            moments = (self._audited, *(self._moments or {}).values())
            self._audited = max(filter(None, moments), default=None)
        return self._moments or {}

    def _ask(self, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except REFUSALS as err:
            if self._detect == "audit":
                raise
            self._do_without(f"the audit history cannot be read ({err})")
            return None

    def _do_without(self, reason: str) -> None:
        self._history = None
        name = self._query.object_name
        log.info("Intacct: deletions of %s are found by comparing keys, because %s.", name, reason)

    def _base(self) -> Iterable[Held]:
        """Return the keys that the last export left; where it left none, those that are there."""
        if self._before is None:
            return self._there or ()
        return unpacked(*_place(self._before), Held)

    def _held(self) -> Iterator[Held]:
        return united(self._fed, self._base())

    def _leave(self) -> dict[str, Any]:
        """Write the keys for the next export."""
        rows, last = 0, None

        def kept() -> Iterator[Held]:
            nonlocal rows, last
            for entry in without(self._held(), self._gone):
                rows, last = rows + 1, entry.key
                yield entry

        written = self._write("keys", kept())
        return {**written, "rows": rows, "last": last, "audited": self._audited}

    def _write(self, what: str, entries: Iterable[Held | Gone]) -> dict[str, Any]:
        run = re.sub(r"[^\w.-]+", "-", self._run_id)[:60]
        digest = hashlib.sha256(self._run_id.encode()).hexdigest()[:8]
        path = self._target.with_name(f".{self._target.name}.{what}.{run}-{digest}.jsonl.gz")
        return {"path": str(path), "sha256": write_whole(path, packed(entries), alone=True).sha256}


def _place(file: Mapping[str, Any]) -> tuple[ObjectStoragePath, str]:
    return open_path(file["path"]), file["sha256"]


def _held(page: Page, own: Callable[[Any], Any] | None) -> Iterator[Held]:
    """Yield what a page's rows leave behind.

    :param own: gives the id of a row.
    """
    if own is None:
        yield from map(Held, page.keys)
        return
    whole = bool(page.rows) and isinstance(page.rows[0], Mapping)
    ids = [row.get("id") for row in page.rows] if whole else map(own, page.rows)
    for key, value in zip(page.keys, ids, strict=True):
        yield Held(key, None if value is None else str(value))
