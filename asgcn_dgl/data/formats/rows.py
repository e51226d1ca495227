"""Tidy rows, a joint of a body in a frame each, in CSV or Parquet, read with pandas.

Columns: ``frame``, ``joint`` (name, or index from 0), ``x``, ``y``, and possibly ``clip``, ``z``,
``body`` and ``score``. A file holds one clip or many, and is read into memory as a whole; without
``clip`` it holds one, of its own name.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asgcn_dgl.data.clip import seen_joints
from asgcn_dgl.data.files import check_memory, check_size, plain_name
from asgcn_dgl.data.formats.layout_file import LAYOUT_FILES
from asgcn_dgl.data.formats.spreadsheet import Dialect, dialect_of, first_row, to_numbers
from asgcn_dgl.data.formats.table import is_count
from asgcn_dgl.errors import InputError, did_you_mean
from asgcn_dgl.files import in_short
from asgcn_dgl.skeleton import SkeletonLayout

if TYPE_CHECKING:
    import pandas

NEEDED = ("frame", "joint", "x", "y")
ALLOWED = (*NEEDED, "clip", "z", "body", "score")
NUMBERS = ("x", "y", "z", "score")

#: Columns that other programs call otherwise.
_ALIASES = {"confidence": "score", "likelihood": "score"}

#: A frame number, as a program may write it that takes all numbers for fractions.
_FRAME = r"(-?[0-9]{1,12})(?:[.,]0*)?"

#: Bytes of a CSV file, or of a Parquet file unpacked.
MAX_FILE = 2**29

#: Rows that are converted at a time.
CHUNK = 200_000


def is_table(path: Path) -> bool:
    """Tell whether the first line of a CSV file has most of the required columns."""
    head = {_column(cell) for cell in first_row(path)}
    return 2 * len(head & set(NEEDED)) > len(NEEDED)


def clips_of_table(path: Path) -> list[str]:
    """Return the names of the clips of a file, in order."""
    table, _ = _load(path)
    return [str(name) for name in table["clip"].unique()]


def read_table(
    path: Path, clip: str, layout: SkeletonLayout
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read positions (M, T, V, d), mask and scores (M, T, V) of a clip; T covers its frame numbers.

    What no row gives, or of which a coordinate is empty, is masked, and without scores also what
    :func:`~asgcn_dgl.data.clip.seen_joints` takes for missing. Scores are None then, and 0 where
    empty. InputError for an unknown joint, two rows of one joint, or too many frames.
    """
    table, what = _load(path)
    rows = table[table["clip"] == clip]

    def place(row: int) -> str:
        return f"{path}, {what} {rows.index[row]}"

    names = rows["joint"].astype(str)
    found = names.map(_numbers(layout))
    if found.isna().any():
        row = int(found.isna().to_numpy().argmax())
        raise InputError(
            f"{place(row)}: {names.iloc[row][:40]!r} is no joint of layout {layout.name!r}"
            f"{did_you_mean(names.iloc[row], layout.joints)}; correct the name or the layout"
        )
    joint = found.to_numpy(dtype=np.int64)
    texts = rows["body" if "body" in rows else "clip"].astype(str)
    bodies = list(dict.fromkeys(texts))
    if all(map(is_count, bodies)):
        bodies.sort(key=int)
    body = texts.map({text: number for number, text in enumerate(bodies)}).to_numpy(dtype=np.int64)
    values = rows[[name for name in ("x", "y", "z") if name in rows]].to_numpy(dtype=np.float64)
    frame = rows["frame"].to_numpy(dtype=np.int64)
    first = int(frame.min())
    shape = (len(bodies), int(frame.max()) - first + 1, layout.num_joints)
    size = shape[0] * shape[1] * shape[2]
    check_memory(path, 4 * (values.shape[1] + 2) * size, f"{shape[1]} frames from {first} on")
    number = (body * shape[1] + frame - first) * shape[2] + joint
    order = np.argsort(number, kind="stable")
    twice = np.flatnonzero(np.diff(number[order]) == 0)
    if len(twice):
        row = int(order[twice + 1].min())
        raise InputError(
            f"{place(row)}: joint {layout.joints[joint[row]]!r} of frame {frame[row]} is "
            "repeated; remove one, or distinguish bodies by a column 'body', clips by 'clip'"
        )
    pos = np.full((size, values.shape[1]), np.nan)
    pos[number] = values
    pos = pos.reshape(*shape, -1)
    mask = np.asarray(~np.isnan(pos).any(axis=-1))
    pos[~mask] = 0
    if "score" not in rows:
        return pos, mask & seen_joints(pos, layout), None
    score = np.zeros(size)
    score[number] = np.nan_to_num(rows["score"].to_numpy(dtype=np.float64))
    return pos, mask, score.reshape(shape)


