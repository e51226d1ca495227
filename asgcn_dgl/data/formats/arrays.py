"""Whole sets as one array: ``.npy`` of (N, 3, T, V, M) and a pickle of names and labels.

ST-GCN, 2s-AGCN and AS-GCN keep ``train_data.npy`` (or ``train_data_joint.npy``),
``train_label.pkl`` of (names, labels), sometimes ``train_num_frame.npy`` of N lengths, and the same
for ``val``. Clips are filled up to T frames with zeros, or by repeating; absent bodies are zeros.

CTR-GCN keeps a protocol of NTU RGB+D in one ``.npz``, ``NTU60_CS.npz``: ``x_train`` (N, T, 150),
two bodies of 25 joints, ``y_train`` (N, K) of ones and zeros, ``x_test``, ``y_test``; no names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data import files as data_files
from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_memory, is_recording, is_there, plain_name, shown
from asgcn_dgl.data.formats import estimates
from asgcn_dgl.data.formats.folder import PublishedSet
from asgcn_dgl.data.formats.layout_file import GivenLayout
from asgcn_dgl.data.formats.npz import StoredArray, find_in_npz, find_npy, names_in_npz
from asgcn_dgl.data.formats.ntu import NTU60, NTU120
from asgcn_dgl.data.formats.table import MAX_CLASSES, is_label
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.data.reader import Format, Split
from asgcn_dgl.errors import InputError

PARTS = ("train", "val")
FILES = ("{}_data.npy", "{}_data_joint.npy")
LABELS = "{}_label.pkl"
LENGTHS = "{}_num_frame.npy"

#: What CTR-GCN's archives hold: bodies in a row, parts, and splits by the end of the name.
ARCHIVE_BODIES = 2
ARCHIVE_PARTS = ("train", "test")
ARCHIVE_SPLITS = {"CS": "xsub", "CV": "xview", "CSub": "xsub", "CSet": "xset"}
_ARRAYS = {f"{what}_{part}" for what in "xy" for part in ARCHIVE_PARTS}
_ARCHIVE = re.compile(r"NTU(60|120)_(CS|CV|CSub|CSet)")

_LAYOUTS = {25: "ntu25", 18: "openpose18", 20: "kinectv1_20", 17: "coco17"}


class Pair(NamedTuple):
    """An array and its labels, in a pickle, or in the same archive, where they are ``classes``.

    ``shape`` is (N, C, T, V, M); in an archive the array is (N, T, M V C).
    """

    array: StoredArray
    labels: Path
    shape: tuple[int, ...]
    classes: StoredArray | None = None

    def row(self, number: int) -> np.ndarray:
        """Read one clip, (M, T, V, C), and nothing else."""
        values = np.asarray(self.array.open()[number], dtype=np.float64)
        if values.ndim == 4:
            return values.transpose(3, 1, 2, 0)
        _, channels, frames, joints, bodies = self.shape
        return values.reshape(frames, bodies, joints, channels).transpose(1, 0, 2, 3)


@dataclass(frozen=True)
class ArrayReader(estimates.EstimatesReader):
    """The clips of one pair of files, or of several.

    ``places`` has for each recording its pair and its row, ``lengths`` its frames (0: not known).
    """

    pairs: tuple[Pair, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    lengths: tuple[int, ...] = ()
    padding: str = "zeros"

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused by the clip
    def read(self, index: int) -> Clip:
        """Read one row and nothing else."""
        number, row = self.places[index]
        pair = self.pairs[number]
        place = f"{pair.array.path} ({self.names[index]})"
        pos, score = self.parted(place, self._frames(pair.row(row), self.lengths[index]))
        moved = _moved(pos) if len(pair.array.shape) == 3 and score is None else None
        return self.clip(index, place, pos, score, moved)

    def _frames(self, pos: np.ndarray, length: int) -> np.ndarray:
        """Return the clip (M, T, V, C) without its padding."""
        if length:
            return pos[:, :length]
        seen = np.flatnonzero((pos != 0).any(axis=(0, 2, 3)))
        pos = pos[:, : int(seen[-1]) + 1 if len(seen) else 1]
        return pos[:, : _period(pos)] if self.padding == "repeat" else pos

    def stamp(self) -> object:
        """Options, lengths, sizes and times of all files."""
        paths = [path for pair in self.pairs for path in (pair.array.path, pair.labels)]
        options = [self.padding, self.min_score, self.score, self.flat, list(self.lengths)]
        return [*options, data_files.stamp_files(paths)]


def open_arrays(
    root: str | Path,
    layout: GivenLayout = None,
    padding: str = "zeros",
    min_score: float = 0.0,
    score: bool = True,
    third: str = "auto",
) -> ArrayReader:
    """Open a folder of arrays, or one ``.npy`` or ``.npz`` file; the page "Arrays" has the options.

    The split has the name of the folder where that is ``xsub``, ``xview`` or ``xset``, else
    ``split``. ``NTU60_CS.npz`` has the split ``xsub``, ``_CV`` ``xview``, ``_CSub`` ``xsub`` and
    ``_CSet`` ``xset``; its clips are ``train_0``, ``test_0``, ...
    """
    data_files.check_choice("padding", padding, ("zeros", "repeat"))
    estimates.check_options(min_score, score, third)
    root = Path(root)
    folder = root.parent if root.is_file() else root
    archive = _archive(root)
    found = _pairs(root) if archive is None else _pairs_of_archive(archive)
    read = _names_and_labels if archive is None else _classes_of_archive
    pairs, facts = tuple(found.values()), [read(pair, part) for part, pair in found.items()]
    names, labels, lengths = (
        [each for own in column for each in own] for column in zip(*facts, strict=True)
    )
    places = [(pair, row) for pair, (own, *_) in enumerate(facts) for row in range(len(own))]
    data_files.by_name(names, [pairs[pair].labels for pair, _ in places])
    (channels, _, joints, _), *others = [pair.shape[1:] for pair in pairs]
    if any((other[0], other[2]) != (channels, joints) for other in others):
        raise InputError(f"{root}: arrays of different joints or channels; prepare each separately")
    splits = {}
    if archive is not None or not root.is_file():
        parts = ["train" if part == "train" else "test" for part in found]
        splits[_split_name(archive or folder)] = Split.of(parts[pair] for pair, _ in places)
    described = estimates.described(
        str(pairs[0].array.path),
        folder,
        names,
        labels,
        splits,
        joints,
        _LAYOUTS,
        layout,
        third,
        _thirds(pairs[0]) if channels == 3 else None,
        None if archive is None else _set_of(archive, labels),
        certain=archive is not None,
    )
    return ArrayReader(
        **described,
        min_score=min_score,
        score=score,
        pairs=pairs,
        places=tuple(places),
        lengths=tuple(lengths),
        padding=padding,
    )


def _archive(root: Path) -> Path | None:
    """Return the ``.npz`` that is given, or is in a folder without arrays."""
    if root.suffix.lower() == ".npz":
        return root
    found = [path for path in sorted(root.glob("*.npz")) if is_recording(path)]
    if not found or any(root.glob("*.npy")):
        return None
    return estimates.only_one(root, found, "*.npz")


def _pairs(root: Path) -> dict[str, Pair]:
    if root.is_file():
        part = root.name.partition("_data")[0]
        return {part: _pair(root, root.parent / LABELS.format(part))}
    found = {}
    for part in PARTS:
        arrays = [path for name in FILES if is_there(path := root / name.format(part))]
        if len(arrays) > 1:
            raise InputError(
                f"{root}: both {arrays[0].name} and {arrays[1].name}; give one as --root"
            )
        labels = root / LABELS.format(part)
        if arrays:
            found[part] = _pair(arrays[0], labels)
        elif is_there(labels):
            raise InputError(
                f"{root}: {labels.name}, but neither {' nor '.join(FILES).format(part, part)}; "
                "copy it from where the labels are from"
            )
    if not found:
        why = "no train_data.npy or train_data_joint.npy in it" if root.is_dir() else "no folder"
        raise InputError(f"{root}: {why}; give the folder that holds the arrays and their labels")
    return found


def _pairs_of_archive(path: Path) -> dict[str, Pair]:
    found = find_in_npz(path, _ARRAYS)
    pairs = {}
    for part in ARCHIVE_PARTS:
        poses, classes = found.get(f"x_{part}"), found.get(f"y_{part}")
        if poses is None and classes is None:
            continue
        place = f"{path} (x_{part})"
        shape = () if poses is None else poses.shape
        if poses is None or len(shape) != 3 or 0 in shape or shape[2] % (ARCHIVE_BODIES * 3):
            raise InputError(
                f"{place}: {'not there' if poses is None else shape}, where (clips, frames, 150) "
                "should be, two bodies of joints of three coordinates; give an archive of CTR-GCN"
            )
        if np.dtype(poses.dtype).kind not in "iuf":
            raise InputError(f"{place}: {poses.dtype}, where numbers should be; make it again")
        clips, frames, numbers = shape
        check_memory(place, 8 * frames * numbers, "a clip")
        joints = numbers // (ARCHIVE_BODIES * 3)
        pairs[part] = Pair(poses, path, (clips, 3, frames, joints, ARCHIVE_BODIES), classes)
    if not pairs:
        raise InputError(
            f"{path}: neither x_train and y_train nor x_test and y_test in it; give one of CTR-GCN"
        )
    return pairs


def _classes_of_archive(pair: Pair, part: str) -> tuple[list[str], list[int], list[int]]:
    """Return names, classes of rows of ones and zeros, and lengths, 0: not known."""
    place = f"{pair.labels} (y_{part})"
    stored, clips = pair.classes, pair.shape[0]
    shape = () if stored is None else stored.shape
    if stored is None or len(shape) != 2 or shape[0] != clips or 0 in shape:
        raise InputError(
            f"{place}: {'not there' if stored is None else shape}, where ({clips}, classes) "
            f"belongs to x_{part}; make the archive again"
        )
    if shape[1] > MAX_CLASSES:
        raise InputError(f"{place}: {shape[1]} classes, of which {MAX_CLASSES} are read")
    check_memory(place, 2 * math.prod(shape) * np.dtype(stored.dtype).itemsize, "classes")
    ones = np.asarray(stored.open()) > 0
    wrong = np.flatnonzero(ones.sum(axis=1) != 1)
    if len(wrong):
        raise InputError(
            f"{place}, row {wrong[0] + 1}: {ones[wrong[0]].sum()} classes, where one should be "
            "above 0; correct it"
        )
    return [f"{part}_{n}" for n in range(clips)], ones.argmax(axis=1).tolist(), [0] * clips


def _set_of(archive: Path, labels: Sequence[int]) -> PublishedSet | None:
    """Return the set that an archive's name says, if its labels are of that set."""
    match = _ARCHIVE.fullmatch(archive.stem)
    chosen = {"60": NTU60, "120": NTU120}[match[1]] if match else None
    return chosen if chosen is not None and max(labels) < len(chosen.class_names) else None


