"""Files that are either whole or absent, and folders that one process at a time writes."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asgcn_dgl.errors import InputError

try:
    import fcntl
except ImportError:  # a system without these locks
    fcntl = None  # type: ignore[assignment]


def plain_file(path: str | Path) -> os.stat_result:
    """Return size and time of a file that shall be read.

    InputError if it is absent, a link to nothing, a folder, a pipe or a device.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise unreadable(path, error) from error
    if what := _not_plain(found):
        raise InputError(f"{path}: cannot be read (it is {what}); check the path")
    return found


def _not_plain(found: os.stat_result) -> str:
    if stat.S_ISREG(found.st_mode):
        return ""
    return "a folder" if stat.S_ISDIR(found.st_mode) else "no plain file"


def unreadable(path: str | Path, error: Exception) -> InputError:
    """Return the error of a file that the system does not let read."""
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path}: cannot be read ({reason.lower()}); check the path")


def in_short(error: Exception) -> str:
    """Return the message of an error on one line, a long one cut at the end of a word."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 500 else f"{text[:500].rpartition(' ')[0] or text[:500]} ..."


def check_target(path: str | Path) -> Path:
    """Return the file that writing to ``path`` makes or replaces, through links.

    InputError if a folder, a pipe or a device is there, which must not be replaced.
    """
    target = Path(os.path.realpath(path))
    try:
        what = _not_plain(target.stat())
    except OSError:  # not there yet; what else is wrong is said when it is written
        return target
    if what:
        raise InputError(f"{path}: is {what} and is not replaced; give the name of a file")
    return target


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place once it is written.

    A reader, or a process that is killed, sees the old file or the new one, never half of one.
    Links are followed to their file; what is no file is an InputError.
    """
    path = check_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files that only their owner can read; ask for the usual rights instead.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, values: Any) -> None:
    """Write ``values`` as JSON, atomically; NaN is refused."""
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_npz(path: str | Path, **arrays: Any) -> None:
    """Write arrays as a compressed ``.npz``, atomically."""
    import numpy as np  # here: the command's help needs none of it

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def append_line(path: Path, text: str) -> None:
    """Add a line to a text file; half a line at its end, of a full disk, makes room for it."""
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2**16))
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
        file.write(text.encode(errors="backslashreplace") + b"\n")


_TRIES = 200
_held: set[Path] = set()  # locks of this process, which it may take again


@contextmanager
def locked(file: Path, place: str | Path) -> Iterator[None]:
    """Keep other processes out while this one writes.

    The system releases the lock when the process ends, however it ends: a file that a killed
    process left is taken over. InputError names another process that holds the lock of ``place``.
    """
    file = Path(os.path.realpath(file))
    if fcntl is None or file in _held:
        yield
        return
    handle = _take(file, place)
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        file.unlink(missing_ok=True)
        os.close(handle)


def _take(file: Path, place: str | Path) -> int:
    """Return the descriptor of a file that this process alone has locked."""
    for _ in range(_TRIES):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = -1
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            # Not flock, whose locks pass on to forked workers: those outlive a killed parent.
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(file)):
                os.ftruncate(handle, 0)
                os.pwrite(handle, b"%d" % os.getpid(), 0)
                return handle
        except FileNotFoundError:  # its owner has just removed it, or its folder
            pass
        except OSError as error:
            if error.filename is not None:
                raise
            if error.errno not in (errno.EACCES, errno.EAGAIN):  # a disk that knows no locks
                return handle
            if owner := os.pread(handle, 20, 0).decode(errors="replace"):
                raise InputError(
                    f"{place}: process {owner} is writing there; wait for it or end it, or give "
                    "another folder"
                ) from None
            time.sleep(0.01)  # it has not written its number yet
        if handle >= 0:
            os.close(handle)
    raise InputError(f"{place}: another process is writing there; wait for it")
