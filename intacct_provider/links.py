"""Links on the page of a task in Airflow's UI: to its plan, to its manifest, and to its record in Intacct.

Airflow asks for the links when a task ends, in the process of the task, and keeps them as XComs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from intacct_provider._compat import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

log = logging.getLogger(__name__)

#: Where the API server has the pages of :mod:`intacct_provider.ui`.
PREFIX = "/intacct"
#: What has a page of its own; each one is named by an XCom of the task, with its path and its SHA-256.
Page = Literal["plan", "manifest"]
XCOM_KEYS: Mapping[Page, str] = {"plan": "intacct_plan", "manifest": "intacct_manifest"}


class _Link(BaseOperatorLink):
    """A link that the task itself has set, by :func:`set_link`; without one there is none on the task's page."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's name
        """Return the address; empty if there is none."""
        links: dict[str, str] = operator.__dict__.get("_links", {})
        return links.get(self.name, "")


class PlanLink(_Link):
    """Link to the page of the plan that a task made or applied."""

    name = "Plan"


class ManifestLink(_Link):
    """Link to the manifest of an export."""

    name = "Manifest"


class RecordLink(_Link):
    """Link to the page of a record in Intacct, as Intacct gives it in ``webURL``."""

    name = "Record in Intacct"


def set_link(operator: BaseOperator, name: str, url: str) -> None:
    """Set the address of a link of the running task."""
    operator.__dict__.setdefault("_links", {})[name] = url


def link_record(operator: BaseOperator, record: Mapping[str, Any]) -> None:
    """Link to a record's page in Intacct if Intacct has given its address."""
    url = record.get("webURL")
    try:
        usable = isinstance(url, str) and urlsplit(url).scheme in ("http", "https")
    except ValueError:  # not an address; the task has done its work nevertheless
        usable = False
    if usable:
        set_link(operator, RecordLink.name, str(url))


def read_base_url() -> str:
    """Return the address that people have for Airflow, without a slash at its end; empty if it is not set."""
    return str(conf.get("api", "base_url", fallback="")).rstrip("/")


def show_file(
    operator: BaseOperator, context: Mapping[str, Any], page: Page, path: str, sha256: str, **facts: str
) -> str:
    """Let the API server show a file of the running task, link to its page, and return the page's address.

    The page finds the file by what the task leaves here, never by what it is asked for.

    :param sha256: digest of what may be shown: that of a plan, or of the bytes of a manifest.
    :param facts: what else the page shows.
    :return: ``""`` outside of a task, or if Airflow did not take the XCom.
    """
    task = context.get("ti")
    if task is None:
        return ""
    try:
        task.xcom_push(key=XCOM_KEYS[page], value={"path": path, "sha256": sha256, **facts})
        query = {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id}
        if task.map_index is not None and task.map_index >= 0:
            query["map_index"] = str(task.map_index)
    except Exception as err:  # what the task has done is done, and must not be done again for want of a link
        log.warning("Airflow's UI has no link to %s (%s).", path, type(err).__name__)
        return ""
    # Without a base URL, relative to whatever address the browser has for Airflow.
    url = f"{read_base_url()}{PREFIX}/{page}?{urlencode(query)}"
    set_link(operator, {"plan": PlanLink.name, "manifest": ManifestLink.name}[page], url)
    return url
