"""What is hidden is nowhere in what an encoder writes, and everything else is there as it was."""

import hashlib
from decimal import Decimal
from itertools import count

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.http import codec
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.files.encoders import encoder_factory
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.drift import compare
from intacct_provider.export.schema.masks import (
    Masker,
    find_changes,
    hash_value,
    mask_columns,
    parse_masks,
)

TREES = st.recursive(
    st.just("leaf"),
    lambda inner: st.tuples(
        st.sampled_from(["struct", "list"]),
        st.dictionaries(st.sampled_from(["a", "b", "A", "c"]), inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "A", "d"]), TREES, min_size=1, max_size=4)


def build(name, tree, prefix, secrets, numbers):
    """Return the column and the value of a member; add each text in it to the secrets, by path."""
    path = f"{prefix}{name}"
    if tree == "leaf":
        secrets.setdefault(path, []).append(f"secret-{next(numbers)}-text")
        return Column(name, name, "string"), secrets[path][-1]
    kind, members = tree
    made = {one: build(one, inner, f"{path}.", secrets, numbers) for one, inner in members.items()}
    columns = tuple(column for column, _ in made.values())
    value = {one: inner for one, (_, inner) in made.items()}
    if kind == "struct":
        return Column(name, name, "struct", members=columns), value
    again = {one: build(one, inner, f"{path}.", secrets, numbers)[1] for one, inner in members.items()}
    rest = Column(REST, REST, "json")
    return Column(name, name, "list", members=(Column("item", "item", "struct", members=(*columns, rest)),)), [
        value, again,
    ]  # fmt: skip


def encode(columns, record, file_format):
    written = []
    encoder = encoder_factory(columns, FileOptions(file_format))(written.append)
    encoder.write(["1"], [record], None)
    encoder.close()
    if file_format != "parquet":
        return b"".join(written).decode()
    import pyarrow as pa

    return repr(pq.read_table(pa.BufferReader(b"".join(written))).to_pylist())


@settings(deadline=None)  # Arrow is loaded with the first file
@given(RECORDS, st.data(), st.sampled_from(["jsonl", "csv", "parquet"]), st.booleans())
def test_hidden_members_of_records_are_nowhere(trees, data, file_format, unknown):
    secrets, numbers = {}, count()
    made = {name: build(name, tree, "", secrets, numbers) for name, tree in trees.items()}
    columns = [
        Column("key", "key", "string"),
        *(column for column, _ in made.values()),
        Column(REST, REST, "json"),
    ]
    record = {"key": "1"} | {name: value for name, (_, value) in made.items()}
    if unknown:  # to the model
        record["more"] = {"deep": "not-in-the-model"}
    prefixes = {path.rpartition(".")[0] for path in secrets} - {""}
    hashed = data.draw(st.sets(st.sampled_from(sorted(secrets))))
    dropped = (
        data.draw(st.sets(st.sampled_from(sorted({*secrets, *prefixes} - hashed))))
        if {*secrets} - hashed
        else set()
    )
    masks = dict.fromkeys(hashed, "sha256") | dict.fromkeys(dropped, "drop")
    masked = mask_columns(columns, masks)
    [row] = Masker(masks, None).mask(Page([record], keys=["1"])).rows
    text = encode(masked, row, file_format)
    for path, values in secrets.items():
        gone = any(path == one or path.startswith(f"{one}.") for one in dropped)
        for value in values:
            assert (value in text) is (path not in hashed and not gone)
            digest = hashlib.sha256(value.encode()).hexdigest()
            assert (digest in text) is (path in hashed and not gone)
    assert ("not-in-the-model" in text) is unknown


@given(st.dictionaries(st.sampled_from(["id", "tax.id", "limit", "on"]), st.sampled_from(["sha256", "drop"])))
def test_hidden_fields_of_rows(masks):
    values = {"key": "1", "id": "C-1", "tax.id": "12", "limit": Decimal("10.50"), "on": True, "none": None}
    columns = [Column(name, name, "decimal" if name == "limit" else "string") for name in values]
    masked = mask_columns(columns, masks)
    fields = [column.field for column in masked]
    rows = StructRows(fields).convert([values])
    [row] = map(StructRows.values, Masker(masks, fields).mask(rows).rows)
    texts = {"limit": "10.5", "on": "true"}
    for name, value in zip(fields, row, strict=True):
        text = texts.get(name, values[name])
        assert value == (digest(text) if name in masks else values[name])
    assert "drop" not in {masks.get(name) for name in fields}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("written", "hashed"),
    [
        *((number, "1000") for number in ("1000", "1000.0", "1000.00", "1e3", "1E+3", "0.1e4", '"1000"')),
        *((number, "0") for number in ("0", "-0.0", "0.00", "0e5")),
        ("-1.50", "-1.5"),
        ('"1e3"', "1e3"),
        ('"007"', "007"),
        ("12345678901234567890.123456789012345678900", "12345678901234567890.1234567890123456789"),
    ],
)
def test_equal_numbers_have_one_hash_however_they_are_written_and_text_is_hashed_as_it_is(written, hashed):
    assert hash_value(codec.decode(written.encode())) == digest(hashed)


def test_numbers_too_long_to_write_out_are_hashed_alike_too():
    assert hash_value(Decimal("1E+999999999")) == hash_value(Decimal("10E+999999998"))


def test_nothing_stays_nothing():
    page = StructRows(["key", "a", "b"]).convert([{"key": "1", "a": "", "b": None}])
    [row] = Masker({"a": "sha256", "b": "sha256"}, ["key", "a", "b"]).mask(page).rows
    assert StructRows.values(row) == ("1", "", None)


def test_something_else_in_the_place_of_a_group_fails_rather_than_shows():
    for value in ("Jane Doe", 5, ["Jane Doe"]):
        with pytest.raises(
            IntacctColumnError, match="Record 7 has text or a number where an object with name should be"
        ):
            Masker({"contact.name": "drop"}, None).mask(Page([{"key": "7", "contact": value}], keys=["7"]))


def test_a_hash_may_not_be_of_a_group_and_says_what_is_in_it():
    columns = [
        Column("c", "c", "struct", members=(Column("name", "name", "string"),)),
        Column("j", "j", "json"),
    ]
    with pytest.raises(IntacctArgumentError, match=r"or name what is in it: c\.name\."):
        mask_columns(columns, {"c": "sha256"})
    with pytest.raises(IntacctArgumentError, match="nothing is known"):
        mask_columns(columns, {"j": "sha256"})
    with pytest.raises(IntacctArgumentError, match=r"Did you mean 'c\.name'"):
        mask_columns(columns, {"c.nam": "drop"})


@pytest.mark.parametrize("given", ["taxId", ["taxId"], {5: "drop"}, {"taxId": None}, {"taxId": "SHA256"}, 0])
def test_what_is_no_mask_is_refused(given):
    with pytest.raises(IntacctArgumentError, match="mask"):
        parse_masks(given)


def test_a_changed_mask_is_a_difference_of_columns():
    plain, hashed = (Column("t", "t", "string"),), (Column("t", "t", "string", mask="sha256"),)
    assert str(compare(plain, hashed)) == "t was string and is string hashed by sha256"
    assert (find_changes(plain, hashed), find_changes(hashed, hashed), find_changes(None, hashed)) == (
        ["t"],
        [],
        [],
    )
    assert find_changes((), hashed) == []
