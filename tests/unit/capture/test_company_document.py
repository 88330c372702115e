"""The file of a captured company: read, compared, and written whole or not at all."""

import json

import pytest

from intacct_provider.capture.company_document import (
    build_document,
    list_changes,
    read_earlier,
    write_document,
)
from intacct_provider.exceptions import IntacctArgumentError

FIELD = {"type": "string"}


def company(**fields):
    return build_document(2, {"a/b": {"count": 1, "model": {"fields": fields}}})


def test_a_file_is_readable_sorted_and_replaced_whole(tmp_path):
    path = tmp_path / "company.json"
    write_document(path, company(ö=FIELD))
    write_document(path, company(ö=FIELD, a=FIELD))
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == company(a=FIELD, ö=FIELD)
    assert text.startswith('{\n "entities": [\n  {\n   "id": "E1"\n')
    assert '"ö"' in text
    assert [file.name for file in tmp_path.iterdir()] == ["company.json"]
    assert read_earlier(path) == company(a=FIELD, ö=FIELD)


@pytest.mark.parametrize(
    "content",
    [
        *('{"a": 1}', "[]", "plain text", "", '{"format": "other/1"}', '{"format": "intacct-company/1"}'),
        '{"format": "intacct-company/1", "objects": []}',
        '{"format": "intacct-company/1", "objects": {"a/b": {}}}',
        '{"format": "intacct-company/1", "objects": {"a/b": {"mod',
    ],
)
def test_a_file_of_another_kind_is_kept(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_text(content)
    with pytest.raises(IntacctArgumentError, match="is not a captured company, or is damaged, so it is kept"):
        read_earlier(path)
    assert path.read_text() == content
    assert read_earlier(path, overwrite=True) is None


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(IntacctArgumentError, match="is a directory"):
        read_earlier(tmp_path)
    with pytest.raises(IntacctArgumentError, match="a directory that does not exist"):
        read_earlier(tmp_path / "missing" / "company.json")
    with pytest.raises(IntacctArgumentError, match="cannot be written: File name too long"):
        read_earlier(tmp_path / ("x" * 250))
    assert read_earlier(tmp_path / "company.json") is None
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(IntacctArgumentError, match="cannot be written"):
        write_document(tmp_path / "missing" / "company.json", company())


def test_what_has_changed_is_named():
    before = build_document(
        0,
        {
            "a/gone": {"model": {}},
            "a/same": {"count": 1, "model": {"fields": {"x": FIELD}}},
            "a/x": {"model": {"fields": {"old": FIELD, "both": FIELD}}},
        },
    )
    after = build_document(
        0,
        {
            "a/new": {"model": {}},
            "a/same": {"count": 2, "model": {"fields": {"x": FIELD}}},
            "a/x": {"model": {"fields": {"nsp::NEW": FIELD, "both": {"type": "number"}}}},
        },
    )
    assert list(list_changes(before, after)) == ["- a/gone", "+ a/new", "~ a/x: ~both, +nsp::NEW, -old"]
