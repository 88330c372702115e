"""Operators for single records: list, get, create, update, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError, IntacctError, IntacctNotFoundError
from intacct_provider.links import RecordLink, link_record
from intacct_provider.operators.base import (
    IntacctOperator,
    check_key_or_id,
    check_rendered_id,
    describe_rendered_list,
    is_rendered_list,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.client import IntacctClient


def resolve_key(client: IntacctClient, object_name: str, key: str | None, record_id: str | None) -> str:
    """Return the key of the record that a task names by key or by id.

    Intacct's paths take keys only; finding one by id costs one read.

    :raises IntacctArgumentError: unless exactly one of ``key`` and ``record_id`` is given.
    :raises IntacctNotFoundError: if no record has that id.
    """
    from intacct_provider.client.paths import check_key

    check_key_or_id(object_name, key, record_id)
    if key not in (None, ""):
        return check_key(key)
    found = client.find(object_name, str(record_id))
    if found is None:
        raise IntacctNotFoundError(f"There is no {object_name} with the id {record_id!r}.")
    return str(found["key"])


class IntacctListRecordsOperator(IntacctOperator):
    """List records of an object as references, at most 100, as Intacct's list service returns them.

    Meant for exploration and tests; to read records use the query operator or an export.

    :param object_name: path such as ``accounts-receivable/customer-group``. (templated)
    :return: list of ``{"key", "id", "href"}``.
    """

    template_fields = (*IntacctOperator.template_fields, "object_name")

    def __init__(self, *, object_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the records."""
        with self.client(context) as client:
            references = client.list(self.object_name)
        self.log.info("%s: %d references.", self.object_name, len(references))
        return references


class _RecordOperator(IntacctOperator):
    """An operator on one record that exists, named by key or by id.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key; costs one more read. (templated)
    """

    template_fields = (*IntacctOperator.template_fields, "object_name", "key", "record_id")

    def __init__(
        self, *, object_name: str, key: str | None = None, record_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.key = key
        self.record_id = record_id


class IntacctGetRecordOperator(_RecordOperator):
    """Read one record. If Intacct gives the address of its page, the task links to it.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key; costs one more read. (templated)
    :param flatten: return dotted names, as in the rows of a query, and None for the fields of an empty reference.
    :return: the record, nested as in Intacct; numbers with a fraction as text.
    """

    operator_extra_links = (RecordLink(),)

    def __init__(self, *, flatten: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flatten = flatten

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the record."""
        from intacct_provider.client.http.codec import to_plain

        with self.client(context) as client:
            key = resolve_key(client, self.object_name, self.key, self.record_id)
            record: dict[str, Any] = to_plain(client.get(self.object_name, key, flatten=self.flatten))
        link_record(self, record)
        return record


class IntacctCreateRecordOperator(IntacctOperator):
    """Create one record. An Airflow retry never creates a second one.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param record: fields of the new record. (templated)
    :param link_to_record: link from the task to the record's page in Intacct. Intacct does not give its address when it
        writes, so the record is read once more, which is billed.
    :return: ``{"key", "id", "href"}``, each also under its own XCom key, so that ``create.output["key"]`` names
        the new record for the next task.
    """

    template_fields = (*IntacctOperator.template_fields, "object_name", "record")
    template_fields_renderers = {"record": "json"}  # noqa: RUF012
    operator_extra_links = (RecordLink(),)

    def __init__(
        self,
        *,
        object_name: str,
        record: Mapping[str, Any],
        link_to_record: bool = False,
        multiple_outputs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.object_name = object_name
        self.record = record
        self.link_to_record = link_to_record

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the record."""
        with self.client(context) as client:
            reference = client.create(self.object_name, _check_fields("record", self.record))
            if self.link_to_record:
                _read_address(self, client, self.object_name, reference)
        self.log.info("Created %s %s (key %s).", self.object_name, reference["id"], reference["key"])
        return reference


class IntacctUpdateRecordOperator(_RecordOperator):
    """Change fields of one record; other fields stay as they are.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key; costs one more read. (templated)
    :param changes: fields with their new values; None clears a field. (templated)
    :param link_to_record: as of :class:`IntacctCreateRecordOperator`.
    :return: ``{"key", "id", "href"}``.
    """

    template_fields = (*_RecordOperator.template_fields, "changes")
    template_fields_renderers = {"changes": "json"}  # noqa: RUF012
    operator_extra_links = (RecordLink(),)

    def __init__(self, *, changes: Mapping[str, Any], link_to_record: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes = changes
        self.link_to_record = link_to_record

    def execute(self, context: Context) -> dict[str, Any]:
        """Update the record."""
        with self.client(context) as client:
            changes = _check_fields("changes", self.changes)
            key = resolve_key(client, self.object_name, self.key, self.record_id)
            reference = client.update(self.object_name, key, changes)
            if self.link_to_record:
                _read_address(self, client, self.object_name, reference)
        self.log.info("Updated %s %s: %s.", self.object_name, reference["id"] or key, ", ".join(changes))
        return reference


class IntacctDeleteRecordOperator(_RecordOperator):
    """Delete one record.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key; costs one more read. (templated)
    :param missing_ok: succeed if the record does not exist, as when the task is repeated.
    :return: ``{"key", "deleted"}``; ``deleted`` is False if the record did not exist.
    """

    def __init__(self, *, missing_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.missing_ok = missing_ok

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the record."""
        key = self.key
        with self.client(context) as client:
            try:
                key = resolve_key(client, self.object_name, self.key, self.record_id)
                client.delete(self.object_name, key)
            except IntacctNotFoundError:
                # A wrong object path is not a missing record, and must not pass for a deletion.
                if not self.missing_ok or not client.has_object(self.object_name):
                    raise
                self.log.info("%s %s did not exist.", self.object_name, self.record_id or key)
                return {"key": key, "deleted": False}
        self.log.info("Deleted %s %s.", self.object_name, self.record_id or key)
        return {"key": key, "deleted": True}


def _read_address(
    operator: IntacctOperator, client: IntacctClient, object_name: str, reference: Mapping[str, Any]
) -> None:
    """Link to a record that was written. A task that has written must not fail for want of a link."""
    try:
        link_record(operator, client.get(object_name, reference["key"]))
    except IntacctError as err:
        operator.log.warning("No link to %s %s: %s", object_name, reference["key"], err)


def _check_fields(argument: str, value: Any) -> Mapping[str, Any]:
    if is_rendered_list(value):
        raise IntacctArgumentError(describe_rendered_list(argument))
    if not isinstance(value, Mapping) or not value:
        raise IntacctArgumentError(
            f"{argument} must be a mapping of fields, such as {{'name': 'Acme'}}, not {type(value).__name__}."
        )
    _check_names(argument, value)
    return value


def _check_names(path: str, value: Any) -> None:
    """Reject ids and keys, of the record or of those that it refers to, whose template rendered to nothing."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
    for name, item in items:
        if str(name).rpartition(".")[2] in ("id", "key"):
            check_rendered_id(f"{path}.{name}", item)
        if isinstance(item, Mapping | list | tuple):
            _check_names(f"{path}.{name}", item)
