"""Where cursors are kept: with the watched assets, in Airflow's asset state store."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from intacct_provider.triggers.watching.cursor import Cursor, parse_stamp

log = logging.getLogger(__name__)


class CursorStore:
    """Keeps a cursor with every asset of a trigger.

    Airflow runs equal triggers once for all assets that they belong to, and assets come and go. So every asset has
    the cursor, and what counts is the oldest one: an asset that was paused gets what it has missed, and the others get
    it again.

    :param accessors: the stores of the assets; none if Airflow has none, which keeps nothing.
    :param name: of the entry.
    """

    def __init__(self, accessors: list[Any], name: str) -> None:
        self._accessors = accessors
        self._name = name
        self._failed = 0

    @classmethod
    def find(cls, state_store: Any, name: str) -> CursorStore:
        """Return the store of what Airflow injects into a trigger; ``None`` if it injects nothing."""
        if state_store is None:
            return cls([], name)
        # With several assets Airflow asks for one by its Asset, which a trigger does not know.
        by_asset = [
            one
            for part in ("_by_name", "_by_uri")
            for _, one in sorted(getattr(state_store, part, {}).items())
        ]
        return cls(by_asset or [state_store], name)

    @property
    def lasting(self) -> bool:
        """Whether a cursor outlives the process."""
        return bool(self._accessors)

    @property
    def assets(self) -> int:
        """The number of assets that keep the cursor."""
        return len(self._accessors)

    async def load(self) -> Cursor | None:
        """Return the oldest cursor, or None if there is none."""
        texts = await asyncio.gather(*(self._get(one) for one in self._accessors))
        cursors = [self._read(text) for text in dict.fromkeys(texts) if text is not None]
        return min(
            filter(None, cursors), key=lambda one: (parse_stamp(one.polled), not one.pending), default=None
        )

    async def save(self, cursor: Cursor) -> None:
        """Keep a cursor with every asset; one that fails has its older cursor, which counts after a restart.

        :raises Exception: if no asset keeps it.
        """
        if not self._accessors:
            return
        text = await asyncio.to_thread(cursor.to_text)
        results = await asyncio.gather(
            *(self._set(one, text) for one in self._accessors), return_exceptions=True
        )
        errors = [one for one in results if isinstance(one, BaseException)]
        if len(errors) == len(results) or any(not isinstance(one, Exception) for one in errors):
            raise errors[0]
        if len(errors) > self._failed:
            log.warning(
                "Intacct: the state of a watch cannot be kept with %d of its %d assets: %s. If one was removed, "
                "this is over when the triggerer is restarted.",
                len(errors), len(results), errors[0],
            )  # fmt: skip
        self._failed = len(errors)

    def _read(self, text: Any) -> Cursor | None:
        cursor = Cursor.from_text(str(text))
        if cursor is None:
            log.error(
                "Intacct: the state %s of the watched asset cannot be read by this version and is ignored.",
                self._name,
            )
        return cursor

    async def _get(self, accessor: Any) -> Any:
        if hasattr(accessor, "aget"):
            return await accessor.aget(self._name)
        return await asyncio.to_thread(accessor.get, self._name)

    async def _set(self, accessor: Any, text: str) -> None:
        if hasattr(accessor, "aset"):
            await accessor.aset(self._name, text)
        else:
            await asyncio.to_thread(accessor.set, self._name, text)
