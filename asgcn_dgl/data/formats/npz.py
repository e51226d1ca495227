"""Arrays of an ``.npz`` from anywhere: no pickles, no more memory than a recording may take.

:func:`read_npz` reads arrays whole, :func:`find_in_npz` looks where they are, for archives of whole
sets, of which :meth:`StoredArray.open` maps an array into memory.
"""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from asgcn_dgl.data.files import MAX_BYTES, check_size, plain_file
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short, unreadable

#: Kinds of numpy's types that are plain values: bool, integers, floats, text.
PLAIN = "biufU"

#: A directory of arrays takes a few hundred bytes; zip bombs have large ones.
MAX_DIRECTORY = 2**16
_END = b"PK\x05\x06"


class StoredArray(NamedTuple):
    """An uncompressed array: its first byte is at ``at`` of the file ``path``."""

    path: Path
    at: int
    shape: tuple[int, ...]
    dtype: str
    order: Literal["C", "F"] = "C"

    def open(self) -> np.ndarray:
        """Map the array into memory: what is not used is not read."""
        try:
            return np.memmap(self.path, self.dtype, "r", self.at, self.shape, self.order)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be read ({in_short(error)})") from error


def find_npy(path: Path) -> StoredArray:
    """Find the array of numbers in an ``.npy`` of any size."""
    size = plain_file(path).st_size
    with _reading(path, "save"), path.open("rb") as file:
        shape, fortran, dtype, _ = _announced(file, path.name, size)
        return StoredArray(path, file.tell(), shape, dtype.str, "F" if fortran else "C")


def read_npz(path: str | Path, names: Collection[str], limit: int = 4 * MAX_BYTES) -> dict:
    """Read those of the named arrays that an ``.npz`` has; others are not touched.

    InputError for a damaged file, arrays of objects (which would have to be unpickled), or arrays
    that take more than ``limit`` bytes together, unpacked.
    """
    check_size(path)
    with _opened(Path(path)) as (archive, members):
        wanted = {name: members[name] for name in members if name in names}
        size = sum(member.file_size for member in wanted.values())
        if size > limit:
            raise ValueError(f"its arrays take {size / 1e6:.0f} MB, of {limit / 1e6:.0f} MB")
        return {name: _read_member(archive, member) for name, member in wanted.items()}


def find_in_npz(path: Path, names: Collection[str]) -> dict[str, StoredArray]:
    """Find those of the named arrays that an uncompressed ``.npz`` of any size has.

    InputError for another file, or arrays that are not plain numbers in C order.
    """
    with _opened(path) as (archive, members):
        return {
            name: _find_member(path, archive, members[name]) for name in members if name in names
        }


def names_in_npz(path: Path) -> set[str]:
    """Return the names of an archive's arrays; none where it is damaged."""
    try:
        with _opened(path) as (_, members):
            return set(members)
    except InputError:
        return set()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open an archive and find its arrays by name."""
    plain_file(path)
    with _reading(path, "savez"):
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            named = {member.filename.removesuffix(".npy"): member for member in members}
            if len(named) < len(members):
                raise ValueError("two arrays have one name")
            yield archive, named


@contextmanager
def _reading(path: Path, how: str) -> Iterator[None]:
    """Report all faults of a file in one way; numpy's function ``how`` writes such files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that it had to repair
            yield
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # zipfile and numpy let through whatever a damaged file leads to
        raise InputError(
            f"{path}: {in_short(error)}; write it again with numpy.{how}, plain arrays only"
        ) from error


def _check_directory(path: Path) -> None:
    """Refuse a large directory before zipfile makes an object of each entry."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16 - 22))
        end = file.read()
    at = end.rfind(_END)
    if at < 0 or len(end) < at + 22:
        raise ValueError("not a zip archive, or truncated")
    (size,) = struct.unpack_from("<I", end, at + 12)
    if size > MAX_DIRECTORY:
        raise ValueError(f"its directory takes {size} bytes: too many arrays")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is packed in a way that numpy does not use")
    with archive.open(member) as file:
        shape, fortran, dtype, count = _announced(file, member.filename, member.file_size)
        data = file.read(count)
        if len(data) != count or file.read(1):  # reading to the end compares the checksum too
            raise ValueError(f"{member.filename} is truncated")
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _find_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> StoredArray:
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise ValueError(f"{member.filename} is packed, so that no clip of it can be read alone")
    with archive.open(member) as content, path.open("rb") as file:
        shape, fortran, dtype, count = _announced(content, member.filename, member.file_size)
        file.seek(member.header_offset + 26)  # of a local header of 30 bytes, then two texts
        at = member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))) + content.tell()
    if fortran or dtype.kind not in "biuf":
        raise ValueError(f"{member.filename} is no array of numbers in C order")
    if at + count > path.stat().st_size:
        raise ValueError(f"{member.filename} is truncated")
    return StoredArray(path, at, shape, dtype.str)


def _announced(
    file: IO[bytes], name: str, size: int
) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return shape, order, type and bytes of an array; the file is then behind its header."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of format {version}, not 1.0 or 2.0")
    shape, fortran, dtype = getattr(np.lib.format, f"read_array_header_{version[0]}_0")(file)
    if dtype.kind not in PLAIN:
        raise ValueError(f"{name} is of type {dtype}, which is no plain number or text")
    count = math.prod(shape) * dtype.itemsize
    if count != size - file.tell():
        raise ValueError(f"{name} is not of the size {shape} that it announces")
    return shape, fortran, dtype, count
