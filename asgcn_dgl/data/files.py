"""Files of recordings: found in a folder, read within bounds, their numbers parsed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import plain_file

__all__ = [
    "MAX_BYTES",
    "check_memory",
    "check_names",
    "check_size",
    "find_files",
    "in_short",
    "is_recording",
    "is_there",
    "plain_file",
    "plain_name",
    "read_bytes",
    "read_lines",
    "read_numbers",
    "shown",
    "stamp_files",
]

#: Larger files are refused, and so are arrays that would take more memory.
MAX_BYTES = 2**27

_AGAIN = "the file is truncated or damaged, copy it again from its source"


def check_size(path: str | Path, limit: int = MAX_BYTES) -> os.stat_result:
    """Refuse a file that is too large to be a recording; return its size and time.

    Raises
    ------
    InputError
        If it holds more bytes than ``limit``, or cannot be read to an end.
    """
    found = plain_file(path)
    size = found.st_size
    if size > limit:
        raise InputError(
            f"{path}: {size / 1e6:.0f} MB where at most {limit / 1e6:.0f} MB are read at once; "
            "split the file"
        )
    return found


def read_bytes(path: str | Path) -> bytes:
    """Read a file, or say in one line why it cannot be read.

    Raises
    ------
    InputError
        If the file is absent, empty, no plain file, larger than :data:`MAX_BYTES` or not readable.
    """
    check_size(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    if not data or data.isspace():
        raise InputError(f"{path}: the file is empty; copy it again from its source")
    return data


def find_files(root: str | Path, pattern: str, what: str) -> list[Path]:
    """Find files at any depth of a folder, sorted by their path.

    Parameters
    ----------
    root
        The folder; a single file is taken as it is.
    pattern
        Glob pattern of the names.
    what
        What they are, for the message.

    Raises
    ------
    InputError
        If the folder is absent or holds no such file.
    """
    root = Path(root)
    if root.is_file():
        return [root]
    files = sorted(path for path in root.rglob(pattern) if is_recording(path))
    if not files:
        why = f"no file {pattern} in it" if root.is_dir() else "does not exist"
        raise InputError(f"{root}: {why}; give the folder that holds {what}")
    return files


def is_recording(path: Path) -> bool:
    """Tell whether what a pattern found may be a recording.

    Folders are none, nor is ``._NAME``, which macOS puts into archives beside each file. What is
    neither file nor folder, a link to nothing, may have been one: to read it says what is wrong.
    """
    return not path.name.startswith("._") and not path.is_dir()


def is_there(path: Path) -> bool:
    """Tell whether an optional file is there; a link to nothing is: to read it says so."""
    return path.is_symlink() or path.exists()


def stamp_files(files: Iterable[Path]) -> list[list[int]]:
    """Sizes and times of files, by which a source tells that they have changed.

    What cannot be read has neither: that is said when it is read.
    """
    stamps = []
    for path in files:
        try:
            found = plain_file(path)
            stamps.append([found.st_size, found.st_mtime_ns])
        except InputError:
            stamps.append([])
    return stamps


def check_names(names: Sequence[str], files: Sequence[Path]) -> None:
    """Refuse recordings of one name.

    Raises
    ------
    InputError
        If two files make the same name.
    """
    first: dict[str, Path] = {}
    for name, path in zip(names, files, strict=True):
        if name in first:
            raise InputError(f"{path}: {first[name]} is called {name} too; keep one of the two")
        first[name] = path


def in_short(error: Exception) -> str:
    """What an error of another library says, on one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def shown(value: object) -> str:
    """What stands where something else should, in few letters.

    Containers are named by their kind alone: a damaged or hostile file may hold one that refers to
    others so often, or so deeply, that to write it out would never end.

    Examples
    --------
    >>> shown("run"), shown(5), shown([[], []])
    ('run', '5', 'a list')
    """
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return (value if isinstance(value, str) else str(value))[:40]
    return f"a {type(value).__name__}"


def plain_name(text: str, place: str) -> str:
    """Check the name of a recording: printable, no way out of a folder.

    Raises
    ------
    InputError
        If it is empty, too long, holds control characters, or is a path with ``..`` or a root.
    """
    parts = text.replace("\\", "/").split("/")
    if not text or len(text) > 200 or not text.isprintable() or {"", ".", ".."} & set(parts):
        raise InputError(
            f"{place}: {text[:40]!r} cannot be the name of a recording; give printable names of "
            "at most 200 characters without '..'"
        )
    return text


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a text file, without trailing blank ones.

    Raises
    ------
    InputError
        If it cannot be read, is empty, larger than :data:`MAX_BYTES`, or no text.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not plain text; {_AGAIN}") from error
    return text.replace("\r\n", "\n").rstrip().split("\n")


def check_memory(path: str | Path, size: int, what: str) -> None:
    """Refuse a recording that would take too much memory.

    Parameters
    ----------
    path
        File that it is in.
    size
        Bytes that it would take.
    what
        What it holds, for the message.

    Raises
    ------
    InputError
        If ``size`` is above four times :data:`MAX_BYTES`.
    """
    if size > 4 * MAX_BYTES:
        raise InputError(
            f"{path}: {what} would take {size / 1e9:.1f} GB at once; split the recording, or keep "
            "fewer of its frames"
        )


def read_numbers(
    path: str | Path, lines: Sequence[str], columns: int, first: int = 1, delimiter: str = ""
) -> np.ndarray:
    """Read lines of equally many numbers.

    Parameters
    ----------
    path
        File that they are of, for messages.
    lines
        One row a line, at least one.
    columns
        Numbers of each.
    first
        Line of the file that the first row is.
    delimiter
        What stands between numbers; empty: blanks.

    Returns
    -------
    ndarray
        (rows, columns) float64, all finite.

    Raises
    ------
    InputError
        If a line holds something else; the message names it.
    """
    try:
        values = np.loadtxt(lines, delimiter=delimiter or None, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(lines), columns) or not np.isfinite(values).all():
        raise _fault(path, lines, columns, first, delimiter)
    return values


def _fault(
    path: str | Path, lines: Sequence[str], columns: int, first: int, delimiter: str
) -> InputError:
    """Find the line that is not so many finite numbers."""
    for number, line in enumerate(lines, start=first):
        fields = line.split(delimiter or None)
        if len(fields) != columns:
            found = f"{len(fields)} numbers where {columns} should stand"
            return InputError(f"{path}, line {number}: {found}; {_AGAIN}")
        for place, text in enumerate(fields, start=1):
            try:
                finite = np.isfinite(float(text))
            except ValueError:
                finite = False
            if not finite:
                found = f"{text.strip()[:40]!r} in column {place} is not a finite number"
                return InputError(f"{path}, line {number}: {found}; {_AGAIN}")
    return InputError(f"{path}: its numbers cannot be read; {_AGAIN}")
