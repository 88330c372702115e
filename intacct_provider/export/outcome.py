"""What an export has read and how complete it is, for the sink that publishes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.schema.drift import Drift

if TYPE_CHECKING:
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.incremental.window import Window
    from intacct_provider.export.source import Source


class RangeCompleteness(KeyRange, frozen=True):
    """How complete one of several ranges was when it was read."""

    result: str
    rows: int
    counted: int
    deleted_meanwhile: int
    added_meanwhile: int
    control_totals: dict[str, str]


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of an export compare with what Intacct says about them.

    :param result: ``equal`` or ``changed meanwhile``.
    :param rows: of the export.
    :param counted: what Intacct says.
    :param deleted_meanwhile: rows that were deleted while the export read, so that Intacct may count fewer.
    :param added_meanwhile: records that were created while the export read, so that Intacct may count more.
    :param control_totals: by field, as text, with every digit.
    :param ranges: those of an export by many tasks.
    """

    result: str
    rows: int
    counted: int
    deleted_meanwhile: int | UnsetType = UNSET
    added_meanwhile: int | UnsetType = UNSET
    control_totals: dict[str, str]
    ranges: tuple[RangeCompleteness, ...] | UnsetType = UNSET


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from run to run.

    :param transactions: billed.
    :param schema_drift: how the columns differ from those of the last export.
    :param ranges: digests of what the tasks left, by path, of an export by many tasks.
    """

    started_at: str
    finished_at: str
    transactions: int
    schema_drift: Drift | UnsetType = UNSET
    ranges: dict[str, str] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an export has read, proven complete.

    :param company_id: where it was read.
    :param window: of an incremental export.
    :param deletions: what found the deleted records, if they are wanted.
    """

    source: Source
    company_id: str
    entity_id: str
    completeness: Completeness
    run: RunFacts
    window: Window | None = None
    deletions: Deletions | None = None
