"""One file of any of these formats, for a model that is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asgcn_dgl.data.clip import Clip, read_bytes
from asgcn_dgl.data.formats.bvh import read_bvh, read_hierarchy
from asgcn_dgl.data.formats.files import check_size, read_lines
from asgcn_dgl.data.formats.kinetics import read_kinetics
from asgcn_dgl.data.formats.mocap import CMU, H36M, read_mocap
from asgcn_dgl.data.formats.npz import read_npz
from asgcn_dgl.data.formats.own import Missing, read_arrays, read_table_clip
from asgcn_dgl.data.formats.rows import index_rows
from asgcn_dgl.data.formats.utkinect import LABELS, read_span, read_spans
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

__all__ = ["RAW_SUFFIXES", "is_kinetics", "read_raw"]

#: Suffixes of the files that :func:`read_raw` reads.
RAW_SUFFIXES = (".bvh", ".npz", ".csv", ".parquet", ".txt")


#: Options that tell how a file is read, by kind.
_OPTIONS = {
    "BVH": ("scale", "step", "positions"),
    "motion capture": ("step", "root_motion", "rest_pose"),
    "own": ("nan", "min_score"),
    "UTKinect": ("gaps", "nan_spans"),
    "Kinetics-Skeleton": ("bodies", "min_score", "score"),
}


def is_kinetics(path: str | Path) -> bool:
    """Tell whether a ``.json`` file is a clip of Kinetics-Skeleton."""
    if Path(path).suffix.lower() != ".json":
        return False
    check_size(path)
    return b'"frame_index"' in read_bytes(path)


def read_raw(
    path: str | Path, layouts: Sequence[SkeletonLayout], options: Mapping[str, Any] | None = None
) -> list[Clip]:
    """Read the recordings of a file.

    Parameters
    ----------
    path
        ``.bvh``; ``.npz``, ``.csv`` or ``.parquet`` of the own format; ``.txt`` of exponential
        maps (CMU, Human3.6M) or of UTKinect, of which each action is a clip where
        ``actionLabel.txt`` lies beside it, else the whole video is one; ``.json`` of
        Kinetics-Skeleton.
    layouts
        Those that the model knows: a file that does not tell its skeleton has the one that fits.
    options
        Options of the format, the same that the model's recordings were prepared with.

    Returns
    -------
    list of Clip
        At least one.

    Raises
    ------
    InputError
        If the file is none of these, or its reader refuses it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    given = dict(options or {})
    if suffix == ".bvh":
        _check(path, "BVH", given)
        hierarchy = read_hierarchy(path)
        same = [layout for layout in layouts if layout.joints == hierarchy.joints]
        return [read_bvh(path, same[0] if same else None, **given)]
    if suffix == ".json":
        _check(path, "Kinetics-Skeleton", given)
        return [read_kinetics(path, **given)]
    if suffix in (".npz", ".csv", ".parquet"):
        _check(path, "own", given)
        missing = Missing(**given).check()
    if suffix == ".npz":
        found = read_npz(path, ("keypoints",)).get("keypoints")
        joints = found.shape[-2] if found is not None and found.ndim > 1 else 0
        return [read_arrays(path, _fitting(layouts, joints), missing=missing)]
    if suffix in (".csv", ".parquet"):
        return [
            read_table_clip(path, block, layouts[0], missing=missing) for block in index_rows(path)
        ]
    if suffix == ".txt":
        return _read_text(path, given)
    raise InputError(f"{path}: not one of {', '.join(RAW_SUFFIXES)}; give such a file")


def _fitting(layouts: Sequence[SkeletonLayout], joints: int) -> SkeletonLayout:
    return next((each for each in layouts if each.num_joints == joints), layouts[0])


def _check(path: Path, kind: str, options: Mapping[str, Any]) -> None:
    unknown = [option for option in options if option not in _OPTIONS[kind]]
    if unknown:
        raise InputError(
            f"{path}: no option {unknown[0]!r} for {kind} files; there are "
            f"{', '.join(_OPTIONS[kind])}"
        )


def _read_text(path: Path, options: dict[str, Any]) -> list[Clip]:
    """Tell text files apart by their first line."""
    first = read_lines(path)[0]
    for recorder in (CMU, H36M):
        if first.count(",") == recorder.columns - 1:
            _check(path, "motion capture", options)
            if recorder is H36M:  # its files do not begin with a pose of calibration
                options.setdefault("rest_pose", "keep")
            return [read_mocap(path, recorder, **options)]
    if len(first.split()) != 61:
        raise InputError(
            f"{path}: its first line is neither exponential maps of CMU (117 numbers) or "
            "Human3.6M (99), nor a frame of UTKinect (61); give such a file"
        )
    _check(path, "UTKinect", options)
    gaps = options.get("gaps", "keep")
    labels = path.parent / LABELS
    video = path.stem.removeprefix("joints_")
    rule = options.get("nan_spans", "drop")
    spans = read_spans(labels, rule) if labels.is_file() else []
    mine = [span for span in spans if span.video == video]
    return [read_span(path, span, gaps) for span in mine] or [read_span(path, None, gaps)]