def layout_of_table(path: Path, clip: str, layouts: Sequence[SkeletonLayout]) -> SkeletonLayout:
    """Return the smallest of several layouts that has all joints of a clip."""
    table, _ = _load(path)
    names = table["joint"][table["clip"] == clip].astype(str).unique()
    fit = [each for each in layouts if set(names) <= _numbers(each).keys()]
    if not fit:
        raise InputError(
            f"{path}: no {LAYOUT_FILES[0]} is beside it, and no supplied layout has its joints "
            f"({', '.join(names[:3])}, ...); put one there, or name one by --options.layout FILE"
        )
    return min(fit, key=lambda each: each.num_joints)


def _numbers(layout: SkeletonLayout) -> dict[str, int]:
    """Number of each joint by what a cell calls it: its name, or its number."""
    known = {str(number): number for number in range(layout.num_joints)}
    return known | {name: number for number, name in enumerate(layout.joints)}


# Files -------------------------------------------------------------------------------------------


def _load(path: Path) -> tuple[pandas.DataFrame, str]:
    """Return the rows of a file by line (CSV) or row (Parquet), and which of the two."""
    found = check_size(path, MAX_FILE)
    return _read(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _read(path: Path, size: int, written: int) -> tuple[pandas.DataFrame, str]:
    """Read a file, cached for the clips that follow."""
    try:
        import pandas
    except ImportError as error:
        raise InputError(
            f"{path}: tables of rows need the extra 'tables' (pip install 'asgcn_dgl[tables]'); "
            "or write each clip as an .npz file"
        ) from error
    packed = path.suffix.lower() == ".parquet"
    dialect = Dialect("", ",", 0) if packed else dialect_of(path)
    what, chunks = ("row", _parquet(path)) if packed else ("line", _csv(path, dialect))
    try:
        with warnings.catch_warnings(), closing(chunks):
            warnings.simplefilter("error")  # pandas warns of rows that it would cut
            parts = [_converted(path, what, chunk, dialect) for chunk in chunks]
    except InputError:
        raise
    except Exception as error:  # pandas lets through whatever a damaged file leads to
        raise InputError(f"{path}: not a usable table ({in_short(error)}); correct it") from error
    table = pandas.concat(parts) if parts else pandas.DataFrame()
    if not len(table):
        raise InputError(f"{path}: no row in it; remove the file from the data")
    for row, name in table["clip"].drop_duplicates().items():
        plain_name(name, f"{path}, {what} {row}")
    return table, what


def _csv(path: Path, dialect: Dialect) -> Generator[pandas.DataFrame]:
    import pandas

    columns = _columns(path, first_row(path, dialect))
    text = path.read_bytes().decode(dialect.encoding, "replace").rstrip("\r\n ")
    # Columns at the end may be left out, but then in more than the last row.
    before, last = ["", *text.rsplit("\n", 2)][-2:]
    cells, usual = (row.count(dialect.delimiter) + 1 for row in (last, before))
    if cells < min(usual, len(columns)) and '"' not in last:
        raise InputError(
            f"{path}, line {text.count(chr(10)) + 1}: the last row has {cells} of {len(columns)} "
            "cells; is the file cut off?"
        )
    with pandas.read_csv(
        path,
        dtype=str,
        encoding=dialect.encoding,
        encoding_errors="replace",
        sep=dialect.delimiter,
        skiprows=dialect.skip,
        na_filter=False,
        skip_blank_lines=False,
        index_col=False,
        chunksize=CHUNK,
    ) as chunks:
        for chunk in chunks:
            chunk.index += 2 + dialect.skip  # the first line is the head
            others = chunk.iloc[:, len(columns) :]
            full = (others.apply(lambda column: column.str.strip()) != "").any(axis=1)
            if full.any():
                raise InputError(
                    f"{path}, line {chunk.index[int(full.to_numpy().argmax())]}: a cell more than "
                    f"the {len(columns)} columns; give it a column's name"
                )
            chunk = chunk.iloc[:, : len(columns)]
            chunk.columns = columns
            yield chunk


def _parquet(path: Path) -> Generator[pandas.DataFrame]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs the extra 'parquet' (pip install 'asgcn_dgl[parquet]'); or "
            "write the rows as CSV"
        ) from error
    try:
        file = parquet.ParquetFile(path)
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        if size > MAX_FILE:
            raise ValueError(f"{size} bytes unpacked, of at most {MAX_FILE}")
        columns = _columns(path, file.schema_arrow.names)
        start = 1
        for batch in file.iter_batches(batch_size=CHUNK):
            chunk = batch.to_pandas().map(_text)
            chunk.columns = columns
            chunk.index += start
            start += len(chunk)
            yield chunk
    except InputError:
        raise
    except Exception as error:  # pyarrow lets through whatever a damaged file leads to
        raise InputError(
            f"{path}: not a usable Parquet file ({in_short(error)}); write it again"
        ) from error


