"""Intacct's REST API in its own vocabulary, usable without Airflow.

Importing this package costs nothing: a name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intacct_provider.client.client import IntacctClient
    from intacct_provider.client.config import IntacctConfig
    from intacct_provider.client.http.auth import CredentialStore
    from intacct_provider.client.http.retry import RetryPolicy
    from intacct_provider.client.idempotency import IdempotencyKeys
    from intacct_provider.client.model import ModelField
    from intacct_provider.client.paging.complete_read import CompleteRead
    from intacct_provider.client.paging.pages import Page, Totals
    from intacct_provider.client.paging.row_formats import MappingRows, RowFormat, StructRows
    from intacct_provider.client.query.request import Query
    from intacct_provider.client.reading.event_queue import EventBatch, QueuedEvent
    from intacct_provider.client.results import RecordResult
    from intacct_provider.client.usage import Usage
    from intacct_provider.client.writing.bulk_jobs import JobStatus
    from intacct_provider.client.writing.composite import CompositeResult

_MODULES = {
    "CompleteRead": "paging.complete_read",
    "CompositeResult": "writing.composite",
    "CredentialStore": "http.auth",
    "EventBatch": "reading.event_queue",
    "IdempotencyKeys": "idempotency",
    "IntacctClient": "client",
    "IntacctConfig": "config",
    "JobStatus": "writing.bulk_jobs",
    "MappingRows": "paging.row_formats",
    "ModelField": "model",
    "Page": "paging.pages",
    "Query": "query.request",
    "QueuedEvent": "reading.event_queue",
    "RecordResult": "results",
    "RetryPolicy": "http.retry",
    "RowFormat": "paging.row_formats",
    "StructRows": "paging.row_formats",
    "Totals": "paging.pages",
    "Usage": "usage",
}

__all__ = [
    "CompleteRead",
    "CompositeResult",
    "CredentialStore",
    "EventBatch",
    "IdempotencyKeys",
    "IntacctClient",
    "IntacctConfig",
    "JobStatus",
    "MappingRows",
    "ModelField",
    "Page",
    "Query",
    "QueuedEvent",
    "RecordResult",
    "RetryPolicy",
    "RowFormat",
    "StructRows",
    "Totals",
    "Usage",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
