"""The event triggers under the name that DAGs import them by; what they do is in the modules of their own."""

from __future__ import annotations

from intacct_provider.triggers.event_queue import IntacctEventQueueTrigger

__all__ = ["IntacctEventQueueTrigger"]
