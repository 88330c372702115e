"""The trigger of the query sensor and the record sensor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from intacct_provider.client.http import codec
from intacct_provider.triggers.polling import Finding, PollingTrigger

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient


class IntacctQueryTrigger(PollingTrigger):
    """Wait until what a query finds is as a condition says, then fire once.

    Delivery: exactly one event; a triggerer that is killed meanwhile starts the wait again, which changes nothing in
    Intacct. Cost: one billed transaction a poll, and one more for the poll that ends a wait for few or no records, so
    every 300 s is 288 a day. Limits: all triggers of a connection in one triggerer poll with at most
    ``max_concurrency`` requests in flight (4 for ``auto``). At 0.2 s a request that is 20 polls a second, enough for
    1,200 sensors that poll once a minute; more than that wait in line.

    :param condition: parts of a :class:`~intacct_provider.triggers.condition.Condition` or a
        :class:`~intacct_provider.triggers.record_condition.RecordCondition`.
    """

    def __init__(self, *, condition: dict[str, Any], **how: Any) -> None:
        super().__init__(**how)
        self.condition = condition

    @property
    def condition(self) -> dict[str, Any]:
        """The parts of the condition; kept as text, so that a trigger that waits holds few objects."""
        parts: dict[str, Any] = json.loads(self._condition)
        return parts

    @condition.setter
    def condition(self, parts: dict[str, Any]) -> None:
        self._condition = json.dumps(codec.to_plain(parts))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments."""
        path, arguments = super().serialize()
        return path, {"condition": self.condition, **arguments}

    def poll(self, client: IntacctClient) -> Finding:
        """Return what the query finds."""
        from intacct_provider.triggers.condition import load_condition

        parts = self.condition
        finding = load_condition(parts).poll(client)
        self.condition = {**parts, "checked": True}
        return finding
