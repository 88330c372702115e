"""The account groups of the demo company, with their purposes and accounts."""

from __future__ import annotations

from collections.abc import Iterator

from intacct_provider.sandbox.objects.names import ACCOUNT, ACCOUNT_GROUP, ACCOUNT_GROUP_PURPOSE
from intacct_provider.sandbox.seed.demo import Record

PURPOSES = {
    "Financial Statements": "active",
    "Board Reporting": "active",
    "Budgeting": "active",
    "KPI Dashboard": "active",
    "Consolidation": "active",
    "Legacy Reports": "inactive",
}


def purposes() -> Iterator[Record]:
    """Yield the six account group purposes."""
    for purpose, status in PURPOSES.items():
        yield Record(ACCOUNT_GROUP_PURPOSE, {"id": purpose, "status": status})


def account_groups() -> Iterator[Record]:
    """Yield the 60 account groups, each after the groups that it consists of."""
    for group, (balance, *ranges) in _RANGES.items():
        yield _account_group(group, balance, "accounts", accountRanges=_ranges(ranges))
    for group, ranges in _STATISTICAL.items():
        yield _account_group(group, "debit", "statisticalAccounts", statisticalAccountRanges=_ranges(ranges))
    for group, (balance, members) in _GROUPS_OF_GROUPS.items():
        yield _account_group(group, balance, "groups", accountGroupMembers=_members(members))
    for group, (left, operator, right, display) in _COMPUTATIONS.items():
        formula = _computation(left, operator, right, display)
        yield _account_group(group, "credit", "computation", accountGroupComputation=[formula], isKPI=True)


def accounts() -> Iterator[Record]:
    """Yield ledger accounts: two at the start of every range, each after the account that it closes to."""
    for group, (balance, *ranges) in _RANGES.items():
        for first, _last in ranges:
            yield _account(first, group, group, balance)
            yield _account(first + 10, f"{group}, other", group, balance)


def _account(number: int, name: str, group: str, balance: str) -> Record:
    payload: dict[str, object] = {
        "id": str(number),
        "name": name,
        "normalBalance": balance,
        "accountType": "balanceSheet" if group in _BALANCE_SHEET else "incomeStatement",
        "alternativeGLAccount": _SUBLEDGERS.get(group, "none"),
        "disallowDirectPosting": number in _CONTROL_ACCOUNTS,
        "isTaxable": group in ("Service Revenue", "Product Revenue"),
        "requireDimensions": {"department": 6000 <= number < 7000, "location": group not in _BALANCE_SHEET},
    }
    if number == _RETAINED_EARNINGS:
        payload["closingType"] = "closedToAccount"
    elif group not in _BALANCE_SHEET:
        payload |= {"closingType": "closingAccount", "closeToGLAccount": {"id": str(_RETAINED_EARNINGS)}}
    return Record(ACCOUNT, payload)


def _account_group(group: str, balance: str, group_type: str, **members: object) -> Record:
    point_in_time = group in _BALANCE_SHEET
    payload: dict[str, object] = {
        "id": group,
        "title": group,
        "displayTotalLineAs": f"Total {group}",
        "manager": _manager(group_type, point_in_time=point_in_time),
        "normalBalance": balance,
        "groupType": group_type,
        "calculationMethod": "endOfPeriod" if point_in_time else "period",
        "includeChildAmount": group_type == "groups",
        "reportFilters": {"debitOrCredit": "both", "location": "noFilter", "department": "noFilter"},
        "accountGroupPurpose": {"id": _purpose(group_type)},
        **members,
    }
    if group in _DEPARTMENTS:
        payload["dimensions"] = {"department": {"id": _DEPARTMENTS[group]}}
        payload["reportFilters"] = {"debitOrCredit": "both", "department": "specificHierarchy"}
    return Record(ACCOUNT_GROUP, payload)


def _manager(group_type: str, *, point_in_time: bool) -> str | None:
    if group_type in ("computation", "statisticalAccounts"):
        return "FP&A"
    return "Controller" if point_in_time else None


def _purpose(group_type: str) -> str:
    purposes = {
        "computation": "KPI Dashboard",
        "statisticalAccounts": "KPI Dashboard",
        "groups": "Board Reporting",
    }
    return purposes.get(group_type, "Financial Statements")


def _ranges(ranges: list[tuple[int, int]]) -> list[dict[str, object]]:
    return [
        {"sortOrder": order, "rangeFrom": str(first), "rangeTo": str(last)}
        for order, (first, last) in enumerate(ranges)
    ]


def _members(members: list[str]) -> list[dict[str, object]]:
    return [{"sortOrder": order, "accountGroup": {"id": member}} for order, member in enumerate(members)]


def _computation(left: str, operator: str, right: str, display: str) -> dict[str, object]:
    as_of = {group: "endOfPeriod" if group in _BALANCE_SHEET else "forPeriod" for group in (left, right)}
    return {
        "formulaLeft": {"glAccountGroup": {"id": left}, "asOf": as_of[left]},
        "operator": operator,
        "formulaRight": {"glAccountGroup": {"id": right}, "asOf": as_of[right]},
        "numberOfDecimalPlaces": 0 if operator == "subtract" else 2,
        "displayAs": display,
    }


