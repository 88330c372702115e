"""The query operator: rows of an object, few enough to pass to the next task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.base import IntacctOperator, make_templatable

if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters


class IntacctQueryOperator(IntacctOperator):
    """Query an object and return the rows.

    All rows or none: more than ``max_records`` is an error, because rows are passed through XCom. To read a whole
    object use ``IntacctToObjectStorageOperator``.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param fields: field names, ``relation.field`` names or aggregates such as ``sum:totalDue``; ``"*"`` for all fields
        that can be queried, for one more billed call. (templated)
    :param filters: Intacct's JSON conditions or an expression of ``field(...)``. (templated)
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``. (templated)
    :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
        ``includePrivate``. (templated)
    :param order_by: such as ``[{"id": "asc"}]``; by default rows come in order of key. (templated)
    :param exclude: fields that ``"*"`` does not stand for; a group or reference excludes all in it. (templated)
    :param max_records: number of rows allowed.
    :return: list of flat rows with dotted names; numbers with a fraction as text.
    """

    template_fields = (
        *IntacctOperator.template_fields,
        "object_name",
        "fields",
        "filters",
        "filter_expression",
        "filter_parameters",
        "order_by",
        "exclude",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        fields: Sequence[str],
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        exclude: Sequence[str] | None = None,
        max_records: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.fields = fields
        self.filters, self.filter_expression = make_templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters
        self.order_by = order_by
        self.exclude = exclude
        self.max_records = max_records

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Run the query."""
        from intacct_provider.client.http.codec import to_plain
        from intacct_provider.client.query.request import is_aggregate

        with self.client(context) as client:
            rows = self._read_aggregates(client) if is_aggregate(self.fields) else self._read_rows(client)
        self.log.info("%s: %d rows.", self.object_name, len(rows))
        result: list[dict[str, Any]] = to_plain(rows)
        return result

    @property
    def _query(self) -> dict[str, Any]:
        return {
            "filters": self.filters,
            "filter_expression": self.filter_expression,
            "filter_parameters": self.filter_parameters,
            "order_by": self.order_by,
        }

    def _read_rows(self, client: IntacctClient) -> list[dict[str, Any]]:
        rows = client.iter_rows(self.object_name, self.fields, exclude=self.exclude, **self._query)
        found = list(islice(rows, self.max_records + 1))
        if len(found) > self.max_records:
            raise self._too_many_error(f"more than {self.max_records}")
        return found

    def _read_aggregates(self, client: IntacctClient) -> list[dict[str, Any]]:
        """Read groups, which have no key to page by, in one page."""
        from intacct_provider.client.query.request import Query

        query = Query.build(self.object_name, self.fields, **self._query)
        page = client.first_page(query, client.config.page_size)
        rows, counted = len(page.rows), page.total_count
        # A full page may be everything only if Intacct counts just as many.
        full = rows >= page.page_size or page.next is not None
        more = (counted or 0) > rows or (full and counted != rows)
        unsure = page.next is not None or counted is None
        if more or (unsure and client.query(query, start=rows + 1).rows):
            raise IntacctArgumentError(
                f"The query of {self.object_name} returns more than the {rows} groups of one page, and groups have no "
                "key to page by: narrow the filters, or raise page_size in the connection if it is below 4000."
            )
        if rows > self.max_records:
            raise self._too_many_error(str(rows))
        return page.rows

    def _too_many_error(self, count: str) -> IntacctArgumentError:
        return IntacctArgumentError(
            f"The query of {self.object_name} returns {count} rows, and max_records is {self.max_records}: narrow the "
            "filters, raise max_records, or use IntacctToObjectStorageOperator, which writes rows to a file."
        )
