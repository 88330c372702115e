"""An auth manager of Airflow with a user who may not read one DAG, as larger ones have by role or team."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Who may not, and which DAG; everybody else may what their role in Airflow's simple auth manager lets them.
OUTSIDER = "outsider"
CLOSED = "ui"


class PickyAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, apart from that."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **rest: Any) -> bool:
        """Refuse the outsider whatever belongs to the DAG."""
        if user.username == OUTSIDER and details is not None and details.id == CLOSED:
            return False
        return super().is_authorized_dag(user=user, details=details, **rest)
