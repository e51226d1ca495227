"""Tidy rows, a joint of a body in a frame each, in CSV or Parquet.

Columns: ``clip``, ``frame``, ``joint`` (name, or index from 0), ``x``, ``y``, and possibly ``z``,
``body`` and ``score``. The rows of a clip stand together. A file is gone through once to find
where each clip stands; a clip is then read alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import plain_file
from asgcn_dgl.data.formats.files import check_memory, in_short, plain_name
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["Block", "Rows", "index_rows", "read_rows", "rows_to_clip"]

NEEDED = ("clip", "frame", "joint", "x", "y")
ALLOWED = (*NEEDED, "z", "body", "score")
MAX_LINE = 2**14

#: Bytes of text of one clip, or of a group of rows in a Parquet file.
MAX_BLOCK = 2**26


@dataclass(frozen=True)
class Block:
    """Where a clip stands in a file.

    Attributes
    ----------
    name
        Of the clip.
    start, stop
        Bytes of a CSV file, rows of a Parquet file.
    line
        Line (CSV) or row (Parquet, from 1) of its first row.
    """

    name: str
    start: int
    stop: int
    line: int


@dataclass(frozen=True)
class Rows:
    """The rows of a clip.

    Attributes
    ----------
    frame
        (N,) frame numbers.
    body, joint
        Text of each row.
    pos
        (N, d) coordinates.
    absent
        (N,) True where a row gives no coordinates.
    score
        (N,), or None.
    place
        Names the place of a row in messages.
    """

    frame: np.ndarray
    body: Sequence[str]
    joint: Sequence[str]
    pos: np.ndarray
    absent: np.ndarray
    score: np.ndarray | None
    place: Callable[[int], str]


def index_rows(path: Path) -> list[Block]:
    """Find the clips of a file.

    Raises
    ------
    InputError
        If it is no table of such rows, or the rows of a clip do not stand together.
    """
    plain_file(path)
    with _told(path):
        return (_index_parquet if path.suffix.lower() == ".parquet" else _index_csv)(path)


def read_rows(path: Path, block: Block) -> Rows:
    """Read the rows of a clip.

    Raises
    ------
    InputError
        If a row cannot be understood; the message names it.
    """
    plain_file(path)
    with _told(path):
        return (_read_parquet if path.suffix.lower() == ".parquet" else _read_csv)(path, block)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({in_short(error)}); check the path") from error


def rows_to_clip(rows: Rows, layout: SkeletonLayout, path: Path) -> tuple[np.ndarray, ...]:
    """Put rows in their places.

    Parameters
    ----------
    rows
        Of one clip.
    layout
        V joints.
    path
        File, for messages.

    Returns
    -------
    pos, mask, score
        (M, T, V, d), (M, T, V) and (M, T, V): T from the first to the last frame number; what no
        row tells is masked. Scores are 1 where there are none.

    Raises
    ------
    InputError
        If a joint is not one of the layout's, a row stands there twice, or the frame numbers lie
        too far apart.
    """
    known = {str(number): number for number in range(layout.num_joints)}
    known |= {name: number for number, name in enumerate(layout.joints)}
    joint = _numbered(rows, rows.joint, known, layout)
    bodies = dict.fromkeys(rows.body)
    if all(text.isascii() and text.isdigit() and len(text) < 10 for text in bodies):
        bodies = dict.fromkeys(sorted(bodies, key=int))
    number_of = {text: number for number, text in enumerate(bodies)}
    body = np.array([number_of[text] for text in rows.body])
    first = int(rows.frame.min())
    frames = int(rows.frame.max()) - first + 1
    dims = rows.pos.shape[1]
    shape = (len(bodies), frames, layout.num_joints)
    check_memory(
        path, 4 * (dims + 2) * int(np.prod(shape, dtype=object)), f"{frames} frames from {first} on"
    )
    place = ((body * frames) + (rows.frame - first)) * layout.num_joints + joint
    order = np.argsort(place, kind="stable")
    twice = np.flatnonzero(np.diff(place[order]) == 0)
    if len(twice):
        row = int(order[twice + 1].min())
        raise InputError(
            f"{rows.place(row)}: joint {rows.joint[row]!r} of frame {rows.frame[row]} stands there "
            "twice; take one out, or tell bodies apart by a column 'body'"
        )
    pos = np.zeros((int(np.prod(shape)), dims))
    mask = np.zeros(len(pos), dtype=bool)
    score = np.ones(len(pos))
    pos[place] = np.where(rows.absent[:, None], 0.0, rows.pos)
    mask[place] = ~rows.absent
    if rows.score is not None:
        score[place] = rows.score
    return pos.reshape(*shape, dims), mask.reshape(shape), score.reshape(shape)


def _numbered(
    rows: Rows, texts: Sequence[str], known: dict[str, int], layout: SkeletonLayout
) -> np.ndarray:
    try:
        return np.array([known[text] for text in texts])
    except KeyError:
        row = next(row for row, text in enumerate(texts) if text not in known)
        raise InputError(
            f"{rows.place(row)}: {texts[row][:40]!r} is no joint of layout {layout.name!r} "
            f"({', '.join(layout.joints[:5])}, ...); correct the name or the layout"
        ) from None


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name[:40] for name in columns if name not in ALLOWED]
    if missing or unknown or len(set(columns)) < len(columns):
        what = f"no column {missing[0]!r}" if missing else "a column twice"
        what = f"unknown column {unknown[0]!r}" if unknown and not missing else what
        raise InputError(
            f"{path}: {what}; columns are {', '.join(NEEDED)}, and possibly "
            f"{', '.join(ALLOWED[len(NEEDED) :])}"
        )


def _blocks(path: Path, clips: Iterable[tuple[str, int, int, int]]) -> list[Block]:
    """Join rows (clip, start, stop, line) of one clip."""
    found: dict[str, list[int]] = {}
    last: str | None = None
    for name, start, stop, line in clips:
        if name == last:
            found[name][1] = stop
            continue
        if name in found:
            raise InputError(
                f"{path}, line {line}: rows of clip {name[:40]!r} stand in line "
                f"{found[name][2]} too, with others between; sort the rows by clip"
            )
        plain_name(name, f"{path}, line {line}")
        found[name] = [start, stop, line]
        last = name
    if not found:
        raise InputError(f"{path}: no row in it; remove the file from the data")
    return [Block(name, *facts) for name, facts in found.items()]


# CSV ---------------------------------------------------------------------------------------------


def _index_csv(path: Path) -> list[Block]:
    return _blocks(path, _clips_of_csv(path))


def _clips_of_csv(path: Path) -> Iterable[tuple[str, int, int, int]]:
    with path.open("rb") as file:
        head = _head(path, file)
        place = head.index("clip")
        start, line = file.tell(), 1
        while data := file.readline(MAX_LINE):
            line += 1
            stop = start + len(data)
            (fields,) = _fields(path, [data], line)
            if fields:
                if len(fields) != len(head):
                    raise _counts(path, line, fields, head)
                yield fields[place].strip(), start, stop, line
            start = stop


def _head(path: Path, file: Any) -> list[str]:
    data = file.readline(MAX_LINE)
    (fields,) = _fields(path, [data.removeprefix(b"\xef\xbb\xbf")], 1)
    columns = [field.strip() for field in fields]
    _check_columns(path, columns)
    return columns


def _fields(path: Path, lines: list[bytes], first: int) -> list[list[str]]:
    """Fields of each line; none of a blank one."""
    found = []
    for line, data in enumerate(lines, start=first):
        if len(data) >= MAX_LINE:
            raise InputError(f"{path}, line {line}: longer than any row; the file is no CSV table")
        try:
            text = data.decode("utf-8").rstrip("\r\n")
            rows = list(csv.reader([text], strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}, line {line}: not a row of a CSV table ({error})") from error
        if len(rows) > 1:
            raise InputError(f"{path}, line {line}: not a row of a CSV table")
        found.append(rows[0] if rows and text.strip() else [])
    return found


def _counts(path: Path, line: int, fields: list[str], head: list[str]) -> InputError:
    return InputError(
        f"{path}, line {line}: {len(fields)} fields where the first line has {len(head)}; correct "
        "the row"
    )


def _read_csv(path: Path, block: Block) -> Rows:
    if block.stop - block.start > MAX_BLOCK:
        raise InputError(
            f"{path}, line {block.line}: clip {block.name!r} takes "
            f"{(block.stop - block.start) / 1e6:.0f} MB; part it"
        )
    with path.open("rb") as file:
        head = _head(path, file)
        file.seek(block.start)
        data = file.read(block.stop - block.start)
    lines = data.split(b"\n")
    fields = _fields(path, lines[: len(lines) - (not lines[-1])], block.line)
    number = [line for line, row in enumerate(fields, start=block.line) if row]
    table = [row for row in fields if row]
    for line, row in zip(number, table, strict=True):
        if len(row) != len(head):
            raise _counts(path, line, row, head)
    columns = {
        name: [text.strip() for text in column]
        for name, column in zip(head, zip(*table, strict=True), strict=True)
    }

    def place(row: int) -> str:
        return f"{path}, line {number[row]}"

    return _rows(columns, len(table), place)


def _rows(columns: Mapping[str, list[str]], count: int, place: Callable[[int], str]) -> Rows:
    """Turn columns of text into rows."""
    axes = [columns[name] for name in ("x", "y", "z") if name in columns]
    empty = np.array([[not text for text in axis] for axis in axes])  # (d, N)
    absent = np.asarray(empty.any(axis=0))
    frame = _wholes(columns["frame"], place)
    score = _floats(columns["score"], place) if "score" in columns else None
    half = absent & ~empty.all(axis=0)
    if half.any():
        where = place(int(half.argmax()))
        raise InputError(f"{where}: some coordinates are empty; give all of a joint or none")
    if score is not None and not np.isfinite(score[~absent]).all():
        where = place(int((~np.isfinite(score) & ~absent).argmax()))
        raise InputError(f"{where}: the score is not a finite number; correct it")
    return Rows(
        frame,
        columns.get("body", ["0"] * count),
        columns["joint"],
        np.stack([_floats(axis, place) for axis in axes], axis=1),
        absent,
        score,
        place,
    )


def _floats(texts: Sequence[str], place: Callable[[int], str]) -> np.ndarray:
    """Numbers; NaN where the text is empty."""
    try:
        return np.array([_number(text) if text else np.nan for text in texts])
    except ValueError:
        row = next(row for row, text in enumerate(texts) if text and not _is_float(text))
        raise InputError(
            f"{place(row)}: {texts[row][:40]!r} where a number should stand; correct the row"
        ) from None


def _number(text: str) -> float:
    if "_" in text:  # Python's own 1_000
        raise ValueError(text)
    return float(text)


def _is_float(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _wholes(texts: Sequence[str], place: Callable[[int], str]) -> np.ndarray:
    for row, text in enumerate(texts):
        if not (text.removeprefix("-").isdigit() and text.isascii() and len(text) < 13):
            raise InputError(
                f"{place(row)}: {text[:40]!r} where a frame number should stand; correct the row"
            )
    return np.array([int(text) for text in texts], dtype=np.int64)


# Parquet -----------------------------------------------------------------------------------------


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs the extra 'parquet' (pip install 'asgcn_dgl[parquet]'); or "
            "write the rows as CSV"
        ) from error
    try:
        file = parquet.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names)
        for number in range(file.metadata.num_row_groups):
            if file.metadata.row_group(number).total_byte_size > MAX_BLOCK:
                raise InputError(
                    f"{path}: a row group of more than {MAX_BLOCK} bytes; make it less"
                )
        return file
    except InputError:
        raise
    except Exception as error:  # pyarrow lets through whatever a damaged file leads to
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a usable Parquet file ({in_short(error)}); write it again")


def _index_parquet(path: Path) -> list[Block]:
    return _blocks(path, _clips_of_parquet(path))


def _clips_of_parquet(path: Path) -> Iterable[tuple[str, int, int, int]]:
    file = _parquet(path)
    row = 0
    try:
        for batch in file.iter_batches(columns=["clip"], batch_size=2**14):
            for value in batch.column(0).to_pylist():
                yield str(value), row, row + 1, row + 1
                row += 1
    except InputError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _read_parquet(path: Path, block: Block) -> Rows:
    file = _parquet(path)
    try:
        columns = _columns(file, block)
    except Exception as error:
        raise _damaged(path, error) from error

    def place(row: int) -> str:
        return f"{path}, row {block.line + row}"

    texts: dict[str, list[str]] = {
        name: [_text(value) for value in columns[name]]
        for name in ("frame", "joint", "body", "x", "y", "z", "score")
        if name in columns
    }
    return _rows(texts, block.stop - block.start, place)


def _text(value: Any) -> str:
    """A cell as it would stand in a CSV file."""
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer()  # whole numbers beside empty cells
    return str(int(value) if whole else value)


def _columns(file: Any, block: Block) -> dict[str, list[Any]]:
    """Values of the rows of a block, group by group."""
    found: dict[str, list[Any]] = {name: [] for name in file.schema_arrow.names}
    start = 0
    for number in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        first, last = max(block.start, start), min(block.stop, start + count)
        if first < last:
            group = file.read_row_group(number).slice(first - start, last - first)
            for name, values in group.to_pydict().items():
                found[name] += values
        start += count
    return found
