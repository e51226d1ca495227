"""Recordings of your own: a folder of ``.npz``, CSV or Parquet files, a layout, a table of labels.

See the page "Your own data" of the documentation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import by_name, check_choice, find_files, is_there, plain_name
from asgcn_dgl.data.formats.estimates import check_bodies, check_options, estimated_clip
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.layout_file import (
    LAYOUT_FILES,
    GivenLayout,
    find_layouts,
    fitting,
)
from asgcn_dgl.data.formats.npz import names_in_npz, read_npz
from asgcn_dgl.data.formats.rows import clips_of_table, is_table, layout_of_table, read_table
from asgcn_dgl.data.formats.table import (
    NUMBERS,
    TABLE,
    ClipTable,
    class_list,
    known_facts,
    tabled,
)
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

SUFFIXES = (".npz", ".csv", ".parquet")


class Missing(NamedTuple):
    """How arrays are read, and which joints are missing: see the page "Your own data"."""

    nan: str = "missing"
    min_score: float = 0.0
    axes: str = ""

    def check(self) -> Missing:
        """Refuse other values."""
        check_choice("nan", self.nan, ("error", "missing"))
        check_options(self.min_score, True)
        if self.axes and sorted(self.axes) not in (sorted("MTVC"), sorted("TVC")):
            raise InputError(
                f"axes must be the letters T, V and C, and M where there are bodies, in the order "
                f"of the array, such as TMVC; got {self.axes!r}"
            )
        return self


#: What is NaN, or has a score of 0, is missing.
USUAL = Missing()


def read_arrays(
    path: str | Path,
    layout: SkeletonLayout | Sequence[SkeletonLayout],
    *,
    missing: Missing = USUAL,
    name: str | None = None,
    label: int = -1,
    meta: Mapping[str, Any] | None = None,
) -> Clip:
    """Read a recording of an ``.npz`` file, its arrays as the page "Your own data" has them.

    Of several layouts, the first of as many joints as the file has is taken.
    """
    path = Path(path)
    arrays = read_npz(path, ("keypoints", "score", "mask", "fps"))
    if "keypoints" not in arrays:
        raise InputError(
            f"{path}: no array 'keypoints' in it; write numpy.savez(path, keypoints=...), of "
            "shape (bodies, frames, joints, coordinates)"
        )
    pos = arrays["keypoints"]
    axes = missing.axes or ("MTVC" if pos.ndim == 4 else "TVC")
    numbers = pos.dtype.kind in "iuf" and pos.ndim == len(axes)
    if not numbers or pos.shape[axes.index("C")] not in (2, 3):
        raise InputError(
            f"{path}: keypoints are {pos.dtype} {pos.shape}, where numbers of {_named(axes)} "
            "should be, 2 or 3 coordinates; give another order by --options.axes, such as TMVC"
        )
    seen: dict[str, np.ndarray] = {}
    shape = tuple(size for size, axis in zip(pos.shape, axes, strict=True) if axis != "C")
    for key, kinds in (("score", "iuf"), ("mask", "biu")):
        if key in arrays:
            if arrays[key].shape != shape or arrays[key].dtype.kind not in kinds:
                raise InputError(
                    f"{path}: {key} is {arrays[key].dtype} {arrays[key].shape}, where shape "
                    f"{shape} belongs to keypoints {pos.shape}"
                )
            seen[key] = _ordered(arrays[key], axes.replace("C", ""))
    pos = _ordered(pos, axes)
    if not missing.axes:
        check_bodies(path, pos.shape)
    if not isinstance(layout, SkeletonLayout):
        layout = fitting(layout, pos.shape[-2])
    facts = {"path": str(path), **_fps(path, arrays.get("fps")), **(meta or {})}
    return _clip(
        path.stem if name is None else name,
        layout,
        pos,
        seen.get("mask"),
        seen.get("score"),
        missing,
        label,
        facts,
    )


def _ordered(array: np.ndarray, axes: str) -> np.ndarray:
    """Array of axes in another order as (M, T, V, ...)."""
    ordered = array.transpose([axes.index(axis) for axis in "MTVC" if axis in axes])
    return ordered if "M" in axes else ordered[None]


def _named(axes: str) -> str:
    names = {"M": "bodies", "T": "frames", "V": "joints", "C": "coordinates"}
    return f"shape ({', '.join(names[axis] for axis in axes)})"


def _fps(path: Path, value: np.ndarray | None) -> dict[str, float]:
    if value is None:
        return {}
    if value.size != 1 or value.dtype.kind not in "iuf" or not 0 < float(value.ravel()[0]) < 1e6:
        raise InputError(f"{path}: fps is no number of frames a second; correct it")
    return {"fps": float(value.ravel()[0])}


def read_table_clip(
    path: str | Path,
    clip: str,
    layout: SkeletonLayout,
    *,
    missing: Missing = USUAL,
    label: int = -1,
    meta: Mapping[str, Any] | None = None,
) -> Clip:
    """Read a recording out of tidy rows; frames run from the first number to the last."""
    path = Path(path)
    pos, mask, score = read_table(path, clip, layout)
    return _clip(
        clip,
        layout,
        pos,
        mask,
        score,
        missing,
        label,
        {"path": f"{path} ({clip})", **(meta or {})},
    )


def _clip(
    name: str,
    layout: SkeletonLayout,
    pos: np.ndarray,
    mask: np.ndarray | None,
    score: np.ndarray | None,
    missing: Missing,
    label: int,
    meta: Mapping[str, Any],
) -> Clip:
    if missing.nan == "error":
        wrong = np.isnan(pos)
        wrong &= True if mask is None else mask.astype(bool)[..., None]
        wrong &= True if score is None else (score > missing.min_score)[..., None]
        if wrong.any():
            body, frame, joint, axis = (int(index) for index in np.argwhere(wrong)[0])
            raise InputError(
                f"{meta.get('path', name)}: coordinate {axis + 1} of joint {joint + 1} "
                f"({layout.joints[joint]}) of body {body + 1} in frame {frame + 1} is nan; repair "
                "the file or remove it, or say --options.nan missing"
            )
    return estimated_clip(
        name,
        layout,
        pos,
        score,
        seen=None if mask is None else mask.astype(bool),
        min_score=missing.min_score,
        keep_score=False,
        label=label,
        meta=meta,
    )


def _read(
    path: Path,
    *,
    name: str,
    label: int,
    meta: Mapping[str, Any],
    layouts: Sequence[SkeletonLayout],
    **options: Any,
) -> Clip:
    known: dict[str, Any] = {"missing": Missing(**options), "label": label, "meta": meta}
    if path.suffix.lower() == ".npz":
        return read_arrays(path, layouts, name=name, **known)
    layout = layouts[0] if len(layouts) == 1 else layout_of_table(path, name, layouts)
    return read_table_clip(path, name, layout, **known)


def open_own(
    root: str | Path,
    layout: GivenLayout = None,
    nan: str = "missing",
    min_score: float = 0.0,
    axes: str = "",
    labels: str = "table",
) -> FolderReader:
    """Look at a folder of own recordings, or one file; the page "Your own data" has the options.

    An ``.npz`` is called by its path in the folder without the suffix, a recording of rows by its
    ``clip``. Without ``clips.csv``, the arrays ``label``, ``subject``, ``camera``, ``setup``,
    ``replication`` and ``split`` of ``.npz`` files are taken.
    """
    missing = Missing(nan, min_score, axes).check()
    root = Path(root)
    folder = root.parent if root.is_file() else root
    what = f"recordings ({', '.join(SUFFIXES)})"
    files = [path for path in find_files(root, "*", what) if path.suffix.lower() in SUFFIXES]
    files = [path for path in files if path != folder / TABLE]
    if not files:
        raise InputError(f"{root}: no recordings in it; give a folder of {', '.join(SUFFIXES)}")
    chosen = find_layouts(folder, layout)
    found = _recordings(folder, files)
    if labels == "table" and not (root.is_dir() and is_there(folder / TABLE)):
        table = _facts_of_arrays(folder, found)
    else:
        table = known_facts(folder, tuple(found), labels)
    read_file = functools.partial(_read, layouts=chosen)
    return tabled(found, chosen[0], table, read_file, **missing._asdict())


def _recordings(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """File of each recording, by its name."""
    found: list[tuple[str, Path]] = []
    for path in files:
        if path.suffix.lower() == ".npz":
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append((plain_name(name, str(path)), path))
        else:
            found += [(clip, path) for clip in clips_of_table(path)]
    return by_name([name for name, _ in found], [path for _, path in found])


def _facts_of_arrays(folder: Path, files: Mapping[str, Path]) -> ClipTable:
    """Take labels, numbers and the split out of the files themselves.

    Nothing is known of a file that cannot be read: to read its recording says why.
    """
    entries: dict[str, dict[str, str]] = {}
    for name, path in files.items():
        try:
            packed = path.suffix.lower() == ".npz"
            found = read_npz(path, ("label", "split", *NUMBERS), limit=2**16) if packed else {}
        except InputError:
            found = {}
        entries[name] = {key: _one(path, key, array) for key, array in found.items()}
    return ClipTable.of(entries, class_list(folder), str(folder))


def _one(path: Path, key: str, array: np.ndarray) -> str:
    """Text of an array of one value."""
    if array.size != 1 or array.dtype.kind not in "iuU":
        raise InputError(
            f"{path}: {key} is {array.dtype} {array.shape}, where one number or text should be"
        )
    text = str(array.ravel()[0]).strip()
    return "" if text == "-1" else text


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        files = (*LAYOUT_FILES, TABLE)
        return any(map(is_there, (path / name for name in files))) or any(
            each.suffix.lower() in SUFFIXES for each in path.rglob("*")
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        names = names_in_npz(path)
        return not names or "keypoints" in names  # its reader reports a damaged one
    return suffix == ".parquet" or (suffix == ".csv" and is_table(path))


FORMAT = Format("own", open_own, _recognizes, "own", ("nan", "min_score", "axes"))
