"""Queries: conditions on fields, and periods for them, as DAG files use them."""

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
    "field",
]
