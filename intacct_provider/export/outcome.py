"""What an export has read, for the sink that publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from intacct_provider.export.facts import Completeness, ListCompleteness, RunFacts

if TYPE_CHECKING:
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.incremental.window import Window
    from intacct_provider.export.source import Source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an export has read, proven complete.

    :param company_id: where it was read.
    :param window: of an incremental export.
    :param deletions: what found the deleted records, if they are wanted.
    :param lists: how complete each list is that is exported on its own, by its name.
    """

    source: Source
    company_id: str
    entity_id: str
    completeness: Completeness
    run: RunFacts
    window: Window | None = None
    deletions: Deletions | None = None
    lists: Mapping[str, ListCompleteness] = field(default_factory=dict)
