"""What is written follows the name of the file, and what contradicts it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.options import FileOptions

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
    ".pq": "parquet",
}  # fmt: skip
COMPRESSIONS = {"": None, ".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
stems = st.sampled_from(["customers", "finance.customers", "2026.11.30", ".hidden", "rows.gz", "x.csv"])
formats = st.sampled_from(["jsonl", "csv", "parquet"])
compressions = st.sampled_from([None, "gzip", "zstd"])


def options(name, file_format=None, compression=None, delimiter=None, **others):
    return FileOptions.for_file(
        name, file_format=file_format, compression=compression, delimiter=delimiter, **others
    )


@given(
    stems, st.sampled_from([*FORMATS]), st.sampled_from([*COMPRESSIONS]), formats, compressions, st.booleans()
)
def test_a_name_says_what_is_written_and_an_argument_that_says_otherwise_is_refused(
    stem, ending, compressed, file_format, compression, upper
):
    name = stem + (ending + compressed).upper() if upper else stem + ending + compressed
    named = FORMATS[ending], COMPRESSIONS[compressed]
    if named[0] == "parquet":
        if compressed:
            with pytest.raises(IntacctArgumentError, match="compressed inside"):
                options(name)
            return
        assert options(name, compression=compression).compression == compression
        named = "parquet", compression
    made = options(name)
    assert (made.file_format, made.compression or named[1]) == named
    if file_format != named[0]:
        with pytest.raises(
            IntacctArgumentError, match=f"is named like a file of {named[0]}, and file_format is"
        ):
            options(name, file_format)
    if named[0] != "parquet" and compression not in (None, named[1]):
        with pytest.raises(IntacctArgumentError, match=f"and compression is '{compression}'"):
            options(name, compression=compression)


@given(st.sampled_from(["customers", "customers.txt", "v1.5", "2026.11.30"]), formats, compressions)
def test_a_name_that_says_nothing_leaves_it_to_the_arguments(name, file_format, compression):
    made = options(name, file_format, compression)
    assert (made.file_format, made.compression) == (file_format, compression)
    assert options(name) == FileOptions("jsonl")


def test_a_compressed_name_without_a_format():
    assert options("customers.gz") == FileOptions("jsonl", "gzip")
    assert options("customers.zst", "csv") == FileOptions("csv", "zstd")
    with pytest.raises(IntacctArgumentError, match="compressed inside"):
        options("customers.gz", "parquet")


@pytest.mark.parametrize(
    "name", ["customers.xlsx", "customers.tar.gz", "customers.csv.bz2", "customers.avro", "x.ZIP"]
)
def test_kinds_of_files_that_no_export_writes_are_refused(name):
    with pytest.raises(IntacctArgumentError, match=r"no export writes.*\.csv with bom=True"):
        options(name, "csv")


def test_tabs_are_what_tsv_says():
    assert options("customers.tsv").delimiter == "\t"
    assert options("customers.csv").delimiter == ","
    with pytest.raises(IntacctArgumentError, match="tabs between them, and delimiter is ';'"):
        options("customers.tsv", delimiter=";")


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("x.csv", {"delimiter": ";;"}, "delimiter must be one of ',', ';'"),
        ("x.csv", {"delimiter": "a"}, "delimiter must be one of"),
        ("x.csv", {"delimiter": '"'}, "delimiter must be one of"),
        ("x.csv", {"delimiter": 5}, "delimiter must be one of"),
        ("x.jsonl", {"delimiter": ";"}, "delimiter needs file_format 'csv'"),
        ("x.parquet", {"bom": True}, "bom must be True or False, and True only with file_format 'csv'"),
        ("x.csv", {"bom": "yes"}, "bom must be True or False"),
    ],
)  # fmt: skip
def test_options_of_csv_that_do_not_fit(name, arguments, text):
    with pytest.raises(IntacctArgumentError, match=text):
        options(name, **arguments)


@pytest.mark.parametrize("name", [".csv", ".gz", ".CSV.GZ", ".jsonl", ".parquet", ".txt"])
@pytest.mark.parametrize("file_format", [None, "csv"])
def test_a_name_that_is_an_ending_only_is_refused(name, file_format):
    with pytest.raises(IntacctArgumentError, match="by its ending only"):
        options(name, file_format)


@pytest.mark.parametrize(
    "name", ["a.csv.bak", "a.csv.enc", "a.csv.2026", "a.tsv.old.gz", "a.parquet.txt", "A.CSV.B"]
)
def test_a_format_that_is_not_at_the_end_of_the_name_is_refused_unless_it_is_given(name):
    with pytest.raises(IntacctArgumentError, match="does not end in it"):
        options(name)
    assert options(name, "csv").file_format == "csv"


@pytest.mark.parametrize("name", ["a.2026", "a.jsonl.2026", ".hidden", ".hidden.csv", "a.csv-export.jsonl"])
def test_other_names_are_fine(name):
    options(name)
