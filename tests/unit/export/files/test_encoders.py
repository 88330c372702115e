"""Bytes of each format: JSONL as Intacct sent it, CSV by RFC 4180, Parquet with types, compressed or not."""

import csv
import datetime as dt
import gzip
import io
import json
import re
import subprocess
import sys
import zlib
from decimal import Decimal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_pages import COLUMNS, page_of, pages_of, row
from hypothesis import example, given
from hypothesis import strategies as st

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.files.encoders import encoder_factory
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parquet import build_schema, rows_per_group
from intacct_provider.export.schema.columns import REST, Column

ROWS = [row(number) for number in range(1, 101)]
TEXT = (Column("key", "key", "string"), Column("name", "name", "string"))
WHOLE = (
    Column("key", "key", "string"),
    Column("term", "term", "struct", members=(Column("id", "id", "string"),)),
    Column("tags", "tags", "list", members=(Column("item", "item", "string"),)),
    Column(REST, REST, "json"),
)


def encoded(pages, columns=COLUMNS, file_format="jsonl", **options):
    """Return the bytes of a file."""
    written = []
    encoder = encoder_factory(columns, FileOptions(file_format, **options))(written.append)
    for page in pages:
        while len(page):
            page = page.part(encoder.write(page.keys, page.rows, None))
    encoder.close()
    return b"".join(written)


def texts(*names):
    """Return a page of rows with these names."""
    return page_of([{"key": str(n), "name": name} for n, name in enumerate(names, 1)], TEXT)


def whole(*records):
    """Return a page of whole records."""
    return Page(list(records), keys=[record["key"] for record in records])


def cells(content):
    """Return the lines of a CSV file as Python's csv reads them."""
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


# -- JSONL


def test_jsonl_has_a_line_for_each_row_with_columns_in_order():
    lines = encoded(pages_of(ROWS, [50])).splitlines()
    assert [json.loads(line) for line in lines] == [
        {column.name: each[column.field] for column in COLUMNS} for each in ROWS
    ]
    assert list(json.loads(lines[0])) == [column.name for column in COLUMNS]


def test_jsonl_keeps_every_digit_and_whatever_type():
    page = page_of([{"key": "1", "name": 0}, {"key": "2", "name": 0}], TEXT)
    page.rows[0].f1, page.rows[1].f1 = Decimal("12345678901234567890.10"), [True, {"a": None}]
    first, second = encoded([page], TEXT).splitlines()
    assert first == b'{"key":"1","name":12345678901234567890.10}'
    assert second == b'{"key":"2","name":[true,{"a":null}]}'


def test_jsonl_of_rows_with_other_fields_has_the_columns_only():
    page = page_of(ROWS[:2])
    columns = (Column("due", "totalDue", "decimal", 2), Column("key", "key", "string"))
    assert encoded([page], columns) == b'{"due":"1.50","key":"1"}\n{"due":"2.50","key":"2"}\n'


def test_jsonl_of_whole_records_is_what_intacct_sent():
    record = {"surprise": [1], "key": "1", "term": {"id": "N30", "more": Decimal("1.10")}, "tags": None}
    assert encoded([whole(record)], WHOLE) == (
        b'{"surprise":[1],"key":"1","term":{"id":"N30","more":1.10},"tags":null}\n'
    )


def test_jsonl_of_members_asked_for_has_only_those():
    record = {"key": "1", "term": {"id": "N30"}, "tags": ["a"]}
    columns = (Column("labels", "tags", "list", members=WHOLE[2].members), WHOLE[0])
    assert encoded([whole(record)], columns) == b'{"labels":["a"],"key":"1"}\n'


# -- CSV


def test_csv_is_read_back_by_python():
    assert cells(encoded(pages_of(ROWS, [50]), file_format="csv")) == [
        [column.name for column in COLUMNS],
        *([as_cell(each[column.field]) for column in COLUMNS] for each in ROWS),
    ]


def as_cell(value):
    return {None: "", True: "true", False: "false"}.get(value, str(value))


