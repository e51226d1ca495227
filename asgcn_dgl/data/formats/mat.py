"""Matrices of numbers in MATLAB's ``.mat`` files (level 5), from files that are not to be trusted.

scipy's reader ends the process at some damaged files, and allocates what a file announces. This
one reads full real matrices only. The format is MathWorks' "MAT-File Format": a head of 128 bytes,
then elements of a tag (type, bytes) and data, padded to 8 bytes; a matrix is an element of
elements: flags, dimensions, name, values by columns.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from asgcn_dgl.data.files import check_size, read_bytes
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short

HEAD = 128
MATRIX, COMPRESSED = 14, 15

#: numpy's types of the types of elements.
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}

#: Classes of full matrices of numbers: double, single, int8 to uint64.
CLASSES = range(6, 16)
COMPLEX = 0x0800


def read_mat(path: str | Path, names: Collection[str], limit: int = 2**16) -> dict[str, np.ndarray]:
    """Read real matrices by name from a ``.mat`` file of level 5 (MATLAB 5 to 7.2).

    Names that are absent or hold something else are left out. The file, and each of its elements
    unpacked, may have ``limit`` bytes.
    """
    check_size(path, limit)
    data = read_bytes(path)
    try:
        order = {b"IM": "<", b"MI": ">"}[data[126:128]]
        if struct.unpack(f"{order}H", data[124:126])[0] != 0x0100:
            raise ValueError("a version other than level 5")
        found: dict[str, np.ndarray] = {}
        for kind, content in _elements(data[HEAD:], order):
            if kind == COMPRESSED:
                unpacked = zlib.decompressobj().decompress(content, limit)
                (kind, content), *_ = _elements(unpacked, order)
            if kind == MATRIX:
                name, matrix = _matrix(content, order)
                if name in names and matrix is not None:
                    found[name] = matrix
        return found
    except (KeyError, ValueError, struct.error, zlib.error) as error:
        raise InputError(
            f"{path}: not a MAT-file of level 5, or damaged ({in_short(error)}); copy it again "
            "from its source"
        ) from error


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each element."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # a small element: its size and its content are in the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            at = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(data):
            raise ValueError(f"an element of {size} bytes where {len(data) - start} are left")
        yield kind, data[start : start + size]


def _matrix(data: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Return name and values of a matrix; None for what is no full matrix of real numbers."""
    parts = [part for part, _ in zip(_elements(data, order), range(4), strict=False)]
    if len(parts) < 4:
        return "", None
    (_, flags), (_, dims), (_, name), (kind, values) = parts
    word = struct.unpack_from(f"{order}I", flags)[0]
    if (word & 0xFF) not in CLASSES or word & COMPLEX or kind not in NUMBERS:
        return "", None
    shape = np.frombuffer(dims, dtype=f"{order}i4").tolist()
    array = np.frombuffer(values, dtype=f"{order}{NUMBERS[kind]}")
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != array.size:
        raise ValueError(f"{array.size} numbers in a matrix of {shape}")
    return name.decode("latin-1"), array.reshape(shape, order="F")
