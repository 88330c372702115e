"""The hook: an Airflow connection of type ``intacct`` made into an Intacct client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from intacct_provider.exceptions import IntacctConfigError, IntacctError, IntacctPermissionError
from intacct_provider.hooks.idempotency import assign_to_task, current_context

# What the hook works with is loaded when it works: a DAG file that names it, or an operator, must not wait for that.
if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.config import IntacctConfig
    from intacct_provider.client.http.retry import RetryPolicy

#: Seconds; a person waits for the result of a connection test.
_TEST_TIMEOUT = 15.0
_TEST_OBJECT = "accounts-receivable/customer"


class IntacctHook(BaseHook):
    """Reaches Sage Intacct with the credentials of an Airflow connection.

    Nothing is read or sent before :attr:`client` is first used. The connection is read once.

    :param intacct_conn_id: id of a connection of type ``intacct``.
    :param entity_id: entity that requests run in; ``""`` is the top level; None takes the connection's.
    :param retry: how long to retry when the server does not respond; None for the client's own policy.
    """

    conn_name_attr = "intacct_conn_id"
    default_conn_name = "intacct_default"
    conn_type = "intacct"
    hook_name = "Sage Intacct"

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """Return the extras of the connection form, for Airflow 3.1; later releases do not ask for it."""
        from intacct_provider.hooks.form import build_widgets

        return build_widgets()

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return the names of the other fields of the form, for Airflow 3.1."""
        from intacct_provider.hooks.form import build_field_behaviour

        return build_field_behaviour()

    def __init__(
        self,
        intacct_conn_id: str = default_conn_name,
        entity_id: str | None = None,
        *,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__()
        self.intacct_conn_id = intacct_conn_id
        self.entity_id = entity_id
        self.retry = retry
        self._client: IntacctClient | None = None

    @cached_property
    def config(self) -> IntacctConfig:
        """The connection, checked.

        :raises IntacctConfigError: if the connection is wrong or incomplete, saying what to change.
        """
        from intacct_provider.client.arguments import read_id
        from intacct_provider.client.config import IntacctConfig

        conn = self.get_connection(self.intacct_conn_id)
        try:
            config = IntacctConfig.from_connection(
                host=conn.host,
                port=conn.port,
                login=conn.login,
                password=conn.password,
                extra=conn.extra_dejson,
            )
        except IntacctConfigError as err:
            raise IntacctConfigError(f"{self._describe(conn)}: {err}") from None
        if self.entity_id is None:
            return config
        return replace(config, entity_id=read_id("entity_id", self.entity_id))

    @property
    def client(self) -> IntacctClient:
        """The client for this connection and entity; made once, safe to share between threads.

        Inside a task its writes belong to that task: Airflow's next attempt does not write them twice.
        """
        return self.connect()

    def connect(self, context: Mapping[str, Any] | None = None) -> IntacctClient:
        """Return :attr:`client`, whose writes belong to the task of a context.

        :param context: by default that of the task that is running here, if there is one.
        """
        if self._client is None:
            client = self._make_client(self.config, self.retry)
            assign_to_task(client.idempotency, current_context() if context is None else context)
            self._client = client
        return self._client

    def _describe(self, conn: Any) -> str:
        """Return the name of the connection for an error, with its type if that is another one."""
        other = conn.conn_type != self.conn_type
        kind = f" (of type {conn.conn_type or ''!r}, not {self.conn_type!r})" if other else ""
        return f"Connection {self.intacct_conn_id!r}{kind}"

    def get_conn(self) -> IntacctClient:
        """Return :attr:`client`, under the name that Airflow gives it."""
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Make one authenticated read and report the user, the company and the entity that it reached.

        Never raises, never spends a refresh token, and never reveals a secret.
        """
        try:
            return self._try_connection()
        except IntacctError as err:
            return False, str(err)
        except Exception as err:  # Airflow shows whatever is raised, so only its type may get out.
            return False, f"The connection could not be tested ({type(err).__name__})."

    def _try_connection(self) -> tuple[bool, str]:
        from intacct_provider.client.config import redact_url
        from intacct_provider.client.http.retry import RetryPolicy

        config = self.config
        if config.auth_type == "refresh_token":
            return False, (
                "Not tested: a test would spend the refresh token. The settings are complete; run a task to see "
                "whether Intacct accepts them."
            )
        where = f"entity {config.entity_id!r}" if config.entity_id else "the top level"
        reached = f"user {config.user_id!r} of company {config.company_id!r}, {where}, at {redact_url(config.base_url)}"
        # Without the store: a token that a task got earlier would hide that these credentials are wrong by now.
        quick = replace(config, timeout=min(config.timeout, _TEST_TIMEOUT), credential_store="memory")
        with self._make_client(quick, RetryPolicy(attempts=2, base=0.5, budget=20.0)) as client:
            try:
                client.query(_TEST_OBJECT, ["key"], size=1)
            except IntacctPermissionError:
                return True, f"Connected as {reached}. This user may not list customers."
        return True, f"Connected as {reached}."

    def _make_client(self, config: IntacctConfig, retry: RetryPolicy | None) -> IntacctClient:
        from intacct_provider.client import IntacctClient
        from intacct_provider.hooks.credential_store import find_credential_store
        from intacct_provider.hooks.metrics import MetricsReporter

        return IntacctClient(
            config,
            store=find_credential_store(config.credential_store, self.intacct_conn_id),
            on_secret=mask_secret,
            retry=retry,
            on_usage=MetricsReporter(self.intacct_conn_id),
        )