def test_csv_ends_lines_and_quotes_as_rfc_4180_has_it():
    content = encoded(
        [texts("plain", "a,b", 'say "hi"', "two\nlines", "two\rlines", " spaced ", "", None)], TEXT, "csv"
    )
    assert content == (
        b"key,name\r\n1,plain\r\n"
        b'2,"a,b"\r\n3,"say ""hi"""\r\n4,"two\nlines"\r\n5,"two\rlines"\r\n6, spaced \r\n7,\r\n8,\r\n'
    )


def test_csv_of_one_column_has_no_line_with_nothing_on_it():
    content = encoded([texts("a", None, "b")], TEXT[1:], "csv")
    assert content == b'name\r\na\r\n""\r\nb\r\n'


def test_csv_has_amounts_in_full_and_lists_as_json():
    page = page_of([{"key": str(n), "name": None} for n in range(4)], TEXT)
    for each, value in zip(
        page.rows, [Decimal("1E+3"), Decimal("1E-7"), {"a": [Decimal("1.10")]}, True], strict=True
    ):
        each.f1 = value
    assert [line[1] for line in cells(encoded([page], TEXT, "csv"))[1:]] == [
        "1000",
        "0.0000001",
        '{"a":[1.10]}',
        "true",
    ]


def test_csv_of_whole_records_has_json_and_the_rest():
    record = {"key": "1", "term": {"id": "N30", "more": 1}, "tags": ["a"], "surprise": [1]}
    plain = {"key": "2", "term": None, "tags": []}
    assert cells(encoded([whole(record, plain)], WHOLE, "csv")) == [
        ["key", "term", "tags", REST],
        ["1", '{"id":"N30","more":1}', '["a"]', '{"surprise":[1]}'],
        ["2", "", "[]", ""],
    ]


