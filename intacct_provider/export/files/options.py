"""How the files of an export are written."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from intacct_provider.client.arguments import check_choice
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.compression import COMPRESSIONS, require_pyarrow
from intacct_provider.export.files.file_names import read_name

FORMATS = ("jsonl", "csv", "parquet")
#: Characters between the cells of CSV files; none of them is part of a number, or of a word.
DELIMITERS = ",;\t|^~"


class FileOptions(msgspec.Struct, frozen=True):
    """Format, compression and size of files.

    :param file_format: one of :data:`FORMATS`.
    :param compression: ``gzip``, ``zstd`` or None; Parquet compresses its columns, by zstd unless given otherwise.
    :param csv_safe: whether CSV files have no cell that a spreadsheet would treat as a formula.
    :param rows_per_part: rows after which a part ends.
    :param bytes_per_part: a part ends with the row, in a Parquet file with the row group, that makes it so big; before
        compression, but after it in a Parquet file.
    :param delimiter: between the cells of CSV files.
    :param bom: whether CSV files begin with a byte order mark, by which Excel sees that they are UTF-8.
    """

    file_format: str = "jsonl"
    compression: str | None = None
    csv_safe: bool = False
    rows_per_part: int | None = None
    bytes_per_part: int | None = None
    delimiter: str = ","
    bom: bool = False

    @classmethod
    def for_file(
        cls,
        name: str,
        *,
        file_format: str | None,
        compression: str | None,
        delimiter: str | None,
        **others: Any,
    ) -> Self:
        """Return the options of files with a name, which says what is not given.

        :param name: of the destination.
        :param others: further options.
        :raises IntacctArgumentError: if the name says one thing and an argument another, and for options that
            :meth:`check` rejects.
        """
        named = read_name(name)
        if file_format is None:
            named.check_clear()
        kind = file_format or named.file_format or "jsonl"
        delimiter = delimiter or (named.delimiter if kind == "csv" else None) or ","
        options = cls(kind, compression or named.compression, delimiter=delimiter, **others)
        options.check()
        named.check(options.file_format, options.compression, options.delimiter)
        return options

    def check(self) -> None:
        """Reject options that do not exist, do not go together, or need a package that is not installed.

        :raises IntacctArgumentError: in these cases.
        """
        check_choice("file_format", self.file_format, FORMATS)
        if self.compression is not None:
            uncompressed = ("none",) if self.file_format == "parquet" else ()
            check_choice("compression", self.compression, (*COMPRESSIONS, *uncompressed))
        for argument, flag in (("csv_safe", self.csv_safe), ("bom", self.bom)):
            if flag not in (True, False) or (flag and self.file_format != "csv"):
                raise IntacctArgumentError(
                    f"{argument} must be True or False, and True only with file_format 'csv', not {flag!r} with "
                    f"{self.file_format!r}."
                )
        _check_delimiter(self.delimiter, self.file_format)
        if self.file_format == "parquet":
            require_pyarrow("file_format 'parquet'")
        elif self.compression == "zstd":
            require_pyarrow("compression 'zstd'")
        _check_size("rows_per_part", self.rows_per_part)
        _check_size("bytes_per_part", self.bytes_per_part)

    @property
    def in_parts(self) -> bool:
        """Whether there may be several files."""
        return bool(self.rows_per_part or self.bytes_per_part)

    @property
    def needs_pyarrow(self) -> bool:
        """Whether writing them takes pyarrow."""
        return self.file_format == "parquet" or self.compression == "zstd"


def _check_delimiter(delimiter: Any, file_format: str) -> None:
    if file_format != "csv" and delimiter != ",":
        raise IntacctArgumentError(
            f"delimiter needs file_format 'csv', which is {file_format!r}. Leave delimiter out."
        )
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter not in DELIMITERS:
        raise IntacctArgumentError(
            f"delimiter must be one of {', '.join(map(repr, DELIMITERS))}, not {delimiter!r}."
        )


def _check_size(name: str, value: Any) -> None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return
    raise IntacctArgumentError(
        f"{name} must be a whole number above zero, not {value!r}; leave it out for one file."
    )
