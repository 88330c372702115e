"""How an export to files recognizes what an earlier attempt left."""

from __future__ import annotations

import json

from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.client.query.request import Query
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.sink import FilesSink
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.source import Source
from intacct_provider.storage.claims import Claim, Holder


def test_the_owner_of_parts_keeps_its_form_so_that_parts_from_before_an_upgrade_are_continued(tmp_path):
    source = Source(
        Query.build("accounts-receivable/customer", ["key"], filters=[{"$eq": {"status": "active"}}]),
        (Column("key", "key", "text"),),
        upto="30",
    )
    target = ObjectStoragePath(f"file://{tmp_path}/x.jsonl")

    claim = Claim(target, Holder("dag", "run", "task"))
    sink = FilesSink(
        target, source, FileOptions("jsonl"), Attempt("dag/run/task", 1, last=False), claim=claim
    )

    assert sink._attempt.owner.startswith("dag/run/task[")
    assert json.loads(sink._attempt.owner.removeprefix("dag/run/task")) == [
        {
            "object": "accounts-receivable/customer",
            "query": {
                "fields": ["key"],
                "filters": [{"$eq": {"status": "active"}}],
                "filterExpression": "and",
            },
            "detail": False,
            "columns": [{"name": "key", "field": "key", "type": "text"}],
        },
        None,
        "30",
    ]