DANGEROUS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20A",
    "-", "+", "+.", "-1.2.3",
    "-1-", "+49 30 1234", "-1e5", "\u22121", "=", "@",
]  # fmt: skip
HARMLESS = ["-12.50", "+5", "-.5", "-0", "12", "a=1", "", "O'Brien", "'=1", "(5)", "3-4", "#N/A"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_csv_safe_takes_the_danger_from_formulas(text):
    page = texts("harmless", text)
    assert cells(encoded([page], TEXT, "csv", csv_safe=True))[2][1] == f"'{text}"
    assert cells(encoded([page], TEXT, "csv"))[2][1] == text


@pytest.mark.parametrize("text", HARMLESS)
def test_csv_safe_leaves_everything_else(text):
    assert cells(encoded([texts("=1", text)], TEXT, "csv", csv_safe=True))[2][1] == text


def test_csv_safe_looks_at_the_header_and_at_any_text():
    columns = (Column("=cmd()", "key", "string"), Column("due", "name", "decimal", 2))
    page = texts("-12.50", "=1", None)
    assert cells(encoded([page], columns, "csv", csv_safe=True)) == [
        ["'=cmd()", "due"],
        ["1", "-12.50"],
        ["2", "'=1"],
        ["3", ""],
    ]


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_csv_safe_leaves_no_cell_that_begins_like_a_formula(names):
    for line in cells(encoded([texts(*names)], TEXT, "csv", csv_safe=True)):
        cell = line[1]
        assert cell[:1] not in list("=@\t\r\n\uff1d\uff0b\uff0d\uff20") or cell == ""
        if cell[:1] in ("+", "-"):
            Decimal(cell)


@given(st.lists(st.none() | st.text(), min_size=1, max_size=5))
def test_csv_is_read_back_whatever_the_text(names):
    content = encoded([texts(*names)], TEXT, "csv")
    assert [line[1] for line in cells(content)[1:]] == [name or "" for name in names]


# -- Parquet


def test_parquet_has_the_types_of_the_columns():
    table = pq.read_table(io.BytesIO(encoded(pages_of(ROWS, [33]), file_format="parquet")))
    assert dict(zip(table.schema.names, map(str, table.schema.types), strict=True)) == {
        "key": "string",
        "id": "string",
        "name": "string",
        "totalDue": "decimal128(38, 2)",
        "active": "bool",
        "lines": "int64",
        "startDate": "date32[day]",
        "modified": "timestamp[us, tz=UTC]",
    }


def test_parquet_has_the_values_exactly():
    read = pq.read_table(io.BytesIO(encoded(pages_of(ROWS), file_format="parquet"))).to_pylist()
    assert read == [
        {
            **{name: each[name] for name in ("key", "id", "name", "active", "lines")},
            "totalDue": each["totalDue"] and Decimal(each["totalDue"]),
            "startDate": each["startDate"] and dt.date.fromisoformat(each["startDate"]),
            "modified": dt.datetime.fromisoformat(each["audit.modifiedDateTime"]),
        }
        for each in ROWS
    ]


def test_parquet_takes_numbers_that_come_as_json_numbers():
    columns = (Column("key", "key", "string"), Column("rate", "name", "decimal", 10))
    page = texts("1", "2", "3", None)
    for each, value in zip(page.rows, [Decimal("0.1"), 7, "1.25", None], strict=True):
        each.f1 = value
    table = pq.read_table(io.BytesIO(encoded([page], columns, "parquet")))
    assert table["rate"].to_pylist() == [Decimal("0.1"), Decimal(7), Decimal("1.25"), None]


def test_a_text_column_takes_any_value_as_text():
    page = texts("a", "b", "c", "d")
    for each, value in zip(page.rows, ["a", 7, True, {"a": [1]}], strict=True):
        each.f1 = value
    table = pq.read_table(io.BytesIO(encoded([page], TEXT, "parquet")))
    assert table["name"].to_pylist() == ["a", "7", "true", '{"a":[1]}']


@pytest.mark.parametrize(
    ("type", "value"),  # what Arrow itself would take
    [
        ("integer", "0x10"),
        ("integer", Decimal("1.5")),
        ("boolean", "1"),
        ("decimal", "1.005"),
        ("date", "2026-02-30"),
    ],
)
def test_parquet_refuses_what_does_not_fit(type, value):  # noqa: A002
    page = texts("1", None)
    page.rows[1].f1 = value
    with pytest.raises(IntacctColumnError, match=r"Column 'due' is .* record 2 has"):
        encoded([Page(page.rows[1:], keys=page.keys[1:])], (Column("due", "name", type, 2),), "parquet")


NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    st.text("0123456789", min_size=1, max_size=45) | st.sampled_from(["9" * 39, str(2**128)]),
    st.just("") | st.text("0123456789", min_size=1, max_size=12).map(".{}".format),
    st.just("") | st.integers(-60, 60).map("E{}".format),
)
DATES = st.dates().map(str) | st.sampled_from(["0000-01-01", "10000-01-01", "infinity", "2026-02-30"])
MOMENTS = st.builds(
    "{}T{}{}".format,
    st.dates().map(str) | st.sampled_from(["0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01"]),
    st.times().map(str) | st.sampled_from(["24:00:00", "23:59:60", "23:59:59.1234567"]),
    st.sampled_from(["Z", "+05:00", "-05:00", ""]),
)


def parquet_or_error(column, value):
    """Return what a Parquet file keeps of a value; None if it is refused, with column and key."""
    page = texts(None)
    page.rows[0].f1 = value
    try:
        written = encoded([page], (TEXT[0], column), "parquet")
    except IntacctColumnError as err:
        return None if re.match(r"Column 'c' is .*, and record 1 has ", str(err)) else err
    return pq.read_table(io.BytesIO(written))["c"].to_pylist()[0]


@given(NUMBERS, st.sampled_from([0, 2, 10, 38]), st.booleans())
@example("9" * 39, 0, False)
@example("56397E32", 14, True)
def test_parquet_keeps_a_number_exactly_or_refuses_it(text, scale, as_number):
    kept = parquet_or_error(Column("c", "name", "decimal", scale), Decimal(text) if as_number else text)
    assert kept is None or kept == Decimal(text)


