"""The manifest: what is read back is what was written, and nothing else is taken for one."""

import json

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import Completeness, RunFacts
from intacct_provider.export.files.file_part import PartSummary
from intacct_provider.export.files.manifest import Manifest, encode_manifest, manifest_path, read_manifest
from intacct_provider.export.schema.columns import Column

MANIFEST = Manifest(
    object="accounts-receivable/customer",
    query={"fields": ["key"]},
    detail=False,
    columns=(Column("key", "key", "string"),),
    company_id="ACME",
    entity_id="",
    file_format="jsonl",
    compression=None,
    path="file:///customers.jsonl",
    parts=(PartSummary("customers.jsonl", 2, 24, "0", "1", "2"),),
    rows=2,
    bytes=24,
    sha256="0",
    first_key="1",
    last_key="2",
    completeness=Completeness(
        result="equal", rows=2, counted=2, deleted_meanwhile=0, added_meanwhile=0, control_totals={}
    ),
    provider_version="0.1.0",
    run=RunFacts(started_at="2026-11-21T16:58:34Z", finished_at="2026-11-21T16:58:35Z", transactions=2),
)


@pytest.fixture
def path(tmp_path):
    return manifest_path(ObjectStoragePath(f"file://{tmp_path}/customers.jsonl"))


def test_it_has_the_name_of_the_destination_and_comes_back_as_it_was(path):
    path.write_bytes(encode_manifest(MANIFEST))
    assert path.name == "customers.jsonl.manifest.json"
    assert read_manifest(path) == MANIFEST


def test_it_has_its_digest_at_the_top_and_leaves_out_what_an_export_does_not_have(path):
    path.write_bytes(encode_manifest(MANIFEST))
    content = json.loads(path.read_bytes())
    assert (content["manifest_version"], content["sha256"]) == (2, "0")
    assert not {"csv_safe", "window", "deletions"} & content.keys()
    assert content["run"].keys() == {"started_at", "finished_at", "transactions"}


def test_there_is_none_before_the_first_export(path):
    assert read_manifest(path) is None


def test_one_of_another_version_says_nothing_about_columns(path):
    path.write_bytes(b'{"manifest_version": 1, "path": "file:///customers.jsonl"}')
    assert read_manifest(path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b"\xff",
        b'{"manifest_version": 2}',
        b'{"manifest_version": "2"}',
        b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda content: content[:20],
)
def test_a_file_of_something_else_is_refused_with_what_to_do(path, content):
    path.write_bytes(content)
    with pytest.raises(
        IntacctArgumentError, match=r"is not a manifest of an export\. Remove it, or name another"
    ):
        read_manifest(path)


def test_a_manifest_without_one_of_its_members_is_none(path):
    path.write_bytes(encode_manifest(MANIFEST))
    content = json.loads(path.read_bytes())
    for name in structs.asdict(MANIFEST).keys() & {"columns", "parts", "completeness", "run"}:
        path.write_text(json.dumps({other: content[other] for other in content if other != name}))
        with pytest.raises(IntacctArgumentError, match="is not a manifest"):
            read_manifest(path)
