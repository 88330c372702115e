"""What the name of a file says about what is in it: ``customers.csv.gz`` is CSV, compressed by gzip."""

from __future__ import annotations

from dataclasses import dataclass

from intacct_provider.exceptions import IntacctArgumentError

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
    ".pq": "parquet",
}  # fmt: skip
COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
#: Endings that belong to the kind of a file and stay last in the names of its parts.
ENDINGS = frozenset({*FORMATS, *COMPRESSIONS, ".txt"})
#: Kinds of files that no export writes.
_OTHERS = frozenset({
    ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".xml", ".html", ".htm", ".pdf", ".avro", ".orc", ".arrow", ".feather",
    ".sql", ".db", ".sqlite", ".duckdb", ".zip", ".bz2", ".xz", ".lzma", ".7z", ".tar", ".tgz", ".lz4", ".br",
})  # fmt: skip
_ADVICE = {"gzip": ".gz", "zstd": ".zst"}


@dataclass(frozen=True, slots=True)
class NamedKind:
    """What a file's name says.

    :param file_format: None if it does not say.
    :param compression: None if it says none.
    :param delimiter: of a ``.tsv`` file; None for the usual one.
    :param inner: an ending of a format before one that says nothing, such as ``.csv`` in ``customers.csv.bak``.
    """

    name: str
    file_format: str | None = None
    compression: str | None = None
    delimiter: str | None = None
    inner: str | None = None

    def check_clear(self) -> None:
        """Reject a name that says another format than the usual one, but not at its end.

        :raises IntacctArgumentError: naming both ways out.
        """
        if self.inner and FORMATS[self.inner] != "jsonl":
            raise IntacctArgumentError(
                f"destination {self.name!r} has {self.inner!r} in its name and does not end in it. Let it end in "
                f"{self.inner!r}, or give file_format={FORMATS[self.inner]!r}."
            )

    def check(self, file_format: str, compression: str | None, delimiter: str) -> None:
        """Reject what contradicts the name: its readers go by it.

        :raises IntacctArgumentError: naming both ways out.
        """
        if self.file_format not in (None, file_format):
            raise self._contradict(
                "file_format", file_format, self.file_format, f"name it like {file_format}"
            )
        if file_format == "parquet":
            if self.compression:
                raise IntacctArgumentError(
                    f"destination {self.name!r} is named like a compressed file, which Parquet readers cannot open: "
                    f"Parquet is compressed inside. Name it .parquet, with compression={self.compression!r} if need be."
                )
        elif compression != self.compression and (self.compression or self.file_format):
            advice = f"let it end in {_ADVICE[compression or 'gzip']!r}"
            raise self._contradict("compression", compression, self.compression or "no compression", advice)
        if self.delimiter not in (None, delimiter):
            raise self._contradict("delimiter", delimiter, "cells with tabs between them", "name it .csv")

    def _contradict(
        self, argument: str, value: str | None, says: str | None, advice: str
    ) -> IntacctArgumentError:
        return IntacctArgumentError(
            f"destination {self.name!r} is named like a file of {says}, and {argument} is {value!r}. Leave "
            f"{argument} out, or {advice}."
        )


def read_name(name: str) -> NamedKind:
    """Return what a file's name says.

    :raises IntacctArgumentError: for a kind of file that no export writes.
    """
    if name.startswith(".") and all(f".{one}" in ENDINGS for one in name[1:].lower().split(".")):
        raise IntacctArgumentError(
            f"destination {name!r} names a file by its ending only. Look for what its template renders."
        )
    stem, ending = _split_last(name)
    compression = COMPRESSIONS.get(ending)
    if compression:
        stem, ending = _split_last(stem)
    if ending in _OTHERS:
        raise IntacctArgumentError(
            f"destination {name!r} ends in {ending!r}, which no export writes. Name it .jsonl, .csv or .parquet, with "
            ".gz or .zst added for a compressed .jsonl or .csv; for Excel, .csv with bom=True."
        )
    others = (f".{one}" for one in reversed(name.lower().split(".")[1:]))
    inner = None if ending in FORMATS else next((one for one in others if one in FORMATS), None)
    return NamedKind(name, FORMATS.get(ending), compression, "\t" if ending == ".tsv" else None, inner)


def _split_last(name: str) -> tuple[str, str]:
    """Return a name without its last ending, and this in lower case; a name that begins with a dot has no ending."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:].lower()) if dot > 0 else (name, "")
