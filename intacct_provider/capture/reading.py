"""Reading the shape of a company: which objects it has, their models, how many records, and on request their forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intacct_provider.capture.company_document import build_document
from intacct_provider.capture.forms import describe_forms
from intacct_provider.capture.selection import can_be_captured, select_named, select_objects
from intacct_provider.capture.shape import extract_shape
from intacct_provider.client import IntacctClient
from intacct_provider.client.model import get_entries, get_object_name, read_fields
from intacct_provider.client.query.request import Query
from intacct_provider.client.spelling import list_some
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctValidationError,
)

ENTITY = "company-config/entity"
#: Errors of one object, or of what the user may see of it; others, such as a wrong secret, end the capture.
_REFUSALS = (IntacctNotFoundError, IntacctPermissionError, IntacctValidationError)
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to read.

    :param patterns: paths of objects, in which ``*`` stands for anything.
    :param max_calls: how many calls may be billed at most.
    :param counts: whether records are counted, a call for each object.
    :param sample: how many records of each object to read for the forms of their values; 0 for none.
    """

    patterns: Sequence[str]
    max_calls: int
    counts: bool = True
    sample: int = 0

    @property
    def calls_per_object(self) -> int:
        """How many calls an object costs."""
        return 1 + self.counts + bool(self.sample)


def read_company(client: IntacctClient, request: Request, report: Report) -> dict[str, Any]:
    """Return the document of a company. Only reads, and never more calls than allowed.

    :param report: called with each line for the terminal.
    :raises IntacctArgumentError: if a pattern matches nothing, no model can be read, or more calls are needed than
        allowed.
    """
    client.before_call = _limit_calls(request.max_calls)
    names, owned = _find_objects(client, request.patterns, report)
    calls = client.transactions + len(names) * request.calls_per_object + 1
    report(
        f"{len(names)} objects match; reading them takes about {calls} calls, each billed as one transaction "
        f"(limit: {request.max_calls})."
    )
    _check_calls(calls, request)
    models = dict(_read_models(client, names, report))
    # The lists of an object cannot be used without the models of their elements.
    lists = {target for model in models.values() for target in _list_targets(model)}
    models |= client.models(sorted(lists & owned - models.keys()))
    _check_calls(client.transactions + len(models) * (request.calls_per_object - 1) + 1, request)
    objects = {}
    for name, model in sorted(models.items()):
        objects[name] = _read_object(client, name, model, request, report)
        count = objects[name]["count"]
        records = "not counted" if count is None else f"{count:,} records"
        report(f"  {name}: {len(read_fields(model))} fields, {records}")
    return build_document(_count_records(client, ENTITY) or 0, objects)


def _limit_calls(max_calls: int) -> Callable[[int], None]:
    def check(calls: int) -> None:
        if calls > max_calls:
            raise IntacctArgumentError(
                f"The {max_calls} calls that --max-calls allows are used up; allow more."
            )

    return check


def _check_calls(calls: int, request: Request) -> None:
    if calls > request.max_calls:
        raise IntacctArgumentError(
            f"About {calls} calls are needed, and --max-calls allows {request.max_calls}. Give narrower --objects, "
            "leave out the counts with --no-counts, or allow more calls."
        )


def _find_objects(
    client: IntacctClient, patterns: Sequence[str], report: Report
) -> tuple[list[str], set[str]]:
    """Return the objects to read, and all that exist only in lists of others."""
    try:
        names = client.object_names()
    except _REFUSALS as err:
        return select_named(patterns, err.message), set()
    try:
        owned = client.object_names("ownedObject")
    except _REFUSALS:
        owned = []
    known = [name for name in (*names, *owned) if can_be_captured(name)]
    for name in sorted({*names, *owned}.difference(known)):
        report(f"  {name!r} is left out, because the sandbox cannot have such a name")
    return select_objects(patterns, known), {*owned}.intersection(known)


def _read_models(
    client: IntacctClient, names: Sequence[str], report: Report
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the models that the user may read.

    :raises IntacctArgumentError: if there are none.
    """
    missing: list[str] = []
    for name in names:
        try:
            yield name, client.model(name)
        except _REFUSALS as err:
            missing.append(name)
            report(f"  {name} is left out, because its model cannot be read: {err.message}")
        except IntacctError:
            report(f"  reading the model of {name} failed")
            raise
    if len(missing) == len(names):
        raise IntacctArgumentError(
            f"The model of {list_some(missing, 3)} cannot be read, so nothing is captured."
        )


def _list_targets(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the objects of a model's lists."""
    yield from filter(None, map(get_object_name, get_entries(model, "lists").values()))
    for group in get_entries(model, "groups").values():
        yield from _list_targets(group)


def _read_object(
    client: IntacctClient, name: str, model: Mapping[str, Any], request: Request, report: Report
) -> dict[str, Any]:
    read: dict[str, Any] = {
        "model": extract_shape(model, lambda what: report(f"  {name}: {what}")),
        "count": _count_records(client, name) if request.counts else None,
    }
    if request.sample and read["count"] != 0:
        read["forms"] = _read_forms(client, name, request.sample)
    return read


def _count_records(client: IntacctClient, name: str) -> int | None:
    """Return how many records the user can see; None if the object cannot be queried."""
    try:
        return client.totals(Query.build(name, ["key"])).count
    except _REFUSALS:
        return None


def _read_forms(client: IntacctClient, name: str, size: int) -> dict[str, Any]:
    try:
        rows = client.query(name, "*", size=size).rows
    except _REFUSALS:
        return {}
    return describe_forms(client.fields(name), rows)
