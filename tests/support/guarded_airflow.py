"""An Airflow with a login: two people who have passwords, of whom one may not read one DAG."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from picky_auth import OUTSIDER
from real_airflow import RealAirflow, Run

ADMIN = "admin"


class GuardedAirflow(RealAirflow):
    """One running Airflow, whose UI asks who somebody is.

    :ivar passwords: by user.
    """

    def __init__(self, home: Path, dags: Path) -> None:
        self.passwords = {ADMIN: secrets.token_urlsafe(12), OUTSIDER: secrets.token_urlsafe(12)}
        file = home / "passwords.json"
        file.write_text(json.dumps(self.passwords))
        super().__init__(
            home,
            dags,
            {
                "PYTHONPATH": str(Path(__file__).parent),
                "AIRFLOW__CORE__AUTH_MANAGER": "picky_auth.PickyAuthManager",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{OUTSIDER}:op",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(file),
                "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            },
        )

    def fetch_token(self) -> str:
        """Return the token of somebody who may do everything."""
        answer = self._post("/auth/token", {"username": ADMIN, "password": self.passwords[ADMIN]})
        return str(answer["access_token"])

    def change_xcom(self, run: Run, task_id: str, key: str, value: object) -> None:
        """Change an XCom, as somebody with the right to can."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        self._checked(self._api.patch(self._url(path), json={"value": value}, timeout=60))
