"""How the files of an export are written."""

from __future__ import annotations

from typing import Any

import msgspec

from intacct_provider.client.arguments import check_choice
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.compression import COMPRESSIONS, require_pyarrow

FORMATS = ("jsonl", "csv", "parquet")


class FileOptions(msgspec.Struct, frozen=True):
    """Format, compression and size of files.

    :param file_format: one of :data:`FORMATS`.
    :param compression: ``gzip``, ``zstd`` or None; Parquet compresses its columns, by zstd unless given otherwise.
    :param csv_safe: whether CSV files have no cell that a spreadsheet would treat as a formula.
    :param rows_per_part: rows after which a part ends.
    :param bytes_per_part: a part ends with the row, in a Parquet file with the row group, that makes it so big; before
        compression, but after it in a Parquet file.
    """

    file_format: str = "jsonl"
    compression: str | None = None
    csv_safe: bool = False
    rows_per_part: int | None = None
    bytes_per_part: int | None = None

    def check(self) -> None:
        """Reject options that do not exist, do not go together, or need a package that is not installed.

        :raises IntacctArgumentError: in these cases.
        """
        check_choice("file_format", self.file_format, FORMATS)
        if self.compression is not None:
            uncompressed = ("none",) if self.file_format == "parquet" else ()
            check_choice("compression", self.compression, (*COMPRESSIONS, *uncompressed))
        if self.csv_safe not in (True, False) or (self.csv_safe and self.file_format != "csv"):
            raise IntacctArgumentError(
                f"csv_safe must be True or False, and True only with file_format 'csv', not {self.csv_safe!r} with "
                f"{self.file_format!r}."
            )
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


def _check_size(name: str, value: Any) -> None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return
    raise IntacctArgumentError(
        f"{name} must be a whole number above zero, not {value!r}; leave it out for one file."
    )