def _text(value: Any) -> str:
    """Return a cell as a CSV file has it."""
    if value is None or value != value:
        return ""
    whole = isinstance(value, float) and value.is_integer()  # whole numbers beside empty cells
    return str(int(value) if whole else value)


def _column(name: str) -> str:
    """Return the name of a column in lower case; the usual one where it has several."""
    name = str(name).strip().lower()
    return _ALIASES.get(name, name)


def _columns(path: Path, head: Sequence[str]) -> list[str]:
    """Return the usual names of a file's columns, which must be known ones."""
    columns = [_column(name) for name in head]
    while columns and not columns[-1]:  # rows that end in empty cells
        columns.pop()
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name[:40] for name in columns if name not in ALLOWED]
    if missing or unknown or len(set(columns)) < len(columns):
        what = f"no column {missing[0]!r}" if missing else "a column twice"
        what = f"unknown column {unknown[0]!r}" if unknown and not missing else what
        raise InputError(
            f"{path}: {what}; columns are {', '.join(NEEDED)}, and possibly "
            f"{', '.join(ALLOWED[len(NEEDED) :])}"
        )
    return columns


def _converted(path: Path, what: str, chunk: pandas.DataFrame, dialect: Dialect) -> Any:
    """Convert the numbers of text rows; blank rows are left out."""
    chunk = chunk.fillna("").apply(lambda column: column.astype(str).str.strip())
    chunk = chunk[(chunk != "").any(axis=1)].copy()
    frame = chunk["frame"].str.extract(f"^{_FRAME}$", expand=False)
    if frame.isna().any():
        raise _cell(path, what, chunk["frame"], frame.isna(), "a frame number")
    chunk["frame"] = frame.astype("int64")
    if "clip" not in chunk:
        chunk["clip"] = path.stem
    for name in NUMBERS:
        if name in chunk:
            values, wrong = to_numbers(chunk[name].to_numpy(dtype=object), dialect)
            if wrong.any():
                raise _cell(path, what, chunk[name], wrong, "a number")
            chunk[name] = values
    return chunk


def _cell(path: Path, what: str, column: pandas.Series, wrong: Any, wanted: str) -> InputError:
    row = int(np.asarray(wrong).argmax())
    return InputError(
        f"{path}, {what} {column.index[row]}: {column.iloc[row][:40]!r} where {wanted} should "
        "be; correct the row"
    )
