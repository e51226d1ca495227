"""Recordings of your own: a folder of ``.npz``, CSV or Parquet files, a layout, a table of labels.

See the page "Your own data" of the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asgcn_dgl.data.clip import Clip, seen_joints
from asgcn_dgl.data.files import check_names, find_files, is_there, plain_name, stamp_files
from asgcn_dgl.data.formats.layout_file import (
    LAYOUT_FILES,
    GivenLayout,
    find_layouts,
    fitting,
)
from asgcn_dgl.data.formats.npz import read_npz
from asgcn_dgl.data.formats.rows import clips_of_table, read_table
from asgcn_dgl.data.formats.table import (
    NUMBERS,
    TABLE,
    ClipTable,
    class_list,
    find_table,
    number_labels,
)
from asgcn_dgl.data.reader import Format, Reader, Split
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["Missing", "OwnReader", "open_own", "read_arrays", "read_table_clip"]

SUFFIXES = (".npz", ".csv", ".parquet")


class Missing(NamedTuple):
    """Which joints count as missing.

    Attributes
    ----------
    nan
        What NaN coordinates are: ``"missing"`` joints, or an ``"error"``.
    min_score
        Joints whose score is not above this are missing.
    """

    nan: str = "missing"
    min_score: float = 0.0

    def check(self) -> Missing:
        """Refuse other values."""
        if self.nan not in ("error", "missing"):
            raise InputError(f"nan must be error or missing, got {self.nan!r}")
        score = self.min_score
        if isinstance(score, bool) or not isinstance(score, int | float) or score != score:
            raise InputError(f"min_score must be a number, got {score!r}")
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
    """Read a recording of an ``.npz`` file.

    Parameters
    ----------
    path
        Its array ``keypoints`` is (M, T, V, d) or (T, V, d), d of 2 or 3. ``score`` and ``mask``
        (True where a joint was seen) have the same shape without d; without either, joints at the
        origin are missing, see :func:`~asgcn_dgl.data.clip.seen_joints`. ``fps`` is a number.
    layout
        V joints; of several layouts, the first of as many joints as the file has.
    missing
        Which joints count as missing.
    name, label, meta
        Of the clip; the name is by default the file's.

    Returns
    -------
    Clip
        The bodies of the file.

    Raises
    ------
    InputError
        If the file cannot be read, or its arrays do not fit together or to the layout.
    """
    path = Path(path)
    arrays = read_npz(path, ("keypoints", "score", "mask", "fps"))
    if "keypoints" not in arrays:
        raise InputError(
            f"{path}: no array 'keypoints' in it; write numpy.savez(path, keypoints=...), of "
            "shape (bodies, frames, joints, coordinates)"
        )
    pos = arrays["keypoints"]
    if pos.dtype.kind not in "iuf" or pos.ndim not in (3, 4) or pos.shape[-1] not in (2, 3):
        raise InputError(
            f"{path}: keypoints are {pos.dtype} {pos.shape}, where numbers of shape (bodies, "
            "frames, joints, 2 or 3) or (frames, joints, 2 or 3) should be"
        )
    if not isinstance(layout, SkeletonLayout):
        layout = fitting(layout, pos.shape[-2])
    single = pos.ndim == 3
    seen: dict[str, np.ndarray] = {}
    for key, kinds in (("score", "iuf"), ("mask", "biu")):
        if key in arrays:
            if arrays[key].shape != pos.shape[:-1] or arrays[key].dtype.kind not in kinds:
                raise InputError(
                    f"{path}: {key} is {arrays[key].dtype} {arrays[key].shape}, where shape "
                    f"{pos.shape[:-1]} belongs to keypoints {pos.shape}"
                )
            seen[key] = arrays[key][None] if single else arrays[key]
    facts = {"path": str(path), **_fps(path, arrays.get("fps")), **(meta or {})}
    return _clip(
        path.stem if name is None else name,
        layout,
        pos[None] if single else pos,
        seen.get("mask"),
        seen.get("score"),
        missing,
        label,
        facts,
    )


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
    """Read a recording out of tidy rows.

    Parameters
    ----------
    path
        ``.csv`` or ``.parquet`` file.
    clip
        Name of the recording.
    layout, missing, label, meta
        As for :func:`read_arrays`.

    Returns
    -------
    Clip
        Frames run from the first number to the last; what no row tells is missing.

    Raises
    ------
    InputError
        If a row cannot be understood or does not fit the layout.
    """
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
    if score is not None:
        # A score that is NaN is not above anything: its joint is missing.
        above = score > missing.min_score
        mask = above if mask is None else above & mask.astype(bool)
    elif mask is not None:
        mask = mask.astype(bool)
    if missing.nan == "missing":
        known = ~np.isnan(pos).any(axis=-1)
        pos = pos if known.all() else np.where(known[..., None], pos, 0)
        mask = known & (seen_joints(pos, layout) if mask is None else mask)
    try:
        return Clip.from_positions(name, layout, pos, mask, label, meta)
    except InputError as error:
        if missing.nan == "error" and np.isnan(pos).any():
            raise InputError(f"{error}, or say --options.nan missing") from error
        raise


@dataclass(frozen=True)
class OwnReader(Reader):
    """Recordings of an own set.

    Attributes
    ----------
    places
        For each recording its file, and where in it.
    candidates
        Layouts that a recording may have: the first of as many joints as it has.
    table
        Labels, numbers and splits.
    missing
        Which joints count as missing.
    """

    places: tuple[tuple[Path, str | None], ...] = ()
    candidates: tuple[SkeletonLayout, ...] = ()
    table: ClipTable = field(default_factory=ClipTable)
    missing: Missing = USUAL

    def read(self, index: int) -> Clip:
        """Read one recording."""
        name, (path, clip) = self.names[index], self.places[index]
        label, meta = self.table.facts(name)
        if clip is None:
            return read_arrays(
                path, self.candidates, missing=self.missing, name=name, label=label, meta=meta
            )
        return read_table_clip(
            path, clip, self.layout, missing=self.missing, label=label, meta=meta
        )

    def stamp(self) -> object:
        """Options, table, sizes and times of all files."""
        files = dict.fromkeys(path for path, _ in self.places)
        return [list(self.missing), self.table.stamp(), stamp_files(files)]


def open_own(
    root: str | Path, layout: GivenLayout = None, nan: str = "missing", min_score: float = 0.0
) -> OwnReader:
    """Look at a folder of own recordings.

    Parameters
    ----------
    root
        Folder with ``layout.yaml``, ``.npz`` files (one recording each) or ``.csv`` and
        ``.parquet`` files (tidy rows of one or many) at any depth, and possibly ``clips.csv``
        (labels, subjects, splits: :func:`~asgcn_dgl.data.formats.table.find_table`) and
        ``classes.txt``. Or one such file.
    layout
        Name of a supplied layout, or a layout file, in the place of ``layout.yaml``.
    nan
        ``"missing"``: joints of NaN coordinates are missing. ``"error"``: they are refused.
    min_score
        Joints whose score is not above this are missing.

    Returns
    -------
    OwnReader
        An ``.npz`` is called by its path in the folder without the suffix, a recording of rows by
        its ``clip``. Without ``clips.csv``, the arrays ``label``, ``subject``, ``camera``,
        ``setup``, ``replication`` and ``split`` of ``.npz`` files are taken.

    Raises
    ------
    InputError
        If there is no layout or no recording, or the files contradict one another.
    """
    missing = Missing(nan, min_score).check()
    root = Path(root)
    folder = root.parent if root.is_file() else root
    what = f"recordings ({', '.join(SUFFIXES)})"
    files = [path for path in find_files(root, "*", what) if path.suffix.lower() in SUFFIXES]
    files = [path for path in files if path != folder / TABLE]
    if not files:
        raise InputError(f"{root}: no recordings in it; give a folder of {', '.join(SUFFIXES)}")
    chosen = find_layouts(folder, layout)
    names, places = _recordings(folder, files)
    table = find_table(folder, names) if root.is_dir() else None
    if table is None:
        table = _facts_of_arrays(folder, names, places)
    return OwnReader(
        tuple(names),
        chosen[0],
        table.class_names,
        table.splits,
        tuple(places),
        chosen,
        table,
        missing,
        labels=table.labels_of(names),
        numbers=table.numbers_of(names),
    )


def _recordings(
    folder: Path, files: Sequence[Path]
) -> tuple[list[str], list[tuple[Path, str | None]]]:
    names: list[str] = []
    places: list[tuple[Path, str | None]] = []
    for path in files:
        if path.suffix.lower() == ".npz":
            name = path.relative_to(folder).with_suffix("").as_posix()
            names.append(plain_name(name, str(path)))
            places.append((path, None))
            continue
        for clip in clips_of_table(path):
            names.append(clip)
            places.append((path, clip))
    check_names(names, [path for path, _ in places])
    return names, places


def _facts_of_arrays(
    folder: Path, names: Sequence[str], places: Sequence[tuple[Path, str | None]]
) -> ClipTable:
    """Take labels, numbers and the split out of the files themselves."""
    labels: dict[str, str] = {}
    numbers: dict[str, dict[str, int]] = {}
    parts: list[str] = []
    for name, (path, clip) in zip(names, places, strict=True):
        found = {} if clip else read_npz(path, ("label", "split", *NUMBERS), limit=2**16)
        texts = {key: _one(path, key, array) for key, array in found.items()}
        labels[name] = texts.get("label", "")
        numbers[name] = {}
        for key in NUMBERS:
            if key in texts:
                if not texts[key].isdigit() or len(texts[key]) > 9:
                    raise InputError(f"{path}: {key} is {texts[key][:40]!r}, not a whole number")
                numbers[name][key] = int(texts[key])
        part = texts.get("split", "")
        if part not in ("train", "test", ""):
            raise InputError(f"{path}: split is {part[:40]!r}, not train or test; correct it")
        parts.append(part)
    class_names, known = number_labels(labels, class_list(folder), str(folder))
    splits = {"split": Split.of(parts)} if any(parts) else {}
    return ClipTable(class_names, known, numbers, splits)


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
    return path.suffix.lower() in SUFFIXES


FORMAT = Format("own", open_own, _recognizes, "own", ("nan", "min_score"))