def _split_name(place: Path) -> str:
    """Return the name of the split of a folder, or of an archive."""
    match = _ARCHIVE.fullmatch(place.stem)
    if match and place.suffix.lower() == ".npz":
        return ARCHIVE_SPLITS[match[2]]
    name = place.resolve().name
    return name if name in ("xsub", "xview", "xset") else "split"


def _pair(data: Path, labels: Path) -> Pair:
    array = find_npy(data)
    shape, dtype = array.shape, np.dtype(array.dtype)
    if len(shape) != 5 or shape[1] not in (2, 3) or dtype.kind not in "iuf":
        raise InputError(
            f"{data}: {dtype} {shape}, where numbers of shape (clips, 2 or 3, frames, joints, "
            "bodies) should be; write one recording by numpy.savez(path, keypoints=...) and give "
            "--data own"
        )
    if 0 in shape:
        raise InputError(f"{data}: {shape}: there is nothing in it; make it again")
    check_memory(data, 8 * math.prod(shape[1:]), "a clip")
    return Pair(array, labels, shape)


def _names_and_labels(pair: Pair, part: str) -> tuple[list[str], list[int], list[int]]:
    """Return names, classes and lengths, 0 where these are not known."""
    path, count, frames = pair.labels, pair.shape[0], pair.shape[2]
    content = read_pickle(path)
    if not isinstance(content, tuple | list) or len(content) not in (2, 3):
        raise InputError(f"{path}: is no pair of names and labels; make the file again")
    names, labels, *others = (_list(path, each) for each in content)
    if not len(names) == len(labels) == count:
        raise InputError(
            f"{path}: {len(names)} names and {len(labels)} labels, but {pair.array.path.name} has "
            f"{count} clips; make the files again"
        )
    file = path.parent / LENGTHS.format(part)
    if is_there(file):
        others = [find_npy(file).open().tolist()]
    lengths = others[0] if others else [0] * count
    fits = [type(length) is int and bool(others) <= length <= frames for length in lengths]
    if len(fits) != count or not all(fits):
        raise InputError(
            f"{file if file.is_file() else path}: lengths of the clips are not {count} whole "
            f"numbers from 1 to {frames}; make the files again"
        )
    found = []
    for number, (name, label) in enumerate(zip(names, labels, strict=True), start=1):
        place = f"{path}, entry {number}"
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        if not isinstance(name, str):
            raise InputError(f"{place}: a name that is no text; make the file again")
        found.append(plain_name(name.removesuffix(".skeleton").removesuffix(".json"), place))
        if not is_label(label):
            raise InputError(f"{place}: label {shown(label)} is no class number from 0; correct it")
    return found, list(labels), list(lengths)


