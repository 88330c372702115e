"""The only company, user and application of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field

COMPANY = "SANDBOX"
USER = "airflow"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - public on purpose; it protects nothing


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token request must match, including case, as at Sage."""

    company: str = COMPANY
    user: str = USER
    client_id: str = CLIENT_ID
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
