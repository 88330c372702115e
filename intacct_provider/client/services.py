"""What Intacct's services offer beyond records: several requests in one call, and bulk jobs."""

from __future__ import annotations

from intacct_provider.client.writes import WriteCalls


class ServiceCalls(WriteCalls):
    """What :class:`~intacct_provider.client.client.IntacctClient` asks of services."""
