"""Which file a page shows: the one that the task has named in an XCom, as Airflow itself gives it to this user."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from intacct_provider.links import XCOM_KEYS, Page

if TYPE_CHECKING:
    from starlette.requests import Request

#: Bytes; a browser takes too long for more.
_MOST = 64 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IDS = ("dag_id", "run_id", "task_id")


class RefusedError(Exception):
    """What is not shown, and why.

    :param status: of the response.
    :param reason: for the person at the browser.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file that a task has named.

    :param sha256: of what the task wrote there.
    :param made: when it was made and by which try, if the task says so.
    """

    path: str
    sha256: str
    made: str = ""


async def find_file(request: Request, page: Page) -> TaskFile:
    """Return the file that a task has named for a page.

    Airflow's own REST API is asked for the XCom, within this process and with the login of the request. It refuses in
    the same way in every release and under every auth manager, and so does the page.

    :raises RefusedError: if Airflow refuses, or the task has named none.
    """
    task, map_index = _read_task(request)
    dag_id, run_id, task_id = (quote(task[name], safe="") for name in _IDS)
    status, entry = await _ask_airflow(
        request,
        f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{XCOM_KEYS[page]}"
        f"?{urlencode({'map_index': map_index})}",
    )
    if status == 401:
        raise RefusedError(401, "Airflow does not know who you are.")
    if status == 403:
        raise RefusedError(403, "You may not read the XComs of this DAG, which name the file.")
    if status == 404:
        raise RefusedError(
            404, f"Airflow has no {page} of this task: no such task, or its XComs were deleted."
        )
    if status != 200 or not isinstance(entry, dict):
        raise RefusedError(502, f"Airflow's REST API answered with status {status}.")
    named: dict[str, object] = {**task, "map_index": map_index, "key": XCOM_KEYS[page]}
    if any(entry.get(name) != value for name, value in named.items()):
        raise RefusedError(502, "Airflow's REST API answered for another task.")
    return _parse_entry(entry.get("value"), page)


def _read_task(request: Request) -> tuple[dict[str, str], int]:
    task = {name: request.query_params.get(name, "") for name in _IDS}
    map_index = request.query_params.get("map_index", "-1")
    # The ids become parts of a path: the REST API does not take one that would make it another path.
    wrong = [name for name, value in task.items() if value in ("", ".", "..") or set("/\\") & set(value)]
    if wrong or not re.fullmatch(r"-1|[0-9]{1,9}", map_index):
        raise RefusedError(
            404, f"The address names no task: {', '.join(wrong) or 'map_index'} is missing or wrong."
        )
    return task, int(map_index)


async def _ask_airflow(request: Request, path: str) -> tuple[int, Any]:
    """Return status and JSON of Airflow's answer to a request with the login of this one."""
    import httpx

    login = {
        "authorization": ", ".join(request.headers.getlist("authorization")),
        "cookie": "; ".join(request.headers.getlist("cookie")),
    }
    # The application into which this one is mounted, which has the REST API too.
    transport = httpx.ASGITransport(app=request.scope["app"], raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport,
        base_url=f"{request.url.scheme}://{request.url.netloc}",
        headers={name: value for name, value in login.items() if value},
        trust_env=False,
    ) as airflow:
        answer = await airflow.get(path)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None


def _parse_entry(value: Any, page: Page) -> TaskFile:
    path, sha256 = (value.get(name) for name in ("path", "sha256")) if isinstance(value, dict) else ("", "")
    if not isinstance(path, str) or not isinstance(sha256, str) or not path or not _SHA256.fullmatch(sha256):
        raise RefusedError(
            422,
            f"The XCom {XCOM_KEYS[page]} of the task is not what a task writes there: a path and a SHA-256. If your "
            "XCom backend keeps values elsewhere, Airflow's REST API cannot give them.",
        )
    made = value.get("made")
    return TaskFile(path, sha256, made if isinstance(made, str) else "")


def read_content(file: TaskFile, page: Page) -> bytes:
    """Return the content of a file.

    :raises RefusedError: if this process cannot reach it, or if no task would write anything like it.
    """
    from intacct_provider.exceptions import IntacctArgumentError
    from intacct_provider.storage.files import open_path
    from intacct_provider.storage.kinds import check_readable

    try:
        path = open_path(file.path)
        check_readable(path)
        content = b""
        # Of some files of the system the size is 0, and reading them may not end. All is asked of ``path.fs``, which
        # Airflow has for the storages of its providers only: a path could ask a server of any address by itself.
        if path.fs.size(path.path):
            with path.fs.open(path.path, "rb") as stored:
                content = stored.read(_MOST + 1)
    except IntacctArgumentError:
        raise _refuse_content(file, page) from None
    except Exception as err:  # of whatever storage
        raise RefusedError(
            404,
            f"The API server cannot read {file.path} ({type(err).__name__}). Either the file is gone, or only the "
            "workers can reach it. Write it to a storage that the API server reaches too, with the same connection.",
        ) from err
    if len(content) > _MOST:
        raise RefusedError(413, f"{file.path} has more than {_MOST:,} bytes, too many for a browser.")
    if not content:
        raise _refuse_content(file, page)
    return content


def _refuse_content(file: TaskFile, page: Page) -> RefusedError:
    return RefusedError(422, f"{file.path} is not a {page}.")


def check_digest(file: TaskFile, page: Page, found: str) -> None:
    """Make sure that a file is the one that the task has left.

    A user who may change XComs must not learn the digest of another file here, and have it shown with that.

    :raises RefusedError: if it is another one.
    """
    if found != file.sha256:
        raise RefusedError(
            409,
            f"{file.path} is not the {page} that this task left, whose SHA-256 is {file.sha256}. Another task or try "
            "has replaced it since.",
        )
