"""Dialects of text tables: encoding, delimiter, empty cells.

Spreadsheet programs write ``a;b`` with decimal commas where the language has them, a first line
``sep=;``, a byte-order mark, UTF-16 as "Unicode text", and rows that end in empty cells.
"""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asgcn_dgl.data.files import decoded, first_bytes, read_bytes
from asgcn_dgl.errors import InputError

#: Cells, in lower letters, that hold no number.
EMPTY = ("", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "none", "null")

#: What separates cells, the usual one first.
_DELIMITERS = (",", ";", "\t", "|")

#: What spreadsheet programs write that is not Unicode.
_OTHER = "cp1252"

#: Bytes by which the dialect is recognized.
_LOOKED_AT = 2**16


class Dialect(NamedTuple):
    """How a table is written; ``skip`` is 1 where its first line is ``sep=;``."""

    encoding: str
    delimiter: str
    skip: int

    @property
    def decimal(self) -> str:
        """The decimal separator, beside a point."""
        return "." if self.delimiter == "," else ","


def dialect_of(path: Path) -> Dialect:
    """Find how a table is written: the encoding by all of it, the rest by its start."""
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
        encoding = "utf-8-sig"
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        else:
            file.seek(0)
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                for block in iter(lambda: file.read(2**20), b""):
                    decoder.decode(block)
            except UnicodeDecodeError:
                encoding = _OTHER
    lines = start.decode(encoding, "replace").lstrip().splitlines() or [""]
    first = lines[0].strip().strip('"')
    if first.lower().startswith("sep=") and len(first) == 5:
        return Dialect(encoding, first[4], 1)
    outside = "".join(lines[0].split('"')[::2])  # what quotes hold separates nothing
    return Dialect(encoding, max(_DELIMITERS, key=outside.count), 0)


def read_cells(path: Path) -> tuple[list[tuple[int, list[str]]], Dialect]:
    """Read a table: each row with its line, without blank rows and empty columns at the end."""
    dialect = dialect_of(path)
    text = decoded(path, read_bytes(path), _OTHER)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any("\n" in cell or "\r" in cell for cell in cells):
                raise csv.Error("a field holds a line break; take it out")
            if reader.line_num > dialect.skip and any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not a CSV table ({error})") from error
    if not rows:
        raise InputError(f"{path}: no row in it; remove the file from the data")
    width = max(number for _, row in rows for number, cell in enumerate(row, start=1) if cell)
    return [(line, row[:width]) for line, row in rows], dialect


def first_row(path: Path, dialect: Dialect | None = None) -> list[str]:
    """Read the head of a table, by which its format is recognized."""
    dialect = dialect or dialect_of(path)
    lines = first_bytes(path).decode(dialect.encoding, "replace").splitlines()
    return [
        cell.strip()
        for row in csv.reader(lines[dialect.skip : dialect.skip + 1], delimiter=dialect.delimiter)
        for cell in row
    ]


def to_numbers(texts: np.ndarray, dialect: Dialect) -> tuple[np.ndarray, np.ndarray]:
    """Return cells (any shape) as float64, NaN where empty, and where they are something else."""
    cells = (str(text).strip().replace(dialect.decimal, ".") for text in texts.ravel())
    plain = np.array(list(cells), dtype=object)
    empty = np.array([text.lower() in EMPTY for text in plain], dtype=bool)
    wrong = np.array(["_" in text for text in plain], dtype=bool)  # Python's own 1_000
    try:
        values = np.where(empty | wrong, "nan", plain).astype(np.float64)
    except ValueError:
        values = np.array([_number(text) for text in np.where(empty | wrong, "nan", plain)])
    wrong |= ~empty & ~np.isfinite(values)
    return values.reshape(texts.shape), wrong.reshape(texts.shape)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
