"""Periods that a date or time in a filter compares with, by ``asOfDate`` or else by Intacct's own date."""

from __future__ import annotations

TODAY = "today"
YESTERDAY = "yesterday"
CURRENT_WEEK = "currentWeek"
LAST_WEEK = "lastWeek"
CURRENT_MONTH = "currentMonth"
PRIOR_MONTH = "priorMonth"
CURRENT_QUARTER = "currentQuarter"
PRIOR_QUARTER = "priorQuarter"
CURRENT_YEAR = "currentYear"
PRIOR_YEAR = "priorYear"

PERIODS = (
    TODAY,
    YESTERDAY,
    CURRENT_WEEK,
    LAST_WEEK,
    CURRENT_MONTH,
    PRIOR_MONTH,
    CURRENT_QUARTER,
    PRIOR_QUARTER,
    CURRENT_YEAR,
    PRIOR_YEAR,
)