_RANGES: dict[str, tuple[str, *tuple[tuple[int, int], ...]]] = {
    "Cash and Cash Equivalents": ("debit", (1000, 1049), (1060, 1099)),
    "Short-Term Investments": ("debit", (1100, 1149)),
    "Accounts Receivable": ("debit", (1200, 1249)),
    "Allowance for Doubtful Accounts": ("credit", (1250, 1259)),
    "Inventory": ("debit", (1300, 1399)),
    "Prepaid Expenses": ("debit", (1400, 1449)),
    "Other Current Assets": ("debit", (1450, 1499)),
    "Property and Equipment": ("debit", (1500, 1599)),
    "Accumulated Depreciation": ("credit", (1600, 1699)),
    "Intangible Assets": ("debit", (1700, 1749)),
    "Goodwill": ("debit", (1750, 1759)),
    "Long-Term Deposits": ("debit", (1800, 1899)),
    "Accounts Payable": ("credit", (2000, 2049)),
    "Accrued Liabilities": ("credit", (2050, 2149)),
    "Payroll Liabilities": ("credit", (2150, 2199)),
    "Sales Tax Payable": ("credit", (2200, 2249)),
    "Deferred Revenue": ("credit", (2300, 2399)),
    "Current Portion of Debt": ("credit", (2400, 2449)),
    "Long-Term Debt": ("credit", (2500, 2599)),
    "Deferred Tax Liabilities": ("credit", (2600, 2699)),
    "Common Stock": ("credit", (3000, 3099)),
    "Additional Paid-In Capital": ("credit", (3100, 3199)),
    "Retained Earnings": ("credit", (3200, 3299)),
    "Dividends": ("debit", (3300, 3399)),
    "Subscription Revenue": ("credit", (4000, 4099)),
    "Service Revenue": ("credit", (4100, 4199)),
    "Product Revenue": ("credit", (4200, 4299)),
    "Sales Discounts": ("debit", (4900, 4949), (4960, 4999)),
    "Hosting Costs": ("debit", (5000, 5099)),
    "Cost of Services": ("debit", (5100, 5199)),
    "Cost of Products": ("debit", (5200, 5299)),
    "Salaries and Wages": ("debit", (6000, 6099)),
    "Benefits and Payroll Taxes": ("debit", (6100, 6199)),
    "Sales and Marketing": ("debit", (6200, 6299)),
    "Research and Development": ("debit", (6300, 6399)),
    "General and Administrative": ("debit", (6400, 6499), (6510, 6599)),
    "Depreciation and Amortization": ("debit", (6600, 6699)),
    "Interest Income": ("credit", (7000, 7099)),
    "Interest Expense": ("debit", (7100, 7199)),
    "Income Taxes": ("debit", (8000, 8099)),
}
_STATISTICAL: dict[str, list[tuple[int, int]]] = {
    "Headcount": [(9000, 9009)],
    "Billable Hours": [(9100, 9109)],
}
_GROUPS_OF_GROUPS: dict[str, tuple[str, list[str]]] = {
    "Current Assets": (
        "debit",
        [
            "Cash and Cash Equivalents",
            "Short-Term Investments",
            "Accounts Receivable",
            "Allowance for Doubtful Accounts",
            "Inventory",
            "Prepaid Expenses",
            "Other Current Assets",
        ],
    ),
    "Noncurrent Assets": (
        "debit",
        [
            "Property and Equipment",
            "Accumulated Depreciation",
            "Intangible Assets",
            "Goodwill",
            "Long-Term Deposits",
        ],
    ),
    "Total Assets": ("debit", ["Current Assets", "Noncurrent Assets"]),
    "Current Liabilities": (
        "credit",
        [
            "Accounts Payable",
            "Accrued Liabilities",
            "Payroll Liabilities",
            "Sales Tax Payable",
            "Deferred Revenue",
            "Current Portion of Debt",
        ],
    ),
    "Noncurrent Liabilities": ("credit", ["Long-Term Debt", "Deferred Tax Liabilities"]),
    "Total Liabilities": ("credit", ["Current Liabilities", "Noncurrent Liabilities"]),
    "Total Equity": (
        "credit",
        ["Common Stock", "Additional Paid-In Capital", "Retained Earnings", "Dividends"],
    ),
    "Liabilities and Equity": ("credit", ["Total Liabilities", "Total Equity"]),
    "Total Revenue": (
        "credit",
        ["Subscription Revenue", "Service Revenue", "Product Revenue", "Sales Discounts"],
    ),
    "Cost of Revenue": ("debit", ["Hosting Costs", "Cost of Services", "Cost of Products"]),
    "Operating Expenses": (
        "debit",
        [
            "Salaries and Wages",
            "Benefits and Payroll Taxes",
            "Sales and Marketing",
            "Research and Development",
            "General and Administrative",
            "Depreciation and Amortization",
        ],
    ),
    "Other Income and Expense": ("credit", ["Interest Income", "Interest Expense"]),
}
_COMPUTATIONS = {
    "Gross Profit": ("Total Revenue", "subtract", "Cost of Revenue", "number"),
    "Operating Income": ("Gross Profit", "subtract", "Operating Expenses", "number"),
    "Gross Margin": ("Gross Profit", "divide", "Total Revenue", "percent"),
    "Current Ratio": ("Current Assets", "divide", "Current Liabilities", "ratioWithDecimals"),
    "Debt to Equity": ("Total Liabilities", "divide", "Total Equity", "ratioWithDecimals"),
    "Revenue per Employee": ("Total Revenue", "divide", "Headcount", "number"),
}
_BALANCE_SHEET = frozenset(list(_RANGES)[:24]) | frozenset(list(_GROUPS_OF_GROUPS)[:8])
_DEPARTMENTS = {"Sales and Marketing": "200", "Research and Development": "300"}
_SUBLEDGERS = {"Accounts Receivable": "receivablesAccount", "Accounts Payable": "payablesAccount"}
_CONTROL_ACCOUNTS = (1200, 2000)
_RETAINED_EARNINGS = 3200