@given(DATES)
def test_parquet_keeps_a_date_exactly_or_refuses_it(text):
    kept = parquet_or_error(Column("c", "name", "date"), text)
    assert kept is None or str(kept) == text


@given(MOMENTS)
def test_parquet_keeps_a_moment_exactly_or_refuses_it(text):
    kept = parquet_or_error(Column("c", "name", "timestamp"), text)
    assert kept is None or kept == dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("decimal", "9" * 39),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", Decimal("1E+999999999")),
        ("date", "10000-01-01"),
        ("date", "0000-01-01"),
        ("timestamp", "infinity"),
        ("timestamp", "9999-12-31T23:59:59-05:00"),
        ("string", "\ud800"),
    ],
)
def test_parquet_names_what_no_type_holds(kind, value):
    assert parquet_or_error(Column("c", "name", kind, 0), value) is None


def test_a_number_of_too_many_digits_is_text_with_an_exponent():
    page = texts(None)
    page.rows[0].f1 = Decimal("1E+999999999")
    assert cells(encoded([page], TEXT, "csv"))[1] == ["1", "1E+999999999"]


def test_parquet_of_whole_records_has_structs_lists_and_the_rest():
    record = {
        "key": "1",
        "term": {"id": "N30", "more": 1},
        "tags": ["a", None],
        "surprise": [Decimal("1.10")],
    }
    plain = {"key": "2", "term": None, "tags": None}
    empty = {"key": "3", "term": {"id": None}, "tags": []}
    read = pq.read_table(io.BytesIO(encoded([whole(record, plain, empty)], WHOLE, "parquet"))).to_pylist()
    rest = '{"term":{"more":1},"surprise":[1.10]}'
    assert read == [
        {"key": "1", "term": {"id": "N30"}, "tags": ["a", None], REST: rest},
        {"key": "2", "term": None, "tags": None, REST: None},
        {"key": "3", "term": {"id": None}, "tags": [], REST: None},
    ]


def test_parquet_refuses_to_lose_a_part_of_a_member_that_was_asked_for():
    record = {"key": "1", "term": {"id": "N30", "more": 1}, "surprise": 1}
    with pytest.raises(IntacctColumnError, match=r"Record 1 has members within 'term' .* Leave fields out"):
        encoded([whole(record)], WHOLE[:2], "parquet")


@pytest.mark.parametrize(
    ("compression", "codec"), [(None, "ZSTD"), ("zstd", "ZSTD"), ("gzip", "GZIP"), ("none", "UNCOMPRESSED")]
)
def test_parquet_compresses_its_columns_as_asked(compression, codec):
    file = pq.ParquetFile(io.BytesIO(encoded(pages_of(ROWS), file_format="parquet", compression=compression)))
    assert {file.metadata.row_group(0).column(n).compression for n in range(8)} == {codec}


def test_row_groups_have_the_same_rows_whatever_the_pages():
    columns = tuple(Column(f"c{n}", "key" if n else "name", "string") for n in range(1024))
    size = rows_per_group(columns)
    page = texts(*map(str, range(size * 2 + 5)))
    whole_page = encoded([page], columns, "parquet")
    in_pages = [page.part(start, start + 700) for start in range(0, len(page), 700)]
    file = pq.ParquetFile(io.BytesIO(whole_page)).metadata
    assert [file.row_group(n).num_rows for n in range(file.num_row_groups)] == [size, size, 5]
    assert encoded(in_pages, columns, "parquet") == whole_page


def test_a_row_group_is_written_as_soon_as_it_is_full():
    columns = tuple(Column(f"c{n}", "name", "string") for n in range(1024))
    written = []
    encoder = encoder_factory(columns, FileOptions("parquet"))(written.append)
    page = texts(*map(str, range(1500)))
    assert encoder.write(page.keys[:1000], page.rows[:1000], None) == 1000
    before = encoder.size
    assert encoder.write(page.keys, page.rows, None) == 24
    assert encoder.size > before + 1024
    assert encoder.size == sum(map(len, written))


