"""The client: what a program can do with the records of one company."""

from __future__ import annotations

from intacct_provider.client.page_reads import PageReads
from intacct_provider.client.services import ServiceCalls


class IntacctClient(PageReads, ServiceCalls):
    """Reads and writes the records of one Intacct company, or of one entity of it.

    Safe to share between threads. Reads are complete or raise; writes carry idempotency keys, so that a
    repeated sending never makes a second record.

    :param config: company, credentials and limits.
    :param store: keeps rotated refresh tokens (``auth_type="refresh_token"`` only).
    :param on_secret: told of every token as soon as it is known, so that it can be masked.
    :param retry: how patient to be with a server that does not answer.
    """
