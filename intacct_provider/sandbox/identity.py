"""The one company, user and application that the sandbox knows."""

from __future__ import annotations

from dataclasses import dataclass, field

COMPANY = "SANDBOX"
USER = "airflow"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - public on purpose; nothing of value is behind it


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token request has to match; upper and lower case matter, as with Sage."""

    company: str = COMPANY
    user: str = USER
    client_id: str = CLIENT_ID
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