def test_row_groups_have_fewer_rows_the_more_columns_there_are():
    def columns(count):
        return tuple(Column(str(n), str(n), "string") for n in range(count))

    assert [rows_per_group(columns(count)) for count in (1, 16, 128, 5000)] == [16384, 16384, 8192, 1024]
    assert rows_per_group((Column("s", "s", "struct", members=columns(128)),)) == 8192


def test_a_file_without_rows_has_its_columns():
    assert pq.read_table(io.BytesIO(encoded([], file_format="parquet"))).schema.equals(build_schema(COLUMNS))
    assert encoded([], file_format="csv") == b"key,id,name,totalDue,active,lines,startDate,modified\r\n"
    assert encoded([]) == b""


# -- Compression


def many(rows=3000):
    return page_of([row(number) for number in range(1, rows)])


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_gzip_holds_the_plain_file_and_no_time(file_format):
    squeezed = encoded([many()], file_format=file_format, compression="gzip")
    assert gzip.decompress(squeezed) == encoded([many()], file_format=file_format)
    assert squeezed[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00" + squeezed[8:10]
    assert len(zlib.decompressobj(31).decompress(squeezed)) > len(squeezed)


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_zstd_holds_the_plain_file_in_one_frame(file_format):
    squeezed = encoded([many()], file_format=file_format, compression="zstd")
    plain = encoded([many()], file_format=file_format)
    assert pa.CompressedInputStream(pa.BufferReader(squeezed), "zstd").read() == plain
    assert squeezed.count(b"\x28\xb5\x2f\xfd") == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_compressed_bytes_do_not_depend_on_pages(file_format, compression):
    page = many()
    in_pages = [page.part(start, start + 411) for start in range(0, len(page), 411)]
    options = {"file_format": file_format, "compression": compression}
    assert encoded(in_pages, **options) == encoded([page], **options)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_nothing_compressed_is_a_whole_file_too(compression):
    squeezed = encoded([], compression=compression)
    assert squeezed
    if compression == "gzip":
        assert gzip.decompress(squeezed) == b""
    else:
        assert pa.CompressedInputStream(pa.BufferReader(squeezed), "zstd").read() == b""


# -- Choices


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file_format": "parket"}, "must be one of jsonl, csv, parquet, not 'parket'. Did you mean 'parquet'?"),
        ({"file_format": None}, "file_format must be one of jsonl, csv, parquet, not None."),
        ({"compression": "gz"}, "compression must be one of gzip, zstd, not 'gz'."),
        ({"compression": "none"}, "compression must be one of gzip, zstd, not 'none'."),
        ({"compression": ["gzip"]}, r"compression must be one of gzip, zstd, not \['gzip'\]."),
        ({"file_format": "parquet", "compression": "zst"}, "one of gzip, zstd, none, not 'zst'. Did you mean 'zstd'?"),
        ({"csv_safe": True}, "and True only with file_format 'csv', not True with 'jsonl'"),
        ({"file_format": "csv", "csv_safe": "no"}, "csv_safe must be True or False, .* not 'no'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_there_is_not_is_refused_with_what_there_is(options, message):
    with pytest.raises(IntacctArgumentError, match=message):
        FileOptions(**options).check()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["'parquet'", "'jsonl', 'zstd'"])
def test_without_pyarrow_the_extra_that_brings_it_is_named(arguments):
    program = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'pyarrow' else find(name, *more)\n"
        "from intacct_provider.export.files.options import FileOptions\n"
        "FileOptions('csv', 'gzip').check()\n"
        "assert 'pyarrow' not in sys.modules\n"
        f"FileOptions({arguments}).check()\n"
    )
    failed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (
        "needs pyarrow, which is not installed: pip install 'airflow-provider-intacct[parquet]'."
        in failed.stderr
    )


def test_jsonl_costs_no_more_than_encoding():
    """Rows whose fields are the columns go to the encoder as they are."""
    page = many()
    columns = tuple(Column(column.field, column.field, column.type, column.scale) for column in COLUMNS)
    assert encoded([page], columns) == msgspec.json.Encoder(decimal_format="number").encode_lines(page.rows)
