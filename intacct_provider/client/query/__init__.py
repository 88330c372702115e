"""Queries: conditions on fields, and periods for them, as DAG files use them; and whole queries, checked.

A DAG file that imports this loads no more than conditions need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intacct_provider.client.query.expressions import Expression, Field, field
from intacct_provider.client.query.periods import (
    CURRENT_MONTH,
    CURRENT_QUARTER,
    CURRENT_WEEK,
    CURRENT_YEAR,
    LAST_WEEK,
    PRIOR_MONTH,
    PRIOR_QUARTER,
    PRIOR_YEAR,
    TODAY,
    YESTERDAY,
)

if TYPE_CHECKING:
    from intacct_provider.client.query.request import Query

__all__ = [
    "CURRENT_MONTH",
    "CURRENT_QUARTER",
    "CURRENT_WEEK",
    "CURRENT_YEAR",
    "LAST_WEEK",
    "PRIOR_MONTH",
    "PRIOR_QUARTER",
    "PRIOR_YEAR",
    "TODAY",
    "YESTERDAY",
    "Expression",
    "Field",
    "Query",
    "field",
]


def __getattr__(name: str) -> Any:
    """Load the query when it is first asked for."""
    if name == "Query":
        from intacct_provider.client.query.request import Query

        return Query
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