def _list(path: Path, value: Any) -> Sequence[Any]:
    if isinstance(value, PickledArray) and len(value.shape) == 1:
        return value.array.tolist()
    if isinstance(value, list | tuple):
        return value
    raise InputError(f"{path}: is no pair of lists, of names and of labels; make the file again")


@np.errstate(invalid="ignore")  # a NaN may signal
def _thirds(pair: Pair) -> np.ndarray:
    """Return the third channels of a few clips."""
    rows = np.unique(np.linspace(0, pair.shape[0] - 1, estimates.LOOKED_AT).astype(int))
    return np.concatenate([pair.row(row)[..., 2].ravel() for row in rows.tolist()])


def _moved(pos: np.ndarray) -> np.ndarray:
    """Return (M, T, V) joints that are not at 0, and the one that CTR-GCN's scripts move there.

    That is the middle of the first body's spine, in its first frame alone.
    """
    seen: np.ndarray = (pos != 0).any(axis=-1)
    shown = np.flatnonzero(seen[0].any(axis=1))
    if len(shown) and (~seen[0, shown[0]]).sum() == 1:
        seen[0, shown[0]] = True
    return seen


def _period(pos: np.ndarray) -> int:
    """Return the frames (two or more) after which a clip only repeats itself, else all."""
    frames = pos.shape[1]
    flat = np.ascontiguousarray(pos.transpose(1, 0, 2, 3)).reshape(frames, -1)
    starts = np.flatnonzero((flat[2:] == flat[0]).all(axis=1)) + 2
    whole = (n for n in starts.tolist() if np.array_equal(flat[n:], flat[: frames - n]))
    return next(whole, frames)


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        archives = any(_ARCHIVE.fullmatch(each.stem) for each in path.glob("*.npz"))
        return archives or any(is_there(path / LABELS.format(part)) for part in PARTS)
    suffix = path.suffix.lower()
    return suffix == ".npy" or (suffix == ".npz" and bool(names_in_npz(path) & _ARRAYS))


FORMAT = Format(
    "arrays", open_arrays, _recognizes, "array", ("padding", "min_score", "score", "third")
)
