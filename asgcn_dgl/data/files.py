"""Files of recordings: found in a folder, read within bounds, their numbers parsed."""

from __future__ import annotations

import codecs
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import plain_file, unreadable
from asgcn_dgl.schema import parse_json

#: Larger files are refused, and so are arrays that would take more memory.
MAX_BYTES = 2**27

_AGAIN = "the file is truncated or damaged, copy it again from its source"


def check_size(path: str | Path, limit: int = MAX_BYTES) -> os.stat_result:
    """Refuse a file of more than ``limit`` bytes; return its size and time."""
    found = plain_file(path)
    if found.st_size > limit:
        raise InputError(
            f"{path}: {found.st_size / 1e6:.0f} MB where at most {limit / 1e6:.0f} MB are read at "
            "once; split the file"
        )
    return found


def read_bytes(path: str | Path) -> bytes:
    """Read a file that is neither empty nor larger than ``MAX_BYTES``."""
    check_size(path)
    return first_bytes(path, -1)


def first_bytes(path: str | Path, count: int = 2**16) -> bytes:
    """Read the beginning of a file, by which its format is recognized."""
    plain_file(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(count)
    except OSError as error:
        raise unreadable(path, error) from error
    if not data or data.isspace():
        raise InputError(f"{path}: the file is empty; copy it again from its source")
    return data


def find_files(root: str | Path, pattern: str, what: str) -> list[Path]:
    """Find files by a glob pattern at any depth of a folder, sorted by path.

    A file is returned as it is. ``what`` names the recordings in the error of an empty folder.
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
    """Tell whether what a pattern found may be a recording: no folder, and no ``._NAME`` of macOS.

    A dead link may be: reading it reports the error.
    """
    return not path.name.startswith("._") and not path.is_dir()


def is_there(path: Path) -> bool:
    """Tell whether an optional file exists; a dead link does, and reading it reports the error."""
    return path.is_symlink() or path.exists()


def stamp_files(files: Iterable[Path]) -> list[list[int]]:
    """Return size and time of each file, to notice changes; nothing for an unreadable one."""
    stamps = []
    for path in files:
        try:
            found = plain_file(path)
            stamps.append([found.st_size, found.st_mtime_ns])
        except InputError:
            stamps.append([])
    return stamps


def by_name(names: Sequence[str], files: Sequence[Path]) -> dict[str, Path]:
    """Return the file of each recording; refuse two recordings of one name."""
    found: dict[str, Path] = {}
    for name, path in zip(names, files, strict=True):
        if name in found:
            raise InputError(f"{path}: {found[name]} is called {name} too; keep one of the two")
        found[name] = path
    return found


def shown(value: object) -> str:
    """Return an unexpected value in at most 40 characters, for a message.

    Containers are named by type alone: a hostile file may nest or repeat them without end.
    """
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return (value if isinstance(value, str) else str(value))[:40]
    return f"a {type(value).__name__}"


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Refuse an option that is none of its values."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def need(good: object, text: str) -> None:
    """Refuse an option with a ValueError where it is not ``good``."""
    if not good:
        raise ValueError(text)


def check_step(step: object) -> None:
    """Refuse an option ``step`` that is no whole number from 1."""
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise InputError(f"step must be a whole number from 1, got {step!r}")


def plain_name(text: str, place: str) -> str:
    """Return the name of a recording if it is printable, short, and leads out of no folder."""
    parts = text.replace("\\", "/").split("/")
    if not text or len(text) > 200 or not text.isprintable() or {"", ".", ".."} & set(parts):
        raise InputError(
            f"{place}: {text[:40]!r} cannot be the name of a recording; give printable names of "
            "at most 200 characters without '..'"
        )
    return text


def read_lines(path: str | Path, encoding: str = "") -> list[str]:
    """Read the lines of a text file, without trailing blank ones; see :func:`decoded`."""
    text = decoded(path, read_bytes(path), encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")


def decoded(path: str | Path, data: bytes, encoding: str = "") -> str:
    """Return the text of a file: UTF-8, or UTF-16 where it begins so; else in ``encoding``."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if encoding and b"\0" not in data:
            return data.decode(encoding, "replace")
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: not plain text; save it as UTF-8, or copy it again from its "
            "source"
        ) from error


def read_json(path: str | Path, limit: int = MAX_BYTES) -> Any:
    """Read a JSON file, in which an object has a key once."""
    check_size(path, limit)
    return parse_json(read_bytes(path), path, _AGAIN, finite=False)


def check_memory(path: str | Path, size: int, what: str) -> None:
    """Refuse what takes over four times ``MAX_BYTES``; ``what`` is for the message."""
    if size > 4 * MAX_BYTES:
        raise InputError(
            f"{path}: {what} would take {size / 1e9:.1f} GB at once; split the recording, or keep "
            "fewer of its frames"
        )


def read_numbers(
    path: str | Path, lines: Sequence[str], columns: int, first: int = 1, delimiter: str = ""
) -> np.ndarray:
    """Read lines of ``columns`` finite numbers each as float64; an error names the line.

    ``first`` is the line of the file that the first row is; an empty ``delimiter`` means blanks.
    """
    try:
        values = np.loadtxt(lines, delimiter=delimiter or None, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape == (len(lines), columns) and np.isfinite(values).all():
        return values
    for number, line in enumerate(lines, start=first):
        fields = line.split(delimiter or None)
        bad = [n for n, text in enumerate(fields) if not _is_finite(text)]
        if len(fields) != columns:
            found = f"{len(fields)} numbers instead of {columns}"
        elif bad:
            text = fields[bad[0]].strip()[:40]
            found = f"{text!r} in column {bad[0] + 1} is not a finite number"
        else:
            continue
        raise InputError(f"{path}, line {number}: {found}; {_AGAIN}")
    raise InputError(f"{path}: its numbers cannot be read; {_AGAIN}")


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
