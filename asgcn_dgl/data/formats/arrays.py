"""Whole sets as one array: ``.npy`` of (N, 3, T, V, M) and a pickle of names and labels.

The format in which ST-GCN, 2s-AGCN and AS-GCN keep what they prepared: ``train_data.npy`` (or
``train_data_joint.npy``), ``train_label.pkl`` of (names, labels), and the same for ``val``. Clips
of any length are filled up to T frames with zeros, or by repeating, and absent bodies are zeros.
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
from asgcn_dgl.data.formats.files import check_memory, check_names, plain_name, stamp_files
from asgcn_dgl.data.formats.layout_file import find_layout
from asgcn_dgl.data.formats.source import Source, Split
from asgcn_dgl.data.formats.table import MAX_CLASSES
from asgcn_dgl.data.formats.unpickle import PickledArray, read_pickle
from asgcn_dgl.errors import InputError

__all__ = ["ArraySource", "open_arrays"]

PARTS = ("train", "val")
FILES = ("{}_data.npy", "{}_data_joint.npy")
LABELS = "{}_label.pkl"

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
    flat
        The third channel is a score.
    padding, min_score, score
        See :func:`open_arrays`.
    """

    pairs: tuple[Pair, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    labels: tuple[int, ...] = ()
    flat: bool = False
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
        pos = self._frames(data.transpose(3, 1, 2, 0))
        scores = pos[..., -1] if self.flat else None
        return estimated_clip(
            self.names[index],
            self.layout,
            pos[..., :-1] if self.flat else pos,
            scores,
            min_score=self.min_score,
            keep_score=self.score,
            label=label,
            meta={"path": place, **numbers},
        )

    def _frames(self, pos: np.ndarray) -> np.ndarray:
        """The clip without what it was filled up with, (M, T, V, C)."""
        shown = np.flatnonzero((pos != 0).any(axis=(0, 2, 3)))
        pos = pos[:, : int(shown[-1]) + 1 if len(shown) else 1]
        return pos[:, : _period(pos)] if self.padding == "repeat" else pos

    def stamp(self) -> object:
        """Options, sizes and times of all files."""
        files = [path for pair in self.pairs for path in (pair.data, pair.labels)]
        return [self.padding, self.min_score, self.score, stamp_files(files)]


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
        same for ``val``. Or one ``.npy`` file, whose labels lie beside it. Names of classes are
        taken from ``classes.txt`` in the folder.
    layout
        Name of a supplied layout, or a layout file. Left out: that which is usual for V (25 NTU's,
        18 OpenPose's, 20 Kinect v1's, 17 COCO's).
    padding
        How clips were filled up to T frames. ``"zeros"``: zeros at the end are left out.
        ``"repeat"``: so is what exactly repeats the frames before it from the start on, as
        2s-AGCN and AS-GCN fill clips up.
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
    places: list[tuple[int, int]] = []
    parts: dict[str, tuple[str, ...]] = {}
    for number, (part, pair) in enumerate(found.items()):
        own, classes = _names_and_labels(pair)
        parts[part] = tuple(own)
        names += own
        labels += classes
        places += [(number, row) for row in range(len(own))]
    pairs = tuple(found.values())
    check_names(names, [pairs[pair].labels for pair, _ in places])
    (channels, _, joints, _), *others = [pair.shape[1:] for pair in pairs]
    if any((other[0], other[2]) != (channels, joints) for other in others):
        raise InputError(f"{root}: arrays of different joints or channels; prepare each apart")
    folder = root.parent if root.is_file() else root
    asked = None if layout is None else find_layout(folder, layout)
    chosen = ntu_set(names)
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
        channels == 3 and joints in _FLAT,
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
            return np.lib.format.open_memmap(path, mode="r")  # no objects, hence no pickles
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    except Exception as error:  # numpy lets through whatever a damaged header leads to
        raise InputError(
            f"{path}: not an array of numbers, or truncated ({str(error)[:100]}); write it again "
            "with numpy.save"
        ) from error


def _names_and_labels(pair: Pair) -> tuple[list[str], list[int]]:
    content = read_pickle(pair.labels)
    if isinstance(content, (tuple, list)) and len(content) == 2:
        names, labels = (_list(pair.labels, each) for each in content)
        if len(names) == len(labels) == pair.shape[0]:
            return _names(pair.labels, names), _labels(pair.labels, labels)
        raise InputError(
            f"{pair.labels}: {len(names)} names and {len(labels)} labels, but {pair.data.name} has "
            f"{pair.shape[0]} clips; make the files again"
        )
    raise InputError(f"{pair.labels}: is no pair of names and labels; make the file again")


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
                f"{path}, entry {number}: label {str(label)[:20]} is no class number from 0; "
                "correct it"
            )
    return list(labels)


def _period(pos: np.ndarray) -> int:
    """Frames after which a clip only repeats itself from its start, at least two; else all."""
    frames = pos.shape[1]
    flat = np.ascontiguousarray(pos.transpose(1, 0, 2, 3)).reshape(frames, -1)
    starts = np.flatnonzero((flat[2:] == flat[0]).all(axis=1)) + 2
    for start in starts.tolist():
        if np.array_equal(flat[start:], flat[: frames - start]):
            return int(start)
    return frames
