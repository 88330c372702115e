"""What the operator for bulk jobs reports of the records that Intacct rejected: a log table, a file and an error."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.bulk.records import match_field
from intacct_provider.exceptions import IntacctArgumentError, IntacctRejectedRecordsError
from intacct_provider.operators._sync_report import push_result
from intacct_provider.storage.files import check_place
from intacct_provider.storage.places import is_same_file, parse_destination
from intacct_provider.sync.applying.output_files import write_rejects
from intacct_provider.sync.applying.rejects import encode_rejects, format_rejects

if TYPE_CHECKING:
    from intacct_provider.bulk.records import Order
    from intacct_provider.sync.applying.rejects import Reject, Tolerance

log = logging.getLogger(__name__)


def check_rejects_path(rejects_path: str | None, source: str) -> None:
    """Make sure that the rejects file can be written, and does not overwrite the records.

    :param source: path of the records, or another name of them.
    :raises IntacctArgumentError: if it cannot, or would.
    """
    if rejects_path is None:
        return
    path = parse_destination(rejects_path, "rejects_path")
    if is_same_file(path, source):
        raise IntacctArgumentError(
            f"rejects_path {rejects_path!r} would overwrite records. Give it another name."
        )
    check_place(path)


def write_job_rejects(rejects_path: str | None, order: Order, rejects: Sequence[Reject]) -> dict[str, str]:
    """Log the records that Intacct rejected and write them to a file; return its path, if any."""
    if rejects:
        log.error("Intacct rejected:\n%s", format_rejects(rejects))
    if rejects_path is None:
        return {}
    lines = encode_rejects(rejects, match_field(order.operation))
    write_rejects(parse_destination(rejects_path, "rejects_path"), b"".join(lines))
    return {"rejects": rejects_path} if rejects else {}


def check_job_rejects(
    context: Mapping[str, Any],
    order: Order,
    rejects: Sequence[Reject],
    result: Mapping[str, Any],
    tolerance: Tolerance,
) -> None:
    """Fail, with the result as XCom, if more records were rejected than is tolerated.

    :raises IntacctRejectedRecordsError: in that case.
    """
    if tolerance.allows(len(order.records), rejects):
        return
    push_result(context, result)
    where = f" They are in {result['rejects']}." if "rejects" in result else ""
    first = rejects[0]
    raise IntacctRejectedRecordsError(
        f"Intacct rejected {len(rejects):,} of {len(order.records):,} records of {order.object_name} (max_rejects is "
        f"{tolerance.max_rejects}); the others are written.{where} First: {first.action} {first.match}: {first.error}"
    )
