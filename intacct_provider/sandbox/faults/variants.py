"""Ways in which a company, or a release of Intacct, may differ from what the sandbox does by default.

Where Sage documents nothing, or where recorded responses differ, the sandbox has a variant for the other answer. A
variant is a setting of :class:`~intacct_provider.sandbox.faults.plan.Faults`, and some stand for other settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from intacct_provider.sandbox.nearest import find_nearest


@dataclass(frozen=True, slots=True)
class Variant:
    """One difference.

    :param text: what differs, as a sentence of the documentation.
    :param settings: other settings of the faults that make the difference.
    """

    text: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def _pages(max_size: int, *, clamp: bool) -> Variant:
    what = "silently has" if clamp else "is refused above"
    end = f"{max_size:,} rows at most" if clamp else f"{max_size:,} rows"
    return Variant(f"A page {what} {end}.", {"max_size": max_size, "clamp": clamp})


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "keys-order-as-text": Variant("`orderBy` sorts keys as text: 10 comes before 9."),
        "keys-filter-as-text": Variant("Filters compare keys as text: 9 is more than 10."),
        "key-filter-refused": Variant("A filter on `key` is refused with REST-1106.", {"key_filter": False}),
        "pages-clamped-at-500": _pages(500, clamp=True),
        "pages-clamped-at-1000": _pages(1000, clamp=True),
        "pages-clamped-at-4000": _pages(4000, clamp=True),
        "pages-refused-above-500": _pages(500, clamp=False),
        "pages-refused-above-2000": _pages(2000, clamp=False),
        "no-total-count": Variant("`ia::meta` of a query has no `totalCount`."),
        "nulls-left-out": Variant("Rows of a query lack the members that are null."),
        "nested-related-fields": Variant("Rows of a query have fields of related objects nested."),
        "unknown-fields-ignored": Variant("A query ignores fields that do not exist."),
        "errors-without-ids": Variant("Errors have neither an `errorId` nor a code of the gateway."),
        "gateway-ia-errors": Variant("Errors of the gateway are below `ia::error` instead of `error`."),
        "unknown-fields-rest-1043": Variant("A write reports an unknown field by the id REST-1043."),
        "invalid-records-422": Variant("An invalid record is rejected with the status 422 instead of 400."),
        "details-with-corrections": Variant("Details of an error say apart how a value is corrected."),
        "queries-without-fields": Variant("A query without `fields` returns `key`, `id` and `href`."),
        "text-ignores-case": Variant("Filters never distinguish upper and lower case."),
        "no-aggregates": Variant("A query with an aggregate is refused."),
        "no-date-macros": Variant("A filter with a macro such as `currentYear` is refused."),
        "no-include-private": Variant("`includePrivate` is refused."),
        "other-entity-header": Variant("The entity is selected by `X-IA-API-ParamEntity`."),
        "no-throttle-headers": Variant("Responses do not have the throttle headers."),
        "no-idempotency": Variant("`Idempotency-Key` has no effect, and the model says so."),
        "customer-ids-required": Variant("A new customer needs an id, and the model says so."),
        "no-web-url": Variant("Models do not have `webURL`."),
        "no-audit-history": Variant("The audit history cannot be queried."),
        "null-keeps-values": Variant("A PATCH ignores members that are null."),
        "batch-answers-reversed": Variant("The results of a batch come in the reverse order."),
        "batches-all-or-nothing": Variant("A batch with an invalid record writes nothing."),
    }
)


def list_settings(names: Iterable[str]) -> dict[str, Any]:
    """Return the settings that some variants stand for.

    :raises ValueError: for a variant that does not exist; names the nearest one.
    """
    settings: dict[str, Any] = {}
    for name in names:
        if name not in VARIANTS:
            raise ValueError(f"variant {name!r} is unknown; did you mean {find_nearest(name, VARIANTS)!r}?")
        settings |= VARIANTS[name].settings
    return settings
