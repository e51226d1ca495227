"""One memory-mapped store for recordings of any format.

A store is a folder::

    header.json       version, layout, classes, names of splits, whether the last coordinate is a
                      score, the format and the options that the recordings were read with, size
                      and sha256 of each file
    index.npy         one row a recording: shard, places, bodies, frames, label, recording's
                      numbers, frames a second
    names.txt         one name a line, in the order of the index
    splits.npy        (splits, recordings) int8: 0 in neither part, 1 trains, 2 tests
    dropped.json      names of the recordings that could not be used, and why
    shard-00000.pos   positions, float32, (M, T, V, d) of one recording after another
    shard-00000.mask  masks, one bit a joint, each recording beginning at a whole byte

To open one reads the header, the index and the names; positions are mapped and read when a clip is
asked for, by as many processes as like. The header's checksum is the identity of a store: who has
opened it refuses what has taken its place since.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.files import read_bytes, shown
from asgcn_dgl.data.reader import Format, Origin, Reader, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.schema import check_values, parse_object
from asgcn_dgl.skeleton import SkeletonLayout

KIND = "asgcn_dgl store"
VERSION = 2

#: One row of the index. What is not known is -1 (numbers of the recording) or 0 (``fps``).
INDEX = np.dtype(
    [
        ("shard", "<i4"),
        ("pos_at", "<i8"),  # floats before this recording in its shard
        ("mask_at", "<i8"),  # bytes before it
        ("bodies", "<i4"),
        ("frames", "<i4"),
        ("label", "<i4"),
        *((name, "<i4") for name in RecordingName._fields),
        ("fps", "<f8"),
    ]
)

#: How names.txt is written: a name of a file may be no text.
NAMES = {"encoding": "utf-8", "errors": "surrogateescape"}

_REPLACED = (
    "the store was replaced or removed while it was in use; give the command again to use the new "
    "one"
)
_DAMAGED = "the store is damaged; make it again with 'asgcn-dgl prepare'"


HEADER_FILE = "header.json"
INDEX_FILE = "index.npy"
NAMES_FILE = "names.txt"
SPLITS_FILE = "splits.npy"
DROPPED_FILE = "dropped.json"


def shard_file(path: Path, number: int, what: str) -> Path:
    """Return the file of positions (``"pos"``) or masks (``"mask"``) of a shard."""
    return path / f"shard-{number:05d}.{what}"


@dataclass(frozen=True)
class Store(Reader):
    """An opened store, a reader of its recordings; see :func:`open_store`.

    Attributes
    ----------
    path
        The folder.
    num_dims
        Coordinates of a joint, d.
    header
        What ``header.json`` says.
    index
        (N,) of ``INDEX``.
    identity
        Checksum of the header: another store has another one, the same recordings prepared again
        the same.
    """

    path: Path = Path()
    num_dims: int = 3
    header: Mapping[str, Any] = field(default_factory=dict)
    index: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=INDEX))
    identity: str = ""

    def read(self, index: int) -> Clip:
        """Read one recording; its positions are a copy."""
        row = self._row(index)
        bodies, frames, joints = int(row["bodies"]), int(row["frames"]), self.layout.num_joints
        size = bodies * frames * joints
        shard, pos_at, mask_at = int(row["shard"]), int(row["pos_at"]), int(row["mask_at"])
        try:
            pos = self._shard(shard, "pos", "<f4")[pos_at : pos_at + size * self.num_dims]
            bits = self._shard(shard, "mask", "u1")[mask_at : mask_at + -(-size // 8)]
        finally:  # not before: a store takes the place of another all at once
            _check_current(self.path, self.identity)
        whole = len(pos) == size * self.num_dims and len(bits) == -(-size // 8)
        if not whole or min(bodies, frames, pos_at, mask_at) < 0:
            raise InputError(f"{self.path / INDEX_FILE}: row {index} is invalid; {_DAMAGED}")
        mask = np.unpackbits(bits, count=size).astype(bool)
        meta: dict[str, Any] = {"path": f"{self.path}: {self.names[index]}"}
        meta |= {name: int(row[name]) for name in RecordingName._fields if row[name] >= 0}
        meta |= {"fps": float(row["fps"])} if row["fps"] else {}
        return Clip(
            self.names[index],
            self.layout,
            np.array(pos, dtype=np.float32).reshape(bodies, frames, joints, self.num_dims),
            mask.reshape(bodies, frames, joints),
            int(row["label"]),
            meta,
            bool(self.header.get("scored", False)),
        )

    def recording(self, index: int) -> RecordingName:
        """Return the numbers of a recording, -1 where they are not known."""
        row = self._row(index)
        return RecordingName(*(int(row[name]) for name in RecordingName._fields))

    def rate(self, index: int) -> float | None:
        """Return the frames a second of a recording; None where they are not known."""
        return float(self._row(index)["fps"]) or None

    def verify(self) -> None:
        """Read everything; InputError if a file does not have its checksum."""
        for name, facts in self.header["files"].items():
            if sha256(self.path / name) != facts["sha256"]:
                raise InputError(f"{self.path / name}: its checksum is another; {_DAMAGED}")

    def paths(self) -> list[Path]:
        """Return all files of the store."""
        return [self.path / name for name in (HEADER_FILE, *self.header["files"])]

    def _row(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"recording {index} of {len(self)}")
        return self.index[index]

    def _shard(self, number: int, what: str, dtype: str) -> np.ndarray:
        path = shard_file(self.path, number, what)
        return _mapped(path, dtype, _check_size(path, self.header["files"]))

    # A store is compared and hashed by its place, and pickled without its arrays: a worker opens
    # it again.
    def __eq__(self, other: object) -> bool:
        mine = (self.path, self.identity)
        return isinstance(other, Store) and mine == (other.path, other.identity)

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce__(self) -> Any:
        return _reopen, (self.path, self.identity)


def _reopen(path: Path, identity: str) -> Store:
    store = open_store(path)
    _check_current(path, identity)
    return store


def open_store(path: str | Path) -> Store:
    """Open a store; InputError if it is none, of another version, or damaged.

    Clips are read when they are used.
    """
    path = Path(path)
    header, identity = _read_header(path)
    try:
        return _open(path, header, identity)
    except InputError:
        raise
    except Exception as error:  # damage leads to whatever it happens to hit
        raise InputError(f"{path}: {in_short(error)}; {_DAMAGED}") from error
    finally:
        _check_current(path, identity)


def _open(path: Path, header: Mapping[str, Any], identity: str) -> Store:
    for name in (INDEX_FILE, NAMES_FILE, SPLITS_FILE):
        _check_size(path / name, header["files"])
    index = np.load(path / INDEX_FILE, mmap_mode="r", allow_pickle=False)
    names = tuple((path / NAMES_FILE).read_bytes().decode(**NAMES).split("\n")[:-1])
    parts = np.load(path / SPLITS_FILE, allow_pickle=False)
    fits = index.dtype == INDEX and index.shape == (len(names),)
    if not fits or parts.shape != (len(header["splits"]), len(names)):
        raise ValueError("index, names and splits do not fit together")
    splits = {
        name: Split(*(tuple(np.flatnonzero(part == code).tolist()) for code in (1, 2)))
        for name, part in zip(header["splits"], parts, strict=True)
    }
    origin = header.get("origin")
    return Store(
        names,
        SkeletonLayout.from_dict(header["layout"]),
        tuple(header["class_names"]),
        splits,
        path,
        header["num_dims"],
        header,
        index,
        identity,
        labels=index["label"],
        origin=None if origin is None else Origin.from_dict(origin),
        place=str(path),
    )


class _FileFacts(TypedDict):
    bytes: int
    sha256: str


class _Known(TypedDict, total=False):
    scored: bool


class _Header(_Known):
    kind: str
    version: int
    layout: dict[str, Any]
    num_dims: int
    class_names: list[str]
    splits: list[str]
    files: dict[str, _FileFacts]


def _read_header(path: Path) -> tuple[dict[str, Any], str]:
    """Return what the header says, and the identity of the store."""
    file, remedy = path / HEADER_FILE, f"not the header of a store; {_DAMAGED}"
    if not file.is_file():
        raise InputError(
            f"{path}: not a store (no header.json in it); give a folder that 'asgcn-dgl prepare' "
            "wrote"
        )
    text = read_bytes(file)
    header = parse_object(text, file, remedy)
    kind, version = (header.get(name) for name in ("kind", "version"))
    if kind != KIND or type(version) is not int or version != VERSION:
        raise InputError(
            f"{file}: {shown(kind)!r} of version {shown(version)}, where this version of "
            f"asgcn_dgl reads version {VERSION}; make the store again with 'asgcn-dgl prepare'"
        )
    check_values(header, _Header, file, remedy)
    return header, hashlib.sha256(text).hexdigest()


Stamp = tuple[int, int, int]  # what distinguishes a file from another of its name


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_DAMAGED}") from error
    return found.st_mtime_ns, found.st_ino, found.st_size


@functools.lru_cache(maxsize=64)
def _identity(header: Path, stamp: Stamp) -> str:
    return sha256(header)


def _check_current(path: Path, identity: str) -> None:
    header = path / HEADER_FILE
    if _identity(header, _stamp(header)) != identity:
        raise InputError(f"{path}: {_REPLACED}")


def _check_size(path: Path, facts: Mapping[str, Any]) -> Stamp:
    """Return the stamp of a file, refused where it has not the size that the header gives."""
    stamp, wanted = _stamp(path), facts.get(path.name, {}).get("bytes")
    if stamp[2] != wanted:
        raise InputError(f"{path}: has {stamp[2]} bytes where {wanted} were written; {_DAMAGED}")
    return stamp


@functools.lru_cache(maxsize=256)
def _mapped(path: Path, dtype: str, stamp: Stamp) -> np.ndarray:
    """Map a shard, kept open for the clips that follow; one that was rewritten is mapped again."""
    return np.memmap(path, dtype=dtype, mode="r")


def is_store(path: Path) -> bool:
    """Return whether a folder is a store, damaged or not."""
    return (path / HEADER_FILE).is_file()


FORMAT = Format("store", open_store, is_store, "store")


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_DAMAGED}") from error
