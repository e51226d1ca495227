"""Recordings of your own: a folder of ``.npz``, CSV or Parquet files, a layout, a table of labels.

See the page "Your own data" of the documentation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import by_name, check_choice, find_files, is_there
from asgcn_dgl.data.formats import table
from asgcn_dgl.data.formats.estimates import check_bodies, check_options, estimated_clip
from asgcn_dgl.data.formats.folder import FolderReader
from asgcn_dgl.data.formats.layout_file import LAYOUT_FILES, GivenLayout, find_layouts, fitting
from asgcn_dgl.data.formats.npz import names_in_npz, read_npz
from asgcn_dgl.data.formats.rows import clips_of_table, is_table, layout_of_table, read_table
from asgcn_dgl.data.reader import Format
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

SUFFIXES = (".npz", ".csv", ".parquet")

_AXES = {"M": "bodies", "T": "frames", "V": "joints", "C": "coordinates"}


def read_arrays(
    path: str | Path,
    layout: SkeletonLayout | Sequence[SkeletonLayout],
    *,
    axes: str = "",
    meta: Mapping[str, Any] | None = None,
    **options: Any,
) -> Clip:
    """Read a recording of an ``.npz`` file, its arrays as the page "Your own data" has them.

    Of several layouts, the first of as many joints as the file has is taken. ``options`` are
    ``name`` and ``label`` of the clip, ``nan`` and ``min_score``.
    """
    path = Path(path)
    arrays = read_npz(path, ("keypoints", "score", "mask", "fps"))
    if "keypoints" not in arrays:
        raise InputError(
            f"{path}: no array 'keypoints' in it; write numpy.savez(path, keypoints=...), of "
            "shape (bodies, frames, joints, coordinates)"
        )
    pos = arrays["keypoints"]
    order = axes or ("MTVC" if pos.ndim == 4 else "TVC")
    numbers = pos.dtype.kind in "iuf" and pos.ndim == len(order)
    if not numbers or pos.shape[order.index("C")] not in (2, 3):
        raise InputError(
            f"{path}: keypoints are {pos.dtype} {pos.shape}, where numbers of shape "
            f"({', '.join(_AXES[axis] for axis in order)}) should be, 2 or 3 coordinates; give "
            "another order by --options.axes, such as TMVC"
        )
    shape = tuple(size for size, axis in zip(pos.shape, order, strict=True) if axis != "C")
    seen: dict[str, np.ndarray | None] = {"score": None, "mask": None}
    for key, kinds in (("score", "iuf"), ("mask", "biu")):
        if key in arrays:
            if arrays[key].shape != shape or arrays[key].dtype.kind not in kinds:
                raise InputError(
                    f"{path}: {key} is {arrays[key].dtype} {arrays[key].shape}, where shape "
                    f"{shape} belongs to keypoints {pos.shape}"
                )
            seen[key] = _ordered(arrays[key], order.replace("C", ""))
    pos = _ordered(pos, order)
    if not axes:
        check_bodies(path, pos.shape)
    if not isinstance(layout, SkeletonLayout):
        layout = fitting(layout, pos.shape[-2])
    facts = {"path": str(path), **_fps(path, arrays.get("fps")), **(meta or {})}
    options = {"name": path.stem, **options}
    return _clip(layout, pos, seen["mask"], seen["score"], meta=facts, **options)


def _ordered(array: np.ndarray, axes: str) -> np.ndarray:
    """Array of axes in another order as (M, T, V, ...)."""
    ordered = array.transpose([axes.index(axis) for axis in _AXES if axis in axes])
    return ordered if "M" in axes else ordered[None]


def _fps(path: Path, value: np.ndarray | None) -> dict[str, float]:
    if value is None:
        return {}
    if value.size != 1 or value.dtype.kind not in "iuf" or not 0 < value.item() < 1e6:
        raise InputError(f"{path}: fps is no number of frames a second; correct it")
    return {"fps": float(value.item())}


def _clip(
    layout: SkeletonLayout,
    pos: np.ndarray,
    mask: np.ndarray | None,
    score: np.ndarray | None,
    *,
    meta: Mapping[str, Any],
    nan: str = "missing",
    min_score: float = 0.0,
    **options: Any,
) -> Clip:
    mask = None if mask is None else mask.astype(bool)
    if nan == "error":
        wrong = np.isnan(pos)
        wrong &= True if mask is None else mask[..., None]
        wrong &= True if score is None else (score > min_score)[..., None]
        if wrong.any():
            body, frame, joint, axis = (int(index) for index in np.argwhere(wrong)[0])
            raise InputError(
                f"{meta['path']}: coordinate {axis + 1} of joint {joint + 1} "
                f"({layout.joints[joint]}) of body {body + 1} in frame {frame + 1} is nan; repair "
                "the file or remove it, or say --options.nan missing"
            )
    options |= {"seen": mask, "min_score": min_score, "keep_score": False, "meta": meta}
    return estimated_clip(layout=layout, places=pos, score=score, **options)


def _read(
    path: Path,
    *,
    name: str,
    layouts: Sequence[SkeletonLayout],
    axes: str,
    meta: Mapping[str, Any],
    **options: Any,
) -> Clip:
    if path.suffix.lower() == ".npz":
        return read_arrays(path, layouts, axes=axes, name=name, meta=meta, **options)
    layout = layouts[0] if len(layouts) == 1 else layout_of_table(path, name, layouts)
    facts = {"path": f"{path} ({name})", **meta}
    return _clip(layout, *read_table(path, name, layout), name=name, meta=facts, **options)


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
    check_choice("nan", nan, ("error", "missing"))
    check_options(min_score, True)
    if axes and sorted(axes) not in (sorted("MTVC"), sorted("TVC")):
        raise InputError(
            "axes must be the letters T, V and C, and M where there are bodies, in the order of "
            f"the array, such as TMVC; got {axes!r}"
        )
    root = Path(root)
    folder = root.parent if root.is_file() else root
    files = find_files(root, "*", f"recordings ({', '.join(SUFFIXES)})")
    files = [each for each in files if each.suffix.lower() in SUFFIXES]
    files = [each for each in files if each != folder / table.TABLE]
    if not files:
        raise InputError(f"{root}: no recordings in it; give a folder of {', '.join(SUFFIXES)}")
    chosen = find_layouts(folder, layout)
    found = _recordings(folder, files)
    if labels == "table" and not (root.is_dir() and is_there(folder / table.TABLE)):
        facts = _facts_of_arrays(folder, found)
    else:
        facts = table.known_facts(folder, tuple(found), labels)
    read_file = functools.partial(_read, layouts=chosen)
    options = {"nan": nan, "min_score": min_score, "axes": axes}
    return table.tabled(found, chosen[0], facts, read_file, **options)


def _recordings(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """File of each recording, by its name."""
    names: list[str] = []
    places: list[Path] = []
    for path in files:
        packed = path.suffix.lower() == ".npz"
        own = table.path_names(folder, [path]) if packed else clips_of_table(path)
        names += own
        places += [path] * len(own)
    return by_name(names, places)


def _facts_of_arrays(folder: Path, files: Mapping[str, Path]) -> table.ClipTable:
    """Take labels, numbers and the split out of the files themselves.

    Nothing is known of a file that cannot be read: to read its recording says why.
    """
    entries: dict[str, dict[str, str]] = {}
    for name, path in files.items():
        try:
            packed = path.suffix.lower() == ".npz"
            wanted = ("label", "split", *table.NUMBERS)
            found = read_npz(path, wanted, limit=2**16) if packed else {}
        except InputError:
            found = {}
        entries[name] = {key: _one(path, key, array) for key, array in found.items()}
    return table.ClipTable.of(entries, table.class_list(folder), str(folder))


def _one(path: Path, key: str, array: np.ndarray) -> str:
    """Text of an array of one value."""
    if array.size != 1 or array.dtype.kind not in "iuU":
        raise InputError(f"{path}: {key} is {array.dtype} {array.shape}, not one number or text")
    text = str(array.item()).strip()
    return "" if text == "-1" else text


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        files = (*LAYOUT_FILES, table.TABLE)
        return any(map(is_there, (path / name for name in files))) or any(
            each.suffix.lower() in SUFFIXES for each in path.rglob("*")
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        names = names_in_npz(path)
        return not names or "keypoints" in names  # its reader reports a damaged one
    return suffix == ".parquet" or (suffix == ".csv" and is_table(path))


FORMAT = Format("own", open_own, _recognizes, "own", ("nan", "min_score", "axes"))
