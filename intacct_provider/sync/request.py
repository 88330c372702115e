"""What a sync is asked to do, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.plan import MODES, Mode
from intacct_provider.sync.problems import show_value

if TYPE_CHECKING:
    from intacct_provider.client.query.filters import Filters

OnDelete = Literal["delete", "deactivate"]
OnInvalid = Literal["fail", "reject"]


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Which records are compared, and what may happen to them.

    ``create`` adds missing records, ``update`` changes existing ones, ``upsert`` does both, and ``mirror`` also deletes
    live records in scope that are not desired.

    :param object_name: path such as ``accounts-receivable/customer``.
    :param match_on: dotted path of the field that pairs desired and live records.
    :param scope: filters that say which live records are in scope, or ``"all"``. Mode ``mirror`` needs it.
    :param protect: filters that select live records that must not be touched.
    :param on_delete: ``deactivate`` sets the status of records that are not desired to ``inactive`` instead of deleting
        them.
    :param on_invalid: how to treat desired records with problems: ``fail`` refuses all records, ``reject`` leaves
        these out. A mirror deletes none of them, and nothing at all if it is uncertain which records they are.
    :raises IntacctArgumentError: for an unknown mode, ``on_delete`` or ``on_invalid``, a ``match_on`` that is not text,
        a mirror without scope, or an invalid scope or protection.
    """

    object_name: str
    mode: Mode = "upsert"
    match_on: str = "id"
    scope: Filters | Literal["all"] = None
    protect: Filters = None
    on_delete: OnDelete = "delete"
    on_invalid: OnInvalid = "fail"

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, MODES)
        if not isinstance(self.match_on, str) or not self.match_on.strip():
            raise IntacctArgumentError(
                f"match_on must be the path of a field, such as 'id', not {show_value(self.match_on)}."
            )
        check_choice("on_delete", self.on_delete, get_args(OnDelete))
        check_choice("on_invalid", self.on_invalid, get_args(OnInvalid))
        if isinstance(self.scope, str) and self.scope != "all":
            raise IntacctArgumentError(
                f'scope must be filters, or the text "all", not {show_value(self.scope)}.'
            )
        if self.mode == "mirror" and _is_empty(self.scope):
            raise IntacctArgumentError(
                "mode mirror needs scope: filters that say which live records are yours, since it deletes those of "
                'them that are not desired; such as [{"$startsWith": {"id": "FIN-"}}]. To delete all others, give '
                'scope="all".'
            )
        self.build_selections()

    @property
    def deactivates(self) -> bool:
        """Whether records that are not desired become inactive."""
        return self.mode == "mirror" and self.on_delete == "deactivate"

    @property
    def scope_filters(self) -> Filters:
        """The filters of the scope; None for all records."""
        return None if isinstance(self.scope, str) or _is_empty(self.scope) else self.scope

    def build_selections(self) -> list[Query]:
        """Return the queries for the records in scope and for those that are protected, where filters select them.

        :raises IntacctArgumentError: naming the argument and its condition that is wrong.
        """
        given = {"scope": self.scope_filters, "protect": self.protect}
        return [
            Query.build(self.object_name, ["key"], filters=filters, argument=argument)
            for argument, filters in given.items()
            if filters is not None
        ]


def _is_empty(scope: Filters | Literal["all"]) -> bool:
    return scope is None or (isinstance(scope, list | tuple | Mapping) and not scope)
