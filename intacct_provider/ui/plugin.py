"""The plugin that adds the provider's pages to Airflow's API server. Every Airflow process loads it, so it is light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from intacct_provider.links import PREFIX

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Pages:
    """The pages as an ASGI application, loaded with the first request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        from intacct_provider.ui.routes import router

        await router(scope, receive, send)


class IntacctPlugin(AirflowPlugin):
    """Shows plans and manifests to those who may read the XComs of the task that made them."""

    name = "intacct"
    fastapi_apps: list[Any] = [{"app": Pages(), "url_prefix": PREFIX, "name": "Sage Intacct"}]  # noqa: RUF012
