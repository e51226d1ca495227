"""Whole sets as one array: ``.npy`` of (N, 3, T, V, M) and a pickle of names and labels.

The format in which ST-GCN, 2s-AGCN and AS-GCN keep what they prepared: ``train_data.npy`` (or
``train_data_joint.npy``), ``train_label.pkl`` of (names, labels), sometimes ``train_num_frame.npy``
of N lengths, and the same for ``val``. Clips of any length are filled up to T frames with zeros, or
by repeating, and absent bodies are zeros.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.formats.estimates import (
    check_ntu_splits,
    check_options,
    chosen_layout,
    estimated_clip,
    find_classes,
    name_facts,
    ntu_set,
)
from asgcn_dgl.data.formats.files import (
    check_memory,
    check_names,
    plain_name,
    shown,
    stamp_files,
)
from asgcn_dgl.data.formats.layout_file import find_layout
from asgcn_dgl.data.formats.source import Source, Split
from asgcn_dgl.data.formats.table import MAX_CLASSES
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.errors import InputError

__all__ = ["ArraySource", "open_arrays"]

PARTS = ("train", "val")
FILES = ("{}_data.npy", "{}_data_joint.npy")
LABELS = "{}_label.pkl"
LENGTHS = "{}_num_frame.npy"

#: Clips that are looked at to find out where their origin is.
LOOKED_AT = 16

_LAYOUTS = {25: "ntu25", 18: "openpose18", 20: "kinectv1_20", 17: "coco17"}

#: Layouts whose third channel is the score of a pose estimator.
_FLAT = (18, 17)


class Pair(NamedTuple):
    """An array and its labels.

    Attributes
    ----------
    data
        The ``.npy`` file.
    labels
        The ``.pkl`` file.
    shape
        N, C, T, V, M.
    """

    data: Path
    labels: Path
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ArraySource(Source):
    """The clips of one pair of files, or of several.

    Attributes
    ----------
    pairs
        The files.
    places
        For each recording its pair and its row.
    labels
        Class of each.
    lengths
        Frames of each; 0 where they are not known.
    flat
        The third channel is a score.
    origin
        The joint that all clips were centred on, which is at 0 and seen all the same; -1: none.
    padding, min_score, score
        See :func:`open_arrays`.
    """

    pairs: tuple[Pair, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    labels: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    flat: bool = False
    origin: int = -1
    padding: str = "zeros"
    min_score: float = 0.0
    score: bool = True

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused by the clip
    def read(self, index: int) -> Clip:
        """Read one row; no other is touched."""
        pair, row = self.places[index]
        path = self.pairs[pair].data
        place = f"{path} ({self.names[index]})"
        label = self.labels[index]
        numbers = name_facts(place, self.names[index], label)
        data = np.asarray(_map(path)[row], dtype=np.float64)  # (C, T, V, M)
        pos = self._frames(data.transpose(3, 1, 2, 0), self.lengths[index])
        scores = pos[..., -1] if self.flat else None
        return estimated_clip(
            self.names[index],
            self.layout,
            pos[..., :-1] if self.flat else pos,
            scores,
            seen=_seen(pos, self.origin),
            min_score=self.min_score,
            keep_score=self.score,
            label=label,
            meta={"path": place, **numbers},
        )

    def _frames(self, pos: np.ndarray, length: int) -> np.ndarray:
        """The clip without what it was filled up with, (M, T, V, C)."""
        if length:
            return pos[:, :length]
        shown = np.flatnonzero((pos != 0).any(axis=(0, 2, 3)))
        pos = pos[:, : int(shown[-1]) + 1 if len(shown) else 1]
        return pos[:, : _period(pos)] if self.padding == "repeat" else pos

    def stamp(self) -> object:
        """Options, lengths, sizes and times of all files."""
        files = [path for pair in self.pairs for path in (pair.data, pair.labels)]
        options = [self.padding, self.min_score, self.score, self.origin, list(self.lengths)]
        return [*options, stamp_files(files)]


def open_arrays(
    root: str | Path,
    layout: str | None = None,
    padding: str = "zeros",
    min_score: float = 0.0,
    score: bool = True,
) -> ArraySource:
    """Look at a folder of arrays.

    Parameters
    ----------
    root
        Folder with ``train_data.npy`` or ``train_data_joint.npy``, ``train_label.pkl``, and the
        same for ``val``. Or one ``.npy`` file, whose labels lie beside it. Lengths of clips are
        taken from ``train_num_frame.npy``, or from a third list in the pickle, where there is
        either. Names of classes are taken from ``classes.txt`` in the folder.
    layout
        Name of a supplied layout, or a layout file. Left out: that which is usual for V (25 NTU's,
        18 OpenPose's, 20 Kinect v1's, 17 COCO's).
    padding
        How clips were filled up to T frames. ``"zeros"``: zeros at the end are left out.
        ``"repeat"``: so is what exactly repeats the frames before it from the start on, as
        2s-AGCN and AS-GCN fill clips up. Where lengths are known neither is asked.
    min_score
        Joints whose score is not above this are missing. Of 17 or 18 joints the third channel is
        the score; of others there is none.
    score
        The score is the last coordinate of each joint.

    Returns
    -------
    ArraySource
        With a split that is called like the folder where that is ``xsub``, ``xview`` or ``xset``,
        else ``split``.

    Raises
    ------
    InputError
        If files are absent, are not such arrays, ask to run anything, or contradict each other.
    """
    if padding not in ("zeros", "repeat"):
        raise InputError(f"padding must be zeros or repeat, got {padding!r}")
    check_options(min_score, score)
    root = Path(root)
    found = _pairs(root)
    names: list[str] = []
    labels: list[int] = []
    lengths: list[int] = []
    places: list[tuple[int, int]] = []
    parts: dict[str, tuple[str, ...]] = {}
    for number, (part, pair) in enumerate(found.items()):
        own, classes, frames = _names_and_labels(pair, part)
        parts[part] = tuple(own)
        names += own
        labels += classes
        lengths += frames
        places += [(number, row) for row in range(len(own))]
    pairs = tuple(found.values())
    check_names(names, [pairs[pair].labels for pair, _ in places])
    (channels, _, joints, _), *others = [pair.shape[1:] for pair in pairs]
    if any((other[0], other[2]) != (channels, joints) for other in others):
        raise InputError(f"{root}: arrays of different joints or channels; prepare each apart")
    folder = root.parent if root.is_file() else root
    asked = None if layout is None else find_layout(folder, layout)
    chosen = ntu_set(names)
    flat = channels == 3 and joints in _FLAT
    splits = {}
    if not root.is_file():
        name = folder.resolve().name
        name = name if name in ("xsub", "xview", "xset") else "split"
        splits[name] = Split(parts.get("train", ()), parts.get("val", ()))
        check_ntu_splits(str(root), chosen, splits)
    return ArraySource(
        tuple(names),
        chosen_layout(str(pairs[0].data), joints, _LAYOUTS, asked),
        find_classes(folder, chosen),
        splits,
        pairs,
        tuple(places),
        tuple(labels),
        tuple(lengths),
        flat,
        -1 if flat else _origin(pairs[0].data),
        padding,
        min_score,
        score,
    )


def _pairs(root: Path) -> dict[str, Pair]:
    if root.is_file():
        part = root.name.partition("_data")[0]
        return {part: _pair(root, root.parent / LABELS.format(part))}
    found = {}
    for part in PARTS:
        files = [root / name.format(part) for name in FILES if (root / name.format(part)).is_file()]
        if len(files) > 1:
            raise InputError(
                f"{root}: both {files[0].name} and {files[1].name}; give one of them as --root, or "
                "move one away"
            )
        if files:
            found[part] = _pair(files[0], root / LABELS.format(part))
    if not found:
        why = "no train_data.npy or train_data_joint.npy in it" if root.is_dir() else "no folder"
        raise InputError(f"{root}: {why}; give the folder that holds the arrays and their labels")
    return found


def _pair(data: Path, labels: Path) -> Pair:
    array = _map(data)
    if array.ndim != 5 or array.shape[1] not in (2, 3) or array.dtype.kind not in "iuf":
        raise InputError(
            f"{data}: {array.dtype} {array.shape}, where numbers of shape (clips, 2 or 3, frames, "
            "joints, bodies) should be"
        )
    if 0 in array.shape:
        raise InputError(f"{data}: {array.shape}: there is nothing in it; make it again")
    check_memory(data, 8 * math.prod(array.shape[1:]), "a clip")
    return Pair(data, labels, array.shape)


def _map(path: Path) -> np.ndarray:
    """Map an array into memory: what is not asked for is not read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that it had to repair
            array = np.lib.format.open_memmap(path, mode="r")  # no objects, hence no pickles
            begins = int(array.offset)
            if begins + array.nbytes != path.stat().st_size:
                raise ValueError(f"{path.stat().st_size} bytes, not {begins + array.nbytes}")
            return array
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    except Exception as error:  # numpy lets through whatever a damaged header leads to
        raise InputError(
            f"{path}: not an array of numbers, or truncated ({str(error)[:100]}); write it again "
            "with numpy.save"
        ) from error


def _names_and_labels(pair: Pair, part: str) -> tuple[list[str], list[int], list[int]]:
    """Names, classes and lengths, 0 where these are not known."""
    content = read_pickle(pair.labels)
    if not isinstance(content, (tuple, list)) or len(content) not in (2, 3):
        raise InputError(f"{pair.labels}: is no pair of names and labels; make the file again")
    names, labels, *others = (_list(pair.labels, each) for each in content)
    count, frames = pair.shape[0], pair.shape[2]
    if not len(names) == len(labels) == count:
        raise InputError(
            f"{pair.labels}: {len(names)} names and {len(labels)} labels, but {pair.data.name} has "
            f"{count} clips; make the files again"
        )
    file = pair.labels.parent / LENGTHS.format(part)
    if file.is_file():
        others = [_map(file).tolist()]
    lengths = others[0] if others else [0] * count
    fits = [type(length) is int and bool(others) <= length <= frames for length in lengths]
    if len(fits) != count or not all(fits):
        raise InputError(
            f"{file if file.is_file() else pair.labels}: lengths of the clips are not {count} "
            f"whole numbers from 1 to {frames}; make the files again"
        )
    return _names(pair.labels, names), _labels(pair.labels, labels), list(lengths)


def _list(path: Path, value: Any) -> Sequence[Any]:
    if isinstance(value, PickledArray) and len(value.shape) == 1:
        return value.load(path).tolist()
    if isinstance(value, (list, tuple)):
        return value
    raise InputError(f"{path}: is no pair of lists, of names and of labels; make the file again")


def _names(path: Path, names: Sequence[Any]) -> list[str]:
    found = []
    for number, name in enumerate(names, start=1):
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if not isinstance(name, str):
            raise InputError(f"{path}, entry {number}: a name that is no text; make the file again")
        short = name.removesuffix(".skeleton").removesuffix(".json")
        found.append(plain_name(short, f"{path}, entry {number}"))
    return found


def _labels(path: Path, labels: Sequence[Any]) -> list[int]:
    for number, label in enumerate(labels, start=1):
        if isinstance(label, bool) or not isinstance(label, int) or not -1 <= label < MAX_CLASSES:
            raise InputError(
                f"{path}, entry {number}: label {shown(label)} is no class number from 0; "
                "correct it"
            )
    return list(labels)


def _origin(path: Path) -> int:
    """The one joint of the first body that is 0 wherever the body is; -1 if there is none.

    The scripts of 2s-AGCN and of those who follow it move each clip so that the middle of the spine
    is the origin. To take that for a lost joint would leave the skeleton without its middle.
    """
    data = _map(path)
    rows = np.unique(np.linspace(0, len(data) - 1, LOOKED_AT).astype(int))
    away, looked = np.zeros(data.shape[3], dtype=bool), 0
    for row in rows:
        shown_joints = (np.asarray(data[row, ..., 0]) != 0).any(axis=0)  # (T, V)
        away |= shown_joints.any(axis=0)
        looked += int(shown_joints.any())
    still = np.flatnonzero(~away)
    return int(still[0]) if looked and len(still) == 1 else -1


def _seen(pos: np.ndarray, origin: int) -> np.ndarray:
    """(M, T, V) joints that are not at 0, and the one at the origin where its body is."""
    seen: np.ndarray = (pos != 0).any(axis=-1)
    if origin >= 0:
        seen[..., origin] |= seen.any(axis=-1)
    return seen


def _period(pos: np.ndarray) -> int:
    """Frames after which a clip only repeats itself from its start, at least two; else all."""
    frames = pos.shape[1]
    flat = np.ascontiguousarray(pos.transpose(1, 0, 2, 3)).reshape(frames, -1)
    starts = np.flatnonzero((flat[2:] == flat[0]).all(axis=1)) + 2
    for start in starts.tolist():
        if np.array_equal(flat[start:], flat[: frames - start]):
            return int(start)
    return frames
