"""The pages: what they show, and how they refuse. Nothing in them can be anything but text."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from starlette.responses import Response
from starlette.routing import Route, Router

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.links import PREFIX, read_base_url
from intacct_provider.sync.rendering.page import page_policy, render_notice, render_page
from intacct_provider.ui.task_files import RefusedError, TaskFile, check_digest, find_file, read_content

if TYPE_CHECKING:
    from starlette.requests import Request

#: Values of records are for those who may read them now: nothing is kept, framed elsewhere, or passed on.
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Threads for files: Airflow's own pages have all others, however slow a storage is.
_THREADS = CapacityLimiter(4)
_FRAMED = "frame-ancestors 'self'"


def _refuse_politely(
    show: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return await show(request)
        except RefusedError as refused:
            login = _login_address(request) if refused.status == 401 else ""
            return _html(render_notice(refused.reason, login), refused.status)

    return respond


@_refuse_politely
async def show_plan(request: Request) -> Response:
    """Show the plan that a task made or applied, rendered from its file."""
    file = await find_file(request, "plan")
    return _html(await to_thread.run_sync(_render_plan, file, limiter=_THREADS))


@_refuse_politely
async def show_manifest(request: Request) -> Response:
    """Show the manifest of an export, as it is."""
    file = await find_file(request, "manifest")
    content = await to_thread.run_sync(_read_manifest, file, limiter=_THREADS)
    headers = {**_HEADERS, "Content-Security-Policy": f"default-src 'none'; sandbox; {_FRAMED}"}
    return Response(content, media_type="application/json", headers=headers)


def _render_plan(file: TaskFile) -> bytes:
    from intacct_provider.sync.plan import Plan

    try:
        plan = Plan.from_json(read_content(file, "plan"))
    except IntacctArgumentError:
        raise RefusedError(422, f"{file.path} is not a plan of this release, or was changed since.") from None
    check_digest(file, "plan", plan.digest)
    return render_page(plan, made=file.made)


def _read_manifest(file: TaskFile) -> bytes:
    from intacct_provider.export.files.manifest import Manifest, parse_manifest
    from intacct_provider.storage.files import open_path

    content = read_content(file, "manifest")
    try:
        parse_manifest(content, open_path(file.path), Manifest)
    except IntacctArgumentError:
        raise RefusedError(422, f"{file.path} is not a manifest.") from None
    check_digest(file, "manifest", hashlib.sha256(content).hexdigest())
    return content


def _html(page: bytes, status: int = 200) -> Response:
    headers = {**_HEADERS, "Content-Security-Policy": f"{page_policy()}; {_FRAMED}"}
    return Response(page, status, headers, media_type="text/html")


def _login_address(request: Request) -> str:
    """Return where Airflow asks for a login, and comes back from."""
    root: Any = request.scope.get("app_root_path", "")
    base = read_base_url()
    # A proxy in front may not say for what address it was asked.
    page = request.url.path.rpartition("/")[2]
    here = f"{base}{PREFIX}/{page}?{request.url.query}" if base else str(request.url)
    return f"{root}/api/v2/auth/login?{urlencode({'next': here})}"


router = Router(
    [Route("/plan", show_plan), Route("/manifest", show_manifest)],
    redirect_slashes=False,
)
